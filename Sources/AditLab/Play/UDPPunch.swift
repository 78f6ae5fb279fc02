// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal
internal import AditWire

/// The plain UDP punch: one socket asks the server how it is seen, tells the rendezvous, and on its word sends to the peer
/// while the peer does the same.
///
/// Every packet says whether its sender has heard the other side, so that a side is done when the peer says so. Addresses
/// from which the peer's packets come are sent to as well.
package struct UDPPunch: SocketMachine {
    package typealias Event = PunchEvent

    /// The time between two rounds of probes at first.
    package static let interval = Duration.milliseconds(50)
    /// The number of rounds after which the interval is 200 ms.
    package static let fastRounds = 10
    /// How long probes are sent.
    package static let patience = Duration.seconds(4)
    /// How long the server has to answer, and then the peer to come.
    package static let serverPatience = Duration.seconds(8)
    /// How many addresses of the peer are sent to.
    package static let targetLimit = 8

    private enum Timer: Hashable, Sendable {
        case stun
        case hello
        case probe
        case end
    }

    private static let socket = SocketID(1)
    private static let helloInterval = Duration.milliseconds(100)
    private static let slowInterval = Duration.milliseconds(200)

    private let configuration: PunchConfiguration
    private var random: any RandomNumberGenerator & Sendable
    private var outputs: [SocketOutput<Event>] = []
    private var timers = TimerTable<Timer>()
    private var query: STUNTransaction?
    private var local: IPEndpoint?
    private var seen: IPEndpoint?
    private var targets: [IPEndpoint] = []
    private var rounds = 0
    private var hasHeard = false
    private var isPeerDone = false
    private var isOver = false
    /// Whether both directions work.
    package private(set) var isDone = false
    /// How many packets were sent to the peer.
    package private(set) var sentCount = 0

    /// Makes the machine; it begins at once.
    package init(_ configuration: PunchConfiguration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
        outputs.append(.open(Self.socket, .udp(local: IPEndpoint(.v4(0), 0))))
    }

    package var nextDeadline: Instant? { timers.nextDeadline }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        guard !isOver else { return }
        switch input {
        case .opened(_, let local):
            self.local = IPEndpoint(configuration.address, local.port)
            timers.set(.end, at: now + Self.serverPatience)
            let request = STUNMessage.bindingRequest(STUNTransactionID(using: &random))
            query = STUNTransaction(
                request,
                timing: STUNTiming(retransmission: .milliseconds(100), transmissions: 8, lastWait: 8),
                at: now
            )
            ask(at: now)
        case .received(_, let bytes, let source):
            if source == configuration.stun {
                handleSTUN(bytes, at: now)
            } else if let message = PunchMessage(bytes), message.pair == configuration.pair {
                if source == configuration.rendezvous {
                    begin(message, at: now)
                } else {
                    hear(message, source, at: now)
                }
            }
        case .closed(_, let end): finish(.failed(.socket(end)))
        case .timer:
            while let timer = timers.expire(at: now) { expired(timer, at: now) }
        default: break
        }
    }

    // MARK: The server

    private mutating func ask(at now: Instant) {
        if let bytes = query?.nextTransmission(at: now) {
            outputs.append(.send(Self.socket, bytes, to: configuration.stun, timeToLive: nil))
        }
        if let deadline = query?.nextDeadline { timers.set(.stun, at: deadline) } else { timers.cancel(.stun) }
    }

    private mutating func handleSTUN(_ bytes: [UInt8], at now: Instant) {
        guard case .success(let message, _)? = query?.handle(bytes.span.bytes, at: now), let local,
            let mapped = message.mappedEndpoint
        else { return }
        timers.cancel(.stun)
        seen = mapped
        outputs.append(.event(.seen(mapped, local: local)))
        greet(at: now)
    }

    private mutating func greet(at now: Instant) {
        guard let seen, let local else { return }
        var hello = PunchMessage(pair: configuration.pair, .hello, site: configuration.site)
        hello.addresses = [seen, local]
        outputs.append(.send(Self.socket, hello.bytes, to: configuration.rendezvous, timeToLive: nil))
        timers.set(.hello, at: now + Self.helloInterval)
    }

    // MARK: The peer

    private mutating func begin(_ go: PunchMessage, at now: Instant) {
        guard go.kind == .go, go.site == configuration.site, rounds == 0 else { return }
        timers.cancel(.hello)
        timers.set(.end, at: now + Self.patience)
        let told = PunchTargets(go).endpoints
        targets = told + targets.filter { !told.contains($0) }
        outputs.append(.event(.began(told)))
        probe(at: now)
    }

    private mutating func probe(at now: Instant) {
        for target in targets { send(.probe, to: target) }
        rounds += 1
        timers.set(.probe, at: now + (rounds < Self.fastRounds ? Self.interval : Self.slowInterval))
    }

    private mutating func send(_ kind: PunchMessage.Kind, to target: IPEndpoint) {
        var message = PunchMessage(pair: configuration.pair, kind, site: configuration.site)
        message.hasHeard = hasHeard
        message.isDone = isDone
        sentCount += 1
        outputs.append(.send(Self.socket, message.bytes, to: target, timeToLive: nil))
    }

    private mutating func hear(_ message: PunchMessage, _ source: IPEndpoint, at now: Instant) {
        guard message.site == configuration.site.other, message.kind == .probe || message.kind == .answer else {
            return
        }
        hasHeard = true
        let isNew = !targets.contains(source) && targets.count < Self.targetLimit
        if isNew {
            targets.append(source)
            outputs.append(.event(.learnt(source)))
        }
        if message.hasHeard, !isDone {
            isDone = true
            outputs.append(.event(.connected(source)))
        }
        if message.isDone { isPeerDone = true }
        if isDone, isPeerDone { timers.cancel(.probe) }
        // An answer from an address that was not known may have come by a way that has not been tried yet.
        if message.kind == .probe { send(.answer, to: source) } else if isNew { send(.probe, to: source) }
    }

    // MARK: Timers

    private mutating func expired(_ timer: Timer, at now: Instant) {
        switch timer {
        case .stun: ask(at: now)
        case .hello: greet(at: now)
        case .probe: probe(at: now)
        case .end:
            if isDone {
                close()
            } else if seen == nil {
                finish(.failed(.noServer))
            } else if rounds == 0 {
                finish(.failed(.noPeer))
            } else {
                finish(.failed(hasHeard ? .oneWay : .nothingHeard))
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
        outputs.append(.close(Self.socket, isAbrupt: false))
    }
}
