// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What the seven steps need to know beforehand.
package struct SevenStepsConfiguration: Sendable, Hashable {
    /// Which of the two sides.
    package enum Side: Sendable, Hashable {
        /// A, who asks for the connection and listens from the second step on.
        case asking
        /// B, who is told where A is and tries first.
        case asked
    }

    /// Which side this is.
    package var side: Side
    /// Whether B keeps the socket of step 4; taken literally, the steps close it, because the connection has failed.
    package var keepsFourthSocket: Bool
    /// How people call this side, in the trace.
    package var name = "A"
    /// How they call the other one.
    package var peerName = "B"
    /// How long B waits in step 4.
    package var fourthStep = Duration.seconds(1)
    /// How long the whole may take, counted from `begin`.
    package var patience = Duration.seconds(12)

    /// Makes it for a side.
    package init(_ side: Side, keepsFourthSocket: Bool) {
        self.side = side
        self.keepsFourthSocket = keepsFourthSocket
    }
}

/// TCP punching in seven steps, one after the other: the way that many texts describe it.
///
/// 1. A and B tell the server that they are there. 2. A connects to the server from a port, and listens on it. 3. The server tells
/// B how it sees that port. 4. B connects there; when that succeeds, all is done. 5. B connects to the server from the same port,
/// and listens on it. 6. The server tells A how it sees B's port. 7. A connects there.
///
/// ``TCPPunch`` does the same at once, in a round trip and a half. This one shows why the order matters: in step 4 B's SYN opens
/// B's router, which remembers its sequence number; step 7 reaches B's listener, whose answer has another number, and a router
/// that tracks windows drops it. With the socket of step 4 still there, that one answers.
package struct SevenSteps: Sendable {
    private enum Timer: Hashable, Sendable {
        case fourth
        case end
    }

    private static let listener = PunchSocketID(1)
    private static let server = PunchSocketID(2)
    private static let connectionLimit = 8

    private let configuration: SevenStepsConfiguration
    private var random: any RandomNumberGenerator & Sendable
    private var outputs: [TCPPunchOutput] = []
    private var timers = TimerTable<Timer>()
    private var local: IPEndpoint?
    private var servers: [IPEndpoint] = []
    private var links = PunchServerLinks()
    private var peer: IPEndpoint?
    private var attempt: PunchSocketID?
    private var attemptCount: UInt32 = 0
    private var hasTold = false
    private var hasListener = false
    private var establishedCount = 0
    private var isOver = false

    /// Makes the steps of one side, which wait for `begin`.
    package init(_ configuration: SevenStepsConfiguration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
    }

    /// When `.timer` is to be handed in; nil for never.
    package var nextDeadline: Instant? { timers.nextDeadline }

    /// What the driver has to do next.
    package mutating func nextOutput() -> TCPPunchOutput? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    /// Takes what happened; `go`, `goAfter` and `search` mean nothing here.
    package mutating func handle(_ input: TCPPunchInput, at now: Instant) {
        guard !isOver else { return }
        switch input {
        case .begin(let local, let servers): begin(local, servers, at: now)
        case .targets(let endpoints): if let first = endpoints.first { told(first, at: now) }
        case .opened(Self.listener, let local): listening(local, at: now)
        case .connected(let id, let local, let remote): connected(id, local, remote, at: now)
        case .accepted(let id, _, let local, let remote): establish(id, local, remote)
        case .bytes(let id, let bytes):
            guard links.owns(id) else { return }
            if !links.take(bytes, id, at: now) {
                links.remove(id)
                outputs.append(.close(id, isAbrupt: true))
            }
            serverAnswered()
        case .closed(let id, let end): closed(id, end, at: now)
        case .stop: finish(nil)
        case .timer:
            while !isOver, let timer = timers.expire(at: now) {
                switch timer {
                case .fourth: fourthFailed(nil, at: now)
                case .end: finish(establishedCount > 0 ? nil : peer == nil ? .noPeer : .timedOut)
                }
            }
        case .search, .trust, .go, .goAfter, .opened: break
        }
    }

    // MARK: Steps

    private mutating func begin(_ local: IPEndpoint, _ servers: [IPEndpoint], at now: Instant) {
        guard self.local == nil else { return }
        self.servers = Array(servers.prefix(1))
        timers.set(.end, at: now + configuration.patience)
        // B uses its port before it listens there, so that the port has to be known.
        let port = local.port != 0 ? local.port : 20_000 + UInt16(random.next(upperBound: UInt64(41_000)))
        self.local = IPEndpoint(local.address, port)
        tell(1, SevenStepsWords.present(configuration.name))
        if configuration.side == .asking { connectServer(at: now) }
    }

    /// Steps 2 and 5.
    private mutating func connectServer(at now: Instant) {
        guard let local, let server = servers.first else { return finish(.noServer) }
        let words = SevenStepsWords.server(configuration.name, local, server, isFirst: configuration.side == .asking)
        tell(configuration.side == .asking ? 2 : 5, words)
        links.add(Self.server, server: 0)
        hasListener = true
        outputs.append(.open(Self.server, .tcp(local: local, remote: server)))
        outputs.append(.open(Self.listener, .listener(local: local)))
    }

    private mutating func listening(_ local: IPEndpoint, at now: Instant) {
        self.local = local
    }

    /// Steps 3 and 6.
    private mutating func serverAnswered() {
        guard !hasTold, links.isSettled, let local else { return }
        hasTold = true
        let seen = links.endpoints
        guard let endpoint = seen.first else { return finish(.noServer) }
        tell(
            configuration.side == .asking ? 3 : 6,
            SevenStepsWords.seen(configuration.name, configuration.peerName, local, endpoint)
        )
        outputs.append(.event(.mapped(seen, local: local)))
    }

    /// Steps 4 and 7.
    private mutating func told(_ endpoint: IPEndpoint, at now: Instant) {
        guard peer == nil, local != nil else { return }
        peer = endpoint
        connectPeer(endpoint)
        if configuration.side == .asked { timers.set(.fourth, at: now + configuration.fourthStep) }
    }

    private mutating func connectPeer(_ endpoint: IPEndpoint) {
        guard let local else { return }
        tell(
            configuration.side == .asking ? 7 : 4,
            SevenStepsWords.connects(configuration.name, configuration.peerName, local, endpoint)
        )
        let id = PunchSocketID(3 + attemptCount)
        attemptCount += 1
        attempt = id
        outputs.append(.open(id, .tcp(local: local, remote: endpoint)))
    }

    private mutating func fourthFailed(_ end: SocketEnd?, at now: Instant) {
        guard configuration.side == .asked, !hasListener, establishedCount == 0 else { return }
        timers.cancel(.fourth)
        if let end {
            tell(4, SevenStepsWords.fourthRefused(configuration.name, end))
        } else {
            tell(4, SevenStepsWords.fourthTimedOut(configuration.name, isKept: configuration.keepsFourthSocket))
            if !configuration.keepsFourthSocket, let attempt {
                outputs.append(.close(attempt, isAbrupt: false))
                self.attempt = nil
            }
        }
        connectServer(at: now)
    }

    // MARK: Connections

    private mutating func connected(_ id: PunchSocketID, _ local: IPEndpoint, _ remote: IPEndpoint, at now: Instant) {
        if id == Self.server {
            outputs.append(.write(id, links.connected(id, remote, &random, at: now)))
        } else if id == attempt {
            attempt = nil
            timers.cancel(.fourth)
            establish(id, local, remote)
        }
    }

    private mutating func establish(_ id: PunchSocketID, _ local: IPEndpoint, _ remote: IPEndpoint) {
        guard establishedCount < Self.connectionLimit else {
            outputs.append(.close(id, isAbrupt: true))
            return
        }
        establishedCount += 1
        tell(0, PunchWords.established(configuration.name, configuration.peerName, local, remote))
        outputs.append(.event(.established(id, local: local, remote: remote)))
    }

    private mutating func closed(_ id: PunchSocketID, _ end: SocketEnd, at now: Instant) {
        switch id {
        case Self.listener: finish(.noSocket(end))
        case Self.server:
            links.remove(id)
            serverAnswered()
        case attempt:
            attempt = nil
            if configuration.side == .asked, !hasListener {
                fourthFailed(end, at: now)
            } else {
                tell(configuration.side == .asking ? 7 : 4, SevenStepsWords.fourthRefused(configuration.name, end))
            }
        default: if establishedCount > 0 { establishedCount -= 1 }
        }
    }

    private mutating func finish(_ failure: TCPPunchFailure?) {
        isOver = true
        timers.cancelAll()
        if hasListener { outputs.append(.close(Self.listener, isAbrupt: true)) }
        for id in links.ids + (attempt.map { [$0] } ?? []) { outputs.append(.close(id, isAbrupt: true)) }
        if let failure {
            outputs.append(.event(.failed(failure)))
        }
    }

    private mutating func tell(_ number: Int, _ words: Text) {
        outputs.append(.event(.trace(PunchStep(words, number: number))))
    }

    /// How many of the 16 pairs of NAT types the steps reach, and why.
    package static func reach(keepsFourthSocket: Bool) -> Text {
        keepsFourthSocket ? SevenStepsWords.reachKept : SevenStepsWords.reachLiteral
    }
}
