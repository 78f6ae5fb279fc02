// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// The plain TCP punch: one local port for the connection to the rendezvous, a listener, and a connection to the peer, which
/// both sides make at the same time (simultaneous open, RFC 9293 section 3.5).
///
/// A refused attempt is made again after a random pause of at most 100 ms, so that two sides do not miss each other for ever.
package struct TCPPunch: SocketMachine {
    package typealias Event = PunchEvent

    /// How long the peer is tried.
    package static let patience = Duration.seconds(40)
    /// How long the server has to answer, and then the peer to come.
    package static let serverPatience = Duration.seconds(40)
    /// How often one address is tried.
    package static let attemptLimit = 60
    /// How many connections of the peer are held.
    package static let connectionLimit = 8

    private enum Timer: Hashable, Sendable {
        case retry(Int)
        case end
    }

    private struct Link: Sendable {
        var remote: IPEndpoint
        var stream = PunchMessageStream()
    }

    private static let server = SocketID(1)
    private static let listener = SocketID(2)

    private let configuration: PunchConfiguration
    private var random: any RandomNumberGenerator & Sendable
    private var outputs: [SocketOutput<Event>] = []
    private var timers = TimerTable<Timer>()
    private var local: IPEndpoint?
    private var serverStream = PunchMessageStream()
    private var targets: [IPEndpoint] = []
    private var attempts: [SocketID: Int] = [:]
    private var attemptCounts: [Int] = []
    private var links: [SocketID: Link] = [:]
    private var nextID: UInt32 = 16
    private var hasHeard = false
    private var isOver = false
    /// Whether both directions work.
    package private(set) var isDone = false
    /// How many connection attempts were made.
    package private(set) var attemptCount = 0

    /// Makes the machine; it begins at once.
    package init(_ configuration: PunchConfiguration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
        outputs.append(.open(Self.server, .tcp(local: IPEndpoint(.v4(0), 0), remote: configuration.rendezvous)))
    }

    package var nextDeadline: Instant? { timers.nextDeadline }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        guard !isOver else { return }
        switch input {
        case .connected(Self.server, let local, _): greet(from: local, at: now)
        case .connected(let id, _, let remote):
            attempts[id] = nil
            adopt(id, remote)
        case .accepted(let id, _, _, let remote):
            guard links.count < Self.connectionLimit else {
                outputs.append(.close(id, isAbrupt: true))
                return
            }
            if !targets.contains(remote) { outputs.append(.event(.learnt(remote))) }
            adopt(id, remote)
        case .bytes(Self.server, let bytes):
            for message in serverStream.take(bytes) ?? [] { begin(message, at: now) }
        case .bytes(let id, let bytes): hear(id, bytes, at: now)
        case .closed(Self.server, let end):
            if targets.isEmpty { finish(.failed(local == nil ? .noServer : .socket(end))) }
        case .closed(Self.listener, let end): finish(.failed(.socket(end)))
        case .closed(let id, let end): lost(id, end, at: now)
        case .timer:
            while let timer = timers.expire(at: now) { expired(timer, at: now) }
        default: break
        }
    }

    // MARK: The server

    private mutating func greet(from local: IPEndpoint, at now: Instant) {
        self.local = local
        timers.set(.end, at: now + Self.serverPatience)
        outputs.append(.open(Self.listener, .listener(local: local)))
        var hello = PunchMessage(pair: configuration.pair, .hello, site: configuration.site)
        hello.addresses = [local]
        outputs.append(.write(Self.server, hello.bytes))
    }

    private mutating func begin(_ go: PunchMessage, at now: Instant) {
        guard go.kind == .go, go.pair == configuration.pair, go.site == configuration.site, targets.isEmpty, let local
        else { return }
        if go.addresses.count == 3 { outputs.append(.event(.seen(go.addresses[2], local: local))) }
        targets = PunchTargets(go).endpoints
        attemptCounts = targets.map { _ in 0 }
        timers.set(.end, at: now + Self.patience)
        outputs.append(.event(.began(targets)))
        for index in targets.indices { connect(index) }
    }

    // MARK: The peer

    private mutating func connect(_ index: Int) {
        guard let local, attemptCounts[index] < Self.attemptLimit else { return }
        attemptCounts[index] += 1
        attemptCount += 1
        let id = SocketID(nextID)
        nextID += 1
        attempts[id] = index
        outputs.append(.open(id, .tcp(local: local, remote: targets[index])))
    }

    private mutating func adopt(_ id: SocketID, _ remote: IPEndpoint) {
        links[id] = Link(remote: remote)
        send(.probe, on: id)
    }

    private mutating func send(_ kind: PunchMessage.Kind, on id: SocketID) {
        var message = PunchMessage(pair: configuration.pair, kind, site: configuration.site)
        message.hasHeard = kind == .answer
        outputs.append(.write(id, message.bytes))
    }

    private mutating func hear(_ id: SocketID, _ bytes: [UInt8], at now: Instant) {
        guard var link = links[id] else { return }
        guard let messages = link.stream.take(bytes) else {
            links[id] = nil
            outputs.append(.close(id, isAbrupt: true))
            return
        }
        links[id] = link
        for message in messages
        where message.pair == configuration.pair && message.site == configuration.site.other {
            hasHeard = true
            if message.kind == .probe { send(.answer, on: id) }
            if message.hasHeard, !isDone {
                isDone = true
                outputs.append(.event(.connected(link.remote)))
                for index in targets.indices { timers.cancel(.retry(index)) }
            }
        }
    }

    private mutating func lost(_ id: SocketID, _ end: SocketEnd, at now: Instant) {
        if links.removeValue(forKey: id) != nil, end == .finished { outputs.append(.close(id, isAbrupt: false)) }
        guard let index = attempts.removeValue(forKey: id), !isDone else { return }
        outputs.append(.event(.retried(end)))
        let most: UInt64 = attemptCounts[index] < 10 ? 100 : 1000
        timers.set(.retry(index), at: now + .milliseconds(Int64(random.next() % most)))
    }

    // MARK: Timers

    private mutating func expired(_ timer: Timer, at now: Instant) {
        switch timer {
        case .retry(let index): connect(index)
        case .end:
            if isDone {
                close()
            } else {
                finish(.failed(targets.isEmpty ? .noPeer : hasHeard ? .oneWay : .nothingHeard))
            }
        }
    }

    private mutating func finish(_ event: Event) {
        outputs.append(.event(event))
        close()
    }

    private mutating func close() {
        isOver = true
        timers.cancelAll()
        for id in [Self.server, Self.listener] + attempts.keys + links.keys.sorted(by: { $0.number < $1.number }) {
            outputs.append(.close(id, isAbrupt: true))
        }
    }
}
