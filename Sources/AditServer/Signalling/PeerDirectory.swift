// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire

/// How many signals may be sent, and how many refusals are answered.
struct SignalTerms: Sendable {
    /// Signals a second, and at once, from one device, whatever sessions it has.
    var sent = Pace(rate: 20, burst: 120)
    /// Signals a second, and at once, to one device from all others together.
    var received = Pace(rate: 60, burst: 240)
    /// Refusals a second, and at once, to one session; what else is refused is dropped without a word.
    var refusals = Pace(rate: 2, burst: 20)
    /// Streams to other devices that one device may open a second, and at once, whatever sessions it has.
    var streams = Pace(rate: 5, burst: 50)
    /// How many streams that it opened a device may have.
    var streamsOpened = 64
    /// How many streams that others opened a device may have.
    var streamsTaken = 256
    /// How many streams there may be between all devices.
    var streamsInAll = 4096

    struct Pace: Sendable {
        var rate: Int64
        var burst: Int64

        func bucket(at now: Instant) -> TokenBucket {
            TokenBucket(count: rate, per: .seconds(1), burst: burst, at: now)
        }
    }
}

/// The sessions of devices by the device's name, and how many signals each has sent and got.
struct PeerDirectory<Session: AnyObject & Sendable>: Sendable {
    /// To whom a signal goes.
    enum Receiver {
        case session(Session)
        /// The device is here, and not with this run.
        case runEnded
        /// The device is here, and no run of it has the service.
        case noService
        /// The run is here, and takes no streams.
        case noStreams
        /// The device is here, and takes no signals.
        case deaf
        /// The device gets too much already.
        case busy
        /// The device has no session.
        case none
    }

    private struct Run: Sendable {
        var id: String
        var session: Session
        var takesStreams: Bool
        var services: Set<String> = []
    }

    private struct Device: Sendable {
        /// Those that take signals, in the order in which they came.
        var runs: [Run] = []
        var deafCount = 0
        /// What all its sessions sent together: more sessions are not more to say.
        var sent: TokenBucket
        var received: TokenBucket
        var streams: TokenBucket
    }

    /// What a device that has left may not send before.
    private struct Spent: Sendable {
        var sent: TokenBucket
        var streams: TokenBucket
    }

    private struct Sender: Sendable {
        var name: String
        var refusals: TokenBucket
    }

    private let terms: SignalTerms
    private var devices: [String: Device] = [:]
    private var senders: [ObjectIdentifier: Sender] = [:]
    /// Devices that have left and had sent much: who comes back at once has no more to spend than before.
    private var spent: [String: Spent] = [:]
    /// Streams by the device that opened them, and by the one that took them.
    private var streamsOpened: [String: Int] = [:]
    private var streamsTaken: [String: Int] = [:]
    /// How many streams there are.
    private(set) var streamCount = 0
    /// Beyond so many, those who left are forgotten as soon as one more leaves.
    private static var spentLimit: Int { 4096 }

    init(_ terms: SignalTerms = SignalTerms()) {
        self.terms = terms
    }

    /// How many sessions take signals.
    var count: Int { senders.count }
    /// Whether nothing is kept.
    var isEmpty: Bool { senders.isEmpty && devices.isEmpty && spent.isEmpty && streamCount == 0 }

    mutating func insert(
        _ session: Session,
        name: String,
        run: String,
        takesSignals: Bool,
        takesStreams: Bool = false,
        at now: Instant
    ) {
        let before = spent.removeValue(forKey: name)
        var device =
            devices[name]
            ?? Device(
                sent: before?.sent ?? terms.sent.bucket(at: now),
                received: terms.received.bucket(at: now),
                streams: before?.streams ?? terms.streams.bucket(at: now)
            )
        if takesSignals {
            device.runs.append(Run(id: run, session: session, takesStreams: takesStreams))
            senders[ObjectIdentifier(session)] = Sender(
                name: name,
                refusals: terms.refusals.bucket(at: now)
            )
        } else {
            device.deafCount += 1
        }
        devices[name] = device
    }

