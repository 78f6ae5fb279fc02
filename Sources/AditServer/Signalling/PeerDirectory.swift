// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel

/// How many signals may be sent, and how many refusals are answered.
struct SignalTerms: Sendable {
    /// Signals a second, and at once, from one device, whatever sessions it has.
    var sent = Pace(rate: 20, burst: 120)
    /// Signals a second, and at once, to one device from all others together.
    var received = Pace(rate: 60, burst: 240)
    /// Refusals a second, and at once, to one session; what else is refused is dropped without a word.
    var refusals = Pace(rate: 2, burst: 20)

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
    }

    private struct Device: Sendable {
        /// Those that take signals, in the order in which they came.
        var runs: [Run] = []
        var deafCount = 0
        /// What all its sessions sent together: more sessions are not more to say.
        var sent: TokenBucket
        var received: TokenBucket
    }

    private struct Sender: Sendable {
        var name: String
        var refusals: TokenBucket
    }

    private let terms: SignalTerms
    private var devices: [String: Device] = [:]
    private var senders: [ObjectIdentifier: Sender] = [:]
    /// Devices that have left and had sent much: who comes back at once has no more to spend than before.
    private var spent: [String: TokenBucket] = [:]
    /// Beyond so many, those who left are forgotten as soon as one more leaves.
    private static var spentLimit: Int { 4096 }

    init(_ terms: SignalTerms = SignalTerms()) {
        self.terms = terms
    }

    /// How many sessions take signals.
    var count: Int { senders.count }
    /// Whether nothing is kept.
    var isEmpty: Bool { senders.isEmpty && devices.isEmpty && spent.isEmpty }

    mutating func insert(_ session: Session, name: String, run: String, takesSignals: Bool, at now: Instant) {
        var device =
            devices[name]
            ?? Device(
                sent: spent.removeValue(forKey: name) ?? terms.sent.bucket(at: now),
                received: terms.received.bucket(at: now)
            )
        if takesSignals {
            device.runs.append(Run(id: run, session: session))
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
            if bucket.isFull(at: now) || spent.count >= Self.spentLimit { spent[other] = nil }
        }
        if !device.sent.isFull(at: now) { spent[name] = device.sent }
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

    /// The session with that run, or the newest of the device when no run is named.
    mutating func receiver(named name: String, run: String, at now: Instant) -> Receiver {
        guard let device = devices[name] else { return .none }
        guard !device.runs.isEmpty else { return .deaf }
        guard let found = run.isEmpty ? device.runs.last : device.runs.last(where: { $0.id == run }) else {
            return .runEnded
        }
        return devices[name]?.received.take(1, at: now) == true ? .session(found.session) : .busy
    }
}
