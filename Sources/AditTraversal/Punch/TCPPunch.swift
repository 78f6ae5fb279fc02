// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What a TCP punch needs to know beforehand.
package struct TCPPunchConfiguration: Sendable, Hashable {
    /// How people call this side, in the trace.
    package var name = "A"
    /// How they call the other one.
    package var peerName = "B"
    /// How long the servers have to answer.
    package var serverPatience = Duration.seconds(8)
    /// How long answers are awaited after the first one.
    package var gathering = Duration.milliseconds(400)
    /// How long the peer is tried after `go`; a search has the time of its limits.
    package var patience = Duration.seconds(40)
    /// How often one endpoint is tried.
    package var attemptLimit = 60
    /// How many connections are handed to the owner at once.
    package var connectionLimit = 8
    /// How many endpoints of the peer are taken.
    package var targetLimit = 20
    /// How many SYNs an address gets that has not shown to be the peer's, those that TCP repeats among them; nil for any number.
    package var strangerLimit: Int?
    /// What such addresses got a short while ago.
    package var spent: [IPAddress: Int] = [:]
    /// What a search may cost.
    package var limits = PunchLimits()

    /// Makes the usual one.
    package init() {}
}

/// Punches TCP through two NATs: both sides connect to each other at the same time (simultaneous open, RFC 9293 section 3.5).
///
/// One local port serves the connections to the servers, a listener, and one connecting socket for each endpoint of the peer. A
/// connecting socket is never closed during the attempt: the router remembers its sequence number, and drops the answer of
/// any other. A refused connection is made again after a random pause of at most 100 ms, so that two sides do not miss each other
/// for ever. Whether a connection leads to the peer is for its owner to prove.
package struct TCPPunch: Sendable {
    private enum Timer: Hashable, Sendable {
        case servers
        case gathered
        case start
        case connect
        case giveUp
        case end
    }

    /// One thing to connect.
    private struct Target: Sendable {
        var endpoint: IPEndpoint
        /// Whether each connection to it leaves from the shared port, or from one of its own.
        var isShared = true
        var attempts = 0
        var dueAt: Instant?
        var isLinked = false
    }

    private struct Attempt: Sendable {
        var target: Int
        var sentAt: Instant
        /// Whether it is given up before TCP sends its SYN again.
        var isHasty: Bool
    }

    private static let listener = PunchSocketID(1)
    private static let ownPortAttempts = 3
    /// So often TCP sends the SYN of one connection within the patience: at once, and after 1, 3, 7, 15 and 31 s (RFC 6298).
    private static let repeatedSYNs = 6

    private let configuration: TCPPunchConfiguration
    private var random: any RandomNumberGenerator & Sendable
    private var outputs: [TCPPunchOutput] = []
    private var firstOutput = 0
    private var timers = TimerTable<Timer>()
    private var pace: PacketPace
    private var servers: [IPEndpoint] = []
    private var links = PunchServerLinks()
    private var local: IPEndpoint?
    private var hasTold = false
    private var hasBegun = false
    private var isGoing = false
    private var isOver = false
    private var search: SearchPlan?
    private var isReady = false
    private var targets: [Target] = []
    private var trusted: Set<IPAddress> = []
    /// What addresses that are not trusted got, or will where nobody answers.
    package private(set) var spent: [IPAddress: Int] = [:]
    private var attempts: [PunchSocketID: Attempt] = [:]
    private var established: [PunchSocketID: IPEndpoint] = [:]
    private var nextID: UInt32 = 16
    /// How many connections were begun.
    package private(set) var attemptCount = 0

    /// Makes a punch that waits for `begin`.
    package init(
        _ configuration: TCPPunchConfiguration = TCPPunchConfiguration(),
        random: any RandomNumberGenerator & Sendable
    ) {
        self.configuration = configuration
        self.random = random
        spent = configuration.spent
        pace = PacketPace(configuration.limits.packetsPerSecond)
    }

    /// When `.timer` is to be handed in; nil for never.
    package var nextDeadline: Instant? { timers.nextDeadline }

    /// What the driver has to do next.
    package mutating func nextOutput() -> TCPPunchOutput? {
        guard firstOutput < outputs.count else {
            outputs.removeAll(keepingCapacity: true)
            firstOutput = 0
            return nil
        }
        firstOutput += 1
        return outputs[firstOutput - 1]
    }

    /// Takes what happened.
    package mutating func handle(_ input: TCPPunchInput, at now: Instant) {
        guard !isOver else { return }
        switch input {
        case .begin(let local, let servers): begin(local, servers)
        case .targets(let endpoints): add(endpoints, at: now)
        case .trust(let address):
            guard trusted.count < configuration.targetLimit else { return }
            trusted.insert(address)
        case .search(let plan): begin(plan, at: now)
        case .go: go(at: now)
        case .goAfter(let pause):
            if !isGoing { timers.set(.start, at: now + max(.zero, pause)) }
        case .opened(Self.listener, let local): listening(local, at: now)
        case .opened: break
        case .connected(let id, let local, let remote): connected(id, local, remote, at: now)
        case .accepted(let id, _, let local, let remote): accepted(id, local, remote)
        case .bytes(let id, let bytes):
            guard links.owns(id) else { return }
            if !links.take(bytes, id, at: now) {
                links.remove(id)
                outputs.append(.close(id, isAbrupt: true))
            }
            serversAnswered(at: now)
        case .closed(let id, let end): closed(id, end, at: now)
        case .stop: finish(nil)
        case .timer:
            while !isOver, let timer = timers.expire(at: now) { expired(timer, at: now) }
        }
    }

    // MARK: The port and its servers

    private mutating func begin(_ local: IPEndpoint, _ servers: [IPEndpoint]) {
        guard !hasBegun else { return }
        hasBegun = true
        self.servers = Array(servers.prefix(PortSamples.limit))
        outputs.append(.open(Self.listener, .listener(local: local)))
    }

    private mutating func listening(_ local: IPEndpoint, at now: Instant) {
        guard self.local == nil else { return }
        self.local = local
        trace(PunchWords.listens(configuration.name, local))
        timers.set(.servers, at: now + configuration.serverPatience)
        for (index, server) in servers.enumerated() {
            let id = PunchSocketID(2 + UInt32(index))
            links.add(id, server: index)
            outputs.append(.open(id, .tcp(local: local, remote: server)))
        }
        serversAnswered(at: now)
        if isGoing { work(at: now) }
    }

    private mutating func serversAnswered(at now: Instant) {
        guard !hasTold else { return }
        if links.isSettled { return tellMapped() }
        if links.endpoints.count > 0, timers[.gathered] == nil {
            timers.set(.gathered, at: now + configuration.gathering)
        }
    }

    private mutating func tellMapped() {
        guard !hasTold, let local else { return }
        hasTold = true
        timers.cancel(.servers)
        timers.cancel(.gathered)
        let endpoints = links.endpoints
        trace(PunchWords.seen(configuration.name, local, endpoints))
        outputs.append(.event(.mapped(endpoints, local: local)))
    }

    // MARK: The peer

    private mutating func add(_ endpoints: [IPEndpoint], at now: Instant) {
        for endpoint in endpoints where targets.count < configuration.targetLimit {
            guard !targets.contains(where: { $0.endpoint == endpoint }) else { continue }
            targets.append(Target(endpoint: endpoint))
            if isGoing { due(targets.count - 1, at: now) }
        }
        if isGoing { work(at: now) }
    }

    private mutating func begin(_ plan: SearchPlan, at now: Instant) {
        guard search == nil else { return }
        search = plan
        let limits = configuration.limits
        switch (plan.tactic, plan.role) {
        case (.window, _), (.birthday, .opener):
            let target = Target(endpoint: plan.peer, isShared: false)
            targets += Array(repeating: target, count: min(plan.socketCount, limits.sockets, limits.flows))
        case (.prediction, .opener), (.block, .opener): targets.append(Target(endpoint: plan.peer))
        case (.prediction, .prober):
            // As many as may be pending at once: each stays until the attempt is over.
            probe(plan, plan.guesses.prefix(limits.sockets))
        case (.birthday(_, let probes), .prober):
            probe(plan, plan.ports(min(probes, limits.flows), using: &random)[...])
        case (.block(let probes), .prober): probe(plan, plan.ports(min(probes, limits.sockets), using: &random)[...])
        }
        if isGoing { startSearch(at: now) }
    }

    private mutating func probe(_ plan: SearchPlan, _ ports: ArraySlice<UInt16>) {
        targets += ports.map { Target(endpoint: IPEndpoint(plan.peer.address, $0)) }
    }

    private mutating func go(at now: Instant) {
        guard !isGoing else { return }
        isGoing = true
        timers.cancel(.start)
        trace(PunchWords.connects(configuration.name, targets.map(\.endpoint)))
        timers.set(.end, at: now + (search == nil ? configuration.patience : configuration.limits.duration))
        startSearch(at: now)
    }

    private mutating func startSearch(at now: Instant) {
        if search != nil { timers.set(.end, at: now + configuration.limits.duration) }
        for index in targets.indices where targets[index].attempts == 0 { due(index, at: now) }
        work(at: now)
    }

    private mutating func due(_ index: Int, at time: Instant) {
        targets[index].dueAt = time
    }

    /// How many connections leave at once; the others follow one by one.
    private var burst: Int {
        switch search?.tactic {
        case nil: configuration.targetLimit
        case .prediction(let window): window
        case .window(let sockets): sockets
        case .birthday, .block: 1
        }
    }

    /// Whether a connection that nobody answers is given up before it is sent again: where each port is tried once.
    private var isHasty: Bool {
        if case .birthday? = search?.tactic, search?.role == .prober { return true }
        return false
    }

    /// Whether a connection to the target is given up before TCP sends its SYN again: a search at an address that nobody has
    /// shown to be the peer's tries each port once.
    private func isHasty(_ target: Target) -> Bool {
        if isHasty { return true }
        guard isStranger(target.endpoint.address), let search, target.endpoint.address == search.peer.address else {
            return false
        }
        switch (search.tactic, search.role) {
        case (.prediction, .prober), (.window, _), (.block, .prober): return true
        case (.prediction, .opener), (.block, .opener), (.birthday, _): return !target.isShared
        }
    }

    private func isStranger(_ address: IPAddress) -> Bool {
        configuration.strangerLimit != nil && !trusted.contains(address)
    }

    /// Whether one more connection to the target stays within what a stranger may get.
    private func isWithinLimit(_ target: Target) -> Bool {
        guard let limit = configuration.strangerLimit, isStranger(target.endpoint.address) else { return true }
        let cost = isHasty(target) ? 1 : Self.repeatedSYNs
        return (spent[target.endpoint.address] ?? 0) + cost <= limit
    }

    private mutating func work(at now: Instant) {
        guard isGoing, let local, !isOver else { return }
        var earliest: Instant?
        var isHeld = false
        for index in targets.indices {
            guard let dueAt = targets[index].dueAt else { continue }
            if isHeld || dueAt > now {
                if dueAt > now { earliest = min(earliest ?? dueAt, dueAt) }
                continue
            }
            guard search == nil || attemptCount < configuration.limits.flows, isWithinLimit(targets[index]) else {
                targets[index].dueAt = nil
                continue
            }
            guard attempts.count < configuration.limits.sockets,
                pace.take(at: now, repeating: isHasty ? [] : PacketPace.repetitions)
            else {
                isHeld = true
                continue
            }
            connect(index, local, at: now)
            isHeld = attemptCount >= burst && search != nil
        }
        if isHeld, targets.contains(where: { $0.dueAt.map { $0 <= now } ?? false }) {
            let next = now + PortSearch.spacing
            earliest = min(earliest ?? next, next)
        }
        if let earliest {
            timers.set(.connect, at: earliest)
        } else {
            timers.cancel(.connect)
        }
        settle()
    }

    private mutating func connect(_ index: Int, _ local: IPEndpoint, at now: Instant) {
        targets[index].dueAt = nil
        targets[index].attempts += 1
        attemptCount += 1
        let id = PunchSocketID(nextID)
        nextID += 1
        let isHasty = isHasty(targets[index])
        attempts[id] = Attempt(target: index, sentAt: now, isHasty: isHasty)
        if isStranger(targets[index].endpoint.address) {
            spent[targets[index].endpoint.address, default: 0] += isHasty ? 1 : Self.repeatedSYNs
        }
        let source = targets[index].isShared ? local : IPEndpoint(local.address, 0)
        outputs.append(.open(id, .tcp(local: source, remote: targets[index].endpoint)))
        if isHasty, timers[.giveUp] == nil { timers.set(.giveUp, at: now + Self.haste) }
    }

    /// Shortly before TCP sends a SYN again.
    private static let haste = Duration.milliseconds(900)

    /// Tells when all sockets of an opener have sent.
    private mutating func settle() {
        guard let search, search.role == .opener, !isReady,
            targets.allSatisfy({ $0.attempts > 0 || $0.dueAt == nil })
        else { return }
        isReady = true
        outputs.append(.event(.ready))
    }

    // MARK: Connections

    private mutating func connected(_ id: PunchSocketID, _ local: IPEndpoint, _ remote: IPEndpoint, at now: Instant) {
        if links.owns(id) {
            outputs.append(.write(id, links.connected(id, remote, &random, at: now)))
            return
        }
        guard let attempt = attempts.removeValue(forKey: id) else { return }
        pace.giveBack(sent: attempt.sentAt, at: now)
        targets[attempt.target].isLinked = true
        establish(id, local, remote)
    }

    private mutating func accepted(_ id: PunchSocketID, _ local: IPEndpoint, _ remote: IPEndpoint) {
        establish(id, local, remote)
    }

    private mutating func establish(_ id: PunchSocketID, _ local: IPEndpoint, _ remote: IPEndpoint) {
        guard established.count < configuration.connectionLimit else {
            outputs.append(.close(id, isAbrupt: true))
            return
        }
        established[id] = remote
        trace(PunchWords.established(configuration.name, configuration.peerName, local, remote))
        outputs.append(.event(.established(id, local: local, remote: remote)))
    }

    private mutating func closed(_ id: PunchSocketID, _ end: SocketEnd, at now: Instant) {
        if id == Self.listener {
            return finish(.noSocket(end))
        } else if links.owns(id) {
            links.remove(id)
            serversAnswered(at: now)
        } else if let remote = established.removeValue(forKey: id) {
            guard let index = targets.firstIndex(where: { $0.endpoint == remote && $0.isShared }) else { return }
            targets[index].isLinked = false
            retry(index, end, at: now)
        } else if let attempt = attempts.removeValue(forKey: id) {
            pace.giveBack(sent: attempt.sentAt, at: now)
            settleCost(attempt, at: now)
            guard !attempt.isHasty else { return work(at: now) }
            retry(attempt.target, end, at: now)
        }
        work(at: now)
    }

    /// A connection that ended sends no further SYN.
    private mutating func settleCost(_ attempt: Attempt, at now: Instant) {
        let address = targets[attempt.target].endpoint.address
        guard !attempt.isHasty, let cost = spent[address] else { return }
        var sent = 1
        while sent < Self.repeatedSYNs, now - attempt.sentAt >= .seconds((1 << sent) - 1) { sent += 1 }
        spent[address] = max(0, cost - Self.repeatedSYNs + sent)
    }

    private mutating func retry(_ index: Int, _ end: SocketEnd, at now: Instant) {
        let target = targets[index]
        // The port has a connection with the endpoint already: the one that the listener took.
        if end == .addressUnavailable, target.isShared, established.values.contains(target.endpoint) { return }
        // A connection from a port of its own gets another port at the NAT, too, which soon is none that the peer aims at.
        let limit = target.isShared ? configuration.attemptLimit : Self.ownPortAttempts
        guard !target.isLinked, target.attempts < limit, !isHasty else { return }
        if target.attempts <= 3 {
            trace(PunchWords.again(configuration.name, configuration.peerName, target.endpoint, end))
        }
        let most: UInt64 = target.attempts < 10 ? 100 : 1000
        due(index, at: now + .milliseconds(Int64(random.next() % most)))
    }

    // MARK: Time

    private mutating func expired(_ timer: Timer, at now: Instant) {
        switch timer {
        case .servers, .gathered: tellMapped()
        case .start: go(at: now)
        case .connect: work(at: now)
        case .giveUp: giveUp(at: now)
        case .end: finish(established.isEmpty ? (targets.isEmpty ? .noPeer : .timedOut) : nil)
        }
    }

    private mutating func giveUp(at now: Instant) {
        var next: Instant?
        for (id, attempt) in attempts.sorted(by: { $0.key.number < $1.key.number }) where attempt.isHasty {
            let end = attempt.sentAt + Self.haste
            if end <= now {
                attempts[id] = nil
                outputs.append(.close(id, isAbrupt: true))
            } else {
                next = min(next ?? end, end)
            }
        }
        if let next { timers.set(.giveUp, at: next) }
        work(at: now)
    }

    private mutating func finish(_ failure: TCPPunchFailure?) {
        isOver = true
        timers.cancelAll()
        if hasBegun { outputs.append(.close(Self.listener, isAbrupt: true)) }
        for id in links.ids + attempts.keys.sorted(by: { $0.number < $1.number }) {
            outputs.append(.close(id, isAbrupt: true))
        }
        attempts.removeAll()
        if let failure { outputs.append(.event(.failed(failure))) }
    }

    private mutating func trace(_ words: Text) {
        outputs.append(.event(.trace(PunchStep(words))))
    }
}