    mutating func remove(_ session: Session, name: String, at now: Instant) {
        guard var device = devices[name] else { return }
        if senders.removeValue(forKey: ObjectIdentifier(session)) != nil {
            device.runs.removeAll { $0.session === session }
        } else {
            device.deafCount -= 1
        }
        guard device.runs.isEmpty, device.deafCount <= 0 else {
            devices[name] = device
            return
        }
        devices[name] = nil
        for (other, bucket) in spent {
            var bucket = bucket
            let isFull = bucket.sent.isFull(at: now) && bucket.streams.isFull(at: now)
            if isFull || spent.count >= Self.spentLimit { spent[other] = nil }
        }
        if !device.sent.isFull(at: now) || !device.streams.isFull(at: now) {
            spent[name] = Spent(sent: device.sent, streams: device.streams)
        }
    }

    /// Takes which services the run of a session has; false when they are too many, or no names.
    mutating func announce(_ services: AditServices, of session: Session) -> Bool {
        guard services.isWellFormed, let name = senders[ObjectIdentifier(session)]?.name,
            let index = devices[name]?.runs.firstIndex(where: { $0.session === session })
        else { return false }
        var known = services.isMore ? devices[name]?.runs[index].services ?? [] : []
        known.formUnion(services.names)
        guard known.count <= AditServices.nameLimit else { return false }
        devices[name]?.runs[index].services = known
        return true
    }

    /// Whether the session may send one more signal; never for one that takes none.
    mutating func maySend(_ session: Session, at now: Instant) -> Bool {
        guard let name = senders[ObjectIdentifier(session)]?.name else { return false }
        return devices[name]?.sent.take(1, at: now) ?? false
    }

    /// Whether the session is told of one more refusal.
    mutating func mayBeRefused(_ session: Session, at now: Instant) -> Bool {
        senders[ObjectIdentifier(session)]?.refusals.take(1, at: now) ?? false
    }

    /// The session with that run; when none is named, the newest of the device, or its newest with the service.
    mutating func receiver(named name: String, run: String, service: String = "", at now: Instant) -> Receiver {
        switch find(name, run, service) {
        case .failure(let why): return why.receiver
        case .success(let found):
            return devices[name]?.received.take(1, at: now) == true ? .session(found.session) : .busy
        }
    }

    private struct Absence: Error {
        var receiver: Receiver
    }

    private func find(_ name: String, _ run: String, _ service: String) -> Result<Run, Absence> {
        guard let device = devices[name] else { return .failure(Absence(receiver: .none)) }
        guard !device.runs.isEmpty else { return .failure(Absence(receiver: .deaf)) }
        if !run.isEmpty {
            let found = device.runs.last { $0.id == run }
            return found.map { .success($0) } ?? .failure(Absence(receiver: .runEnded))
        }
        let found = device.runs.last { service.isEmpty || $0.services.contains(service) }
        return found.map { .success($0) } ?? .failure(Absence(receiver: .noService))
    }

    // MARK: Streams

    /// Whether a session may ask for one more stream to another device.
    mutating func mayOpenStream(_ session: Session, at now: Instant) -> Bool {
        guard let name = senders[ObjectIdentifier(session)]?.name else { return false }
        return devices[name]?.streams.take(1, at: now) ?? false
    }

    /// Finds who takes a stream and counts it; each one that a session takes has to be ended by `closeStream`.
    mutating func openStream(from sender: String, to name: String, run: String, service: String) -> Receiver {
        switch find(name, run, service) {
        case .failure(let why): return why.receiver
        case .success(let found):
            guard found.takesStreams else { return .noStreams }
            guard streamCount < terms.streamsInAll, streamsOpened[sender, default: 0] < terms.streamsOpened,
                streamsTaken[name, default: 0] < terms.streamsTaken
            else { return .busy }
            streamCount += 1
            streamsOpened[sender, default: 0] += 1
            streamsTaken[name, default: 0] += 1
            return .session(found.session)
        }
    }

    /// Counts a stream out.
    mutating func closeStream(from sender: String, to name: String) {
        streamCount -= 1
        streamsOpened[sender] = streamsOpened[sender].flatMap { $0 > 1 ? $0 - 1 : nil }
        streamsTaken[name] = streamsTaken[name].flatMap { $0 > 1 ? $0 - 1 : nil }
    }
}
