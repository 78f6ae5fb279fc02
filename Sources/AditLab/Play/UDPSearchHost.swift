// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal
internal import AditWire

/// A host that searches the ports of its peer's NAT with ``PortSearch``, the very machine that devices run.
///
/// A burst to four server endpoints gives samples, the rendezvous exchanges them, and both sides make their plans from the same
/// samples. Every packet says whether its sender has heard the other side, so that a side is done when the peer says so.
package struct UDPSearchHost: SocketMachine {
    package typealias Event = PunchEvent

    /// How long the server and the peer are waited for.
    package static let serverPatience = Duration.seconds(8)
    /// How long answers are awaited after the first one.
    package static let gathering = Duration.milliseconds(300)

    private enum Timer: Hashable, Sendable {
        case stun(Int)
        case gathered
        case hello
        case opened
        case probe
        case search
        case end
    }

    private static let main = SocketID(1)
    private static let firstSearched: UInt32 = 16
    private static let helloInterval = Duration.milliseconds(100)
    private static let probeInterval = Duration.milliseconds(50)
    private static let probeLimit = 40

    private let configuration: PunchConfiguration
    private var random: any RandomNumberGenerator & Sendable
    private var search: PortSearch
    private var outputs: [SocketOutput<Event>] = []
    private var firstOutput = 0
    private var timers = TimerTable<Timer>()
    private var local: IPEndpoint?
    private var queries: [STUNTransaction?] = []
    private var mapped: [Int: IPEndpoint] = [:]
    private var hasGreeted = false
    private var hasBegun = false
    private var openedLeft = 0
    /// Where the peer was heard: the socket, and from where.
    private var way: (socket: SocketID, peer: IPEndpoint)?
    private var probeCount = 0
    private var isPeerDone = false
    private var isOver = false
    /// Whether both directions work.
    package private(set) var isDone = false

    /// Makes the machine; it begins at once.
    package init(_ configuration: PunchConfiguration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
        search = PortSearch(limits: configuration.limits, random: random)
        outputs.append(.open(Self.main, .udp(local: IPEndpoint(.v4(0), 0))))
    }

    package var nextDeadline: Instant? { timers.nextDeadline }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        guard firstOutput < outputs.count else {
            outputs.removeAll(keepingCapacity: true)
            firstOutput = 0
            return nil
        }
        firstOutput += 1
        return outputs[firstOutput - 1]
    }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        guard !isOver else { return }
        switch input {
        case .opened(Self.main, let local): begin(local, at: now)
        case .opened(let id, _): hand(.opened(Int(id.number - Self.firstSearched)), at: now)
        case .received(let id, let bytes, let source): received(id, bytes, source, at: now)
        case .closed(Self.main, let end): finish(.failed(.socket(end)), at: now)
        case .closed(let id, _): hand(.notOpened(Int(id.number - Self.firstSearched)), at: now)
        case .timer:
            while !isOver, let timer = timers.expire(at: now) { expired(timer, at: now) }
        default: break
        }
    }

    // MARK: The server

    private mutating func begin(_ local: IPEndpoint, at now: Instant) {
        self.local = IPEndpoint(configuration.address, local.port)
        timers.set(.end, at: now + Self.serverPatience)
        // The way to the rendezvous takes its port of a sequence before the samples do.
        let first = PunchMessage(pair: configuration.pair, .hello, site: configuration.site)
        outputs.append(.send(Self.main, first.bytes, to: configuration.rendezvous, timeToLive: nil))
        let timing = STUNTiming(retransmission: .milliseconds(100), transmissions: 8, lastWait: 8)
        for index in configuration.servers.indices {
            let request = STUNMessage.bindingRequest(STUNTransactionID(using: &random))
            queries.append(STUNTransaction(request, timing: timing, at: now))
            ask(index, at: now)
        }
    }

    private mutating func ask(_ index: Int, at now: Instant) {
        if let bytes = queries[index]?.nextTransmission(at: now) {
            outputs.append(.send(Self.main, bytes, to: configuration.servers[index], timeToLive: nil))
        }
        if let deadline = queries[index]?.nextDeadline { timers.set(.stun(index), at: deadline) }
    }

    private mutating func answered(_ index: Int, _ bytes: [UInt8], at now: Instant) {
        guard case .success(let message, _)? = queries[index]?.handle(bytes.span.bytes, at: now),
            let endpoint = message.mappedEndpoint
        else { return }
        timers.cancel(.stun(index))
        mapped[index] = endpoint
        if mapped.count == configuration.servers.count {
            greet(at: now)
        } else if mapped.count == 1 {
            timers.set(.gathered, at: now + Self.gathering)
        }
    }

    private var endpoints: [IPEndpoint] { mapped.sorted { $0.key < $1.key }.map(\.value) }

    private mutating func greet(at now: Instant) {
        guard let local, let seen = endpoints.first, !hasBegun else { return }
        timers.cancel(.gathered)
        if !hasGreeted { outputs.append(.event(.seen(seen, local: local))) }
        hasGreeted = true
        var hello = PunchMessage(pair: configuration.pair, .hello, site: configuration.site)
        hello.addresses = [seen, local] + endpoints
        outputs.append(.send(Self.main, hello.bytes, to: configuration.rendezvous, timeToLive: nil))
        timers.set(.hello, at: now + Self.helloInterval)
    }

    private mutating func told(_ message: PunchMessage, at now: Instant) {
        switch message.kind {
        case .opened: hand(.peerOpened, at: now)
        case .go where message.site == configuration.site && !hasBegun:
            guard let endpoint = message.addresses.first else { return }
            hasBegun = true
            timers.cancel(.hello)
            timers.set(.end, at: now + configuration.limits.duration + .seconds(5))
            let own = PortSamples(endpoints, allocation: configuration.allocation)
            let peer = PortSamples(Array(message.addresses.dropFirst(3)), allocation: configuration.peerAllocation)
            guard let plan = SearchPlan.make(own: own, peer: peer, at: endpoint, options: configuration.options),
                configuration.tactic.suits(plan)
            else { return finish(.failed(.unsuitable), at: now) }
            outputs.append(.event(.step(PunchStep(SearchWords.plan(plan, configuration.site)))))
            outputs.append(.event(.began([plan.peer])))
            hand(.begin(plan), at: now)
        default: break
        }
    }

    // MARK: The search

    private mutating func hand(_ input: PortSearchInput, at now: Instant) {
        search.handle(input, at: now)
        while let output = search.nextOutput() {
            switch output {
            case .openSocket(let number):
                outputs.append(.open(id(number), .udp(local: IPEndpoint(.v4(0), 0))))
            case .closeSocket(let number): outputs.append(.close(id(number), isAbrupt: false))
            case .probe(let number, let target, let timeToLive):
                send(.probe, from: id(number), to: target, timeToLive: timeToLive)
            case .ready:
                openedLeft = 3
                tellOpened(at: now)
            case .finished(let outcome):
                if way == nil { outputs.append(.event(.spent(packets: search.packetCount))) }
                if outcome != .found, way == nil { finish(.failed(.exhausted), at: now) }
            }
        }
        if let deadline = search.nextDeadline { timers.set(.search, at: deadline) } else { timers.cancel(.search) }
    }

    /// The word may be lost, so that it is said three times.
    private mutating func tellOpened(at now: Instant) {
        openedLeft -= 1
        let opened = PunchMessage(pair: configuration.pair, .opened, site: configuration.site)
        outputs.append(.send(Self.main, opened.bytes, to: configuration.rendezvous, timeToLive: nil))
        if openedLeft > 0 { timers.set(.opened, at: now + Self.helloInterval) }
    }

    private func id(_ number: Int) -> SocketID {
        number == 0 ? Self.main : SocketID(Self.firstSearched + UInt32(number))
    }

    // MARK: The peer

    private mutating func received(_ id: SocketID, _ bytes: [UInt8], _ source: IPEndpoint, at now: Instant) {
        if let index = configuration.servers.firstIndex(of: source) { return answered(index, bytes, at: now) }
        guard let message = PunchMessage(bytes), message.pair == configuration.pair else { return }
        if source == configuration.rendezvous { return told(message, at: now) }
        guard message.site == configuration.site.other, message.kind == .probe || message.kind == .answer else {
            return
        }
        if way == nil {
            way = (id, source)
            outputs.append(.event(.spent(packets: search.packetCount)))
            outputs.append(.event(.learnt(source)))
            probe(at: now)
        }
        if message.hasHeard, !isDone {
            isDone = true
            way = (id, source)
            hand(id == Self.main ? .found : .foundOn(Int(id.number - Self.firstSearched)), at: now)
            outputs.append(.event(.connected(source)))
        }
        if message.isDone { isPeerDone = true }
        if isDone, isPeerDone { timers.cancel(.probe) }
        if message.kind == .probe { send(.answer, from: id, to: source, timeToLive: nil) }
    }

    private mutating func probe(at now: Instant) {
        guard let way, probeCount < Self.probeLimit else { return }
        probeCount += 1
        send(.probe, from: way.socket, to: way.peer, timeToLive: nil)
        timers.set(.probe, at: now + Self.probeInterval)
    }

    private mutating func send(
        _ kind: PunchMessage.Kind,
        from socket: SocketID,
        to target: IPEndpoint,
        timeToLive: UInt8?
    ) {
        var message = PunchMessage(pair: configuration.pair, kind, site: configuration.site)
        message.hasHeard = way != nil
        message.isDone = isDone
        outputs.append(.send(socket, message.bytes, to: target, timeToLive: timeToLive))
    }

    // MARK: Time

    private mutating func expired(_ timer: Timer, at now: Instant) {
        switch timer {
        case .stun(let index): ask(index, at: now)
        case .gathered, .hello: greet(at: now)
        case .opened: tellOpened(at: now)
        case .probe: probe(at: now)
        case .search: hand(.timer, at: now)
        case .end:
            if isDone {
                close(at: now)
            } else {
                finish(
                    .failed(way != nil ? .oneWay : hasBegun ? .exhausted : hasGreeted ? .noPeer : .noServer),
                    at: now
                )
            }
        }
    }

    private mutating func finish(_ event: Event, at now: Instant) {
        guard !isOver else { return }
        outputs.append(.event(event))
        close(at: now)
    }

    private mutating func close(at now: Instant) {
        guard !isOver else { return }
        isOver = true
        hand(.stop, at: now)
        timers.cancelAll()
        outputs.append(.close(Self.main, isAbrupt: false))
    }
}
