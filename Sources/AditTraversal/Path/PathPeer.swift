// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// The search for a path to one peer: signals, the ICE agent, and the tactics that the agent's own checks do not cover.
///
/// It owns no socket; `PathFinder` performs its outputs. Of the two ends the controlling one decides when which tactic is
/// tried, by raising the tactic's round in its description, and the other follows.
struct PathPeer: Sendable {
    /// What `PathFinder` has to do.
    enum Output: Sendable {
        case send([UInt8], on: ICEBaseID, to: IPEndpoint, timeToLive: UInt8?)
        case open(UInt32, SocketKind)
        case write(UInt32, [UInt8])
        case close(UInt32, isAbrupt: Bool)
        /// The relay is to let an address in.
        case permit(IPAddress)
        /// The relay is to carry a selected pair with less to each packet.
        case bind(ICEBaseID, IPEndpoint)
        /// What comes from there on a shared base is this peer's.
        case route(ICEBaseEndpoint)
        case unroute(ICEBaseEndpoint)
        /// May ports be searched for?
        indirect case wantsSearch(SearchPlan)
        case searchEnded(isFound: Bool)
        /// The NAT in front of this machine answers in its place.
        case learntNeedOfOpeners
        /// What servers saw is too old.
        case wantsGathering
        /// A shared base has gone silent: servers may see it as something else than before.
        case suspects(ICEBaseID)
        /// Something with the peer's key came from an address.
        case heard(ICESource)
        case event(PathEvent)
    }

    enum Timer: Hashable, Sendable {
        case tell
        case tcp
        case openers
        case search
        case over
        case verdict
        case retry
        case opener
        case sampler
        case tidy
    }

    /// Own bases begin here; those below are shared by all peers.
    static let firstOwnBase: UInt32 = 1 << 20
    /// So many sockets of its own a peer has at most: those of a search, and some.
    static let socketLimit = 288
    /// So many connections with somebody are held until one is proven.
    static let streamLimit = 8

    /// So many endpoints may send payload at once.
    static let endpointLimit = 16

    let id: PathPeerID
    let ownID: PathPeerID
    /// Whether `connect` was called, rather than the peer having called.
    var isWanted: Bool
    var world: PathWorld
    var random: any RandomNumberGenerator & Sendable
    var timers = TimerTable<Timer>()
    var exchange: PathExchange
    var agent: ICEAgent

    var credentials: ICECredentials
    /// Whether the peer's present credentials belong to others of ours than the present ones.
    var areCredentialsFresh = true
    /// Whether the peer will answer ours with others, because it told its present ones before it knew of ours.
    var expectsAnswer = false
    var remote: PathDescription?
    var told: [PathWorld.Candidate] = []
    /// Bases that were told and are about to go.
    var leaving: Set<ICEBaseID> = []
    var isLocalDone = false
    var heard: Set<ICECandidate> = []
    var isRemoteDone = false

    var selected: ICEPair? {
        didSet {
            // The peer may go on sending there.
            if let way { noteAlive(way) }
            way = selected.map { ICEBaseEndpoint(base: $0.base, endpoint: $0.remote.endpoint) }
        }
    }
    /// Where payload leaves and where it goes; nil while there is no path.
    private(set) var way: ICEBaseEndpoint?
    var doubt = PathDoubt()
    var report: PathReport
    let begunAt: Instant
    /// When both ends knew enough to begin; nil while the peer has not answered.
    var attemptAt: Instant?
    var isAttemptOver = false
    var retryPause: Duration
    /// When a path was lost last.
    var lostAt: Instant?
    var packetsSpent = 0
    var relayTransport = PathRelayTransport.udp

    var sockets: [UInt32: OwnSocket] = [:]
    var nextSocket = PathPeer.firstOwnBase
    var openers: Openers?
    var tcp: Punch?
    var search: Search?
    /// How the last search ended, for the reason.
    var searchEnd: PathSearchEnd?
    var searchSockets = 0
    var searchProbes = 0
    /// The tactic that found the selected pair.
    var tactic: PathTactic?
    /// Direct pairs that answered, and by which tactic they came to be.
    var tacticOfBase: [ICEBaseID: PathTactic] = [:]
    /// From where payload of the peer's may come; first what has been silent longest, apart from the path in use.
    var validEndpoints: [ICEBaseEndpoint] = []

    /// When rounds of tactics began, so that a peer cannot ask for one after the other.
    var rounds: [Instant] = []
    /// Addresses at which the peer has answered a check through the relay: more than a few packets may be sent there.
    var provenAddresses: Set<IPAddress> = []
    /// The address from which the peer's session comes, by the server's word; nil while it says none.
    var vouched: IPAddress?
    /// SYNs that addresses got which never showed to be the peer's, and when the last of them were noted.
    var aimed: [IPAddress: (count: Int, at: Instant)] = [:]

    private var outputs: [Output] = []
    private var firstOutput = 0

    init(
        _ id: PathPeerID,
        of ownID: PathPeerID,
        isWanted: Bool,
        world: PathWorld,
        session: UInt64,
        random: any RandomNumberGenerator & Sendable,
        at now: Instant
    ) {
        self.id = id
        self.ownID = ownID
        self.isWanted = isWanted
        self.world = world
        self.random = random
        exchange = PathExchange(session: session, timing: world.timing)
        var generator = PathGenerator(random)
        credentials = ICECredentials(using: &generator)
        let tieBreaker = generator.next()
        self.random = generator.base
        var filter = ICEAddressFilter(own: world.addresses, trusted: world.serverAddresses)
        filter.allowsLoopback = world.addresses.contains { $0.isLoopback }
        agent = ICEAgent(
            ICEConfiguration(
                role: ownID < id ? .controlling : .controlled,
                tieBreaker: tieBreaker,
                local: credentials,
                remoteFilter: filter
            ),
            random: PathGenerator.branch(&self.random)
        )
        begunAt = now
        retryPause = world.timing.retry
        report = PathReport(since: now, isSideA: ownID < id, local: world.nat)
        tellLocal(at: now)
        prepareTCP(at: now)
        tellSoon(at: now)
    }

    /// Whether this end decides which tactic is tried, and why the path is as it is.
    var leads: Bool { ownID < id }

    /// Which paths both ends allow.
    var policy: PathPolicy { world.policy.combined(with: remote?.policy ?? .automatic) }

    /// Whether there is a direct path.
    var isDirect: Bool { selected.map { !$0.isRelayed } ?? false }

    /// When `.timer` is due.
    var nextDeadline: Instant? {
        var earliest = timers.nextDeadline
        for deadline in [agent.nextDeadline, exchange.nextDeadline, tcp?.machineDeadline, search?.machineDeadline] {
            if let deadline { earliest = min(earliest ?? deadline, deadline) }
        }
        return earliest
    }

    // What a finder asks after each packet is `mutating`, so that it is asked in place: what is only read out of an optional place
    // is copied first, and a peer is large.

    /// By which fragment checks for it are found.
    mutating func fragment() -> String { credentials.ufrag }

    /// When `.timer` is due.
    mutating func deadline() -> Instant? { nextDeadline }

    /// Where payload leaves and where it goes.
    mutating func payloadWay() -> ICEBaseEndpoint? { way }

    /// Whether a socket of its own is a connection.
    mutating func isStream(_ number: UInt32) -> Bool { sockets[number]?.isStream == true }

    /// How large packets may be now, in bytes.
    mutating func packetSize(at now: Instant) -> Int {
        guard let way, !isInDoubt(at: now) else { return PathFinder.leastPacketSize }
        if way.base.number >= Self.firstOwnBase, isStream(way.base.number) { return PathFinder.streamPacketSize }
        return max(PathFinder.leastPacketSize, agent.selectedPacketSize)
    }

    mutating func output(_ output: Output) { outputs.append(output) }

    /// What is to be done next.
    mutating func nextOutput() -> Output? {
        guard firstOutput < outputs.count else {
            outputs.removeAll(keepingCapacity: outputs.capacity <= 64)
            firstOutput = 0
            return nil
        }
        firstOutput += 1
        return outputs[firstOutput - 1]
    }

    func trace(_ words: Text, at now: Instant) -> Output {
        .event(.trace(PathTrace(at: now, words), of: id))
    }

    // MARK: Time

    mutating func timer(at now: Instant) {
        if let due = exchange.nextDeadline, due <= now {
            if let signal = exchange.overdue(at: now) { output(.event(.signal(signal, to: id))) }
            if exchange.isUnanswered { unanswered(at: now) }
        }
        if let due = agent.nextDeadline, due <= now { handleAgent(.timer, at: now) }
        if let due = tcp?.machineDeadline, due <= now { handlePunch(.timer, at: now) }
        if let due = search?.machineDeadline, due <= now { searchTimer(at: now) }
        while let timer = timers.expire(at: now) {
            switch timer {
            case .tell: tell(at: now)
            case .tcp: beginTCP(at: now)
            case .openers: beginOpeners(at: now)
            case .search: beginSampling(at: now)
            case .over: attemptEnded(at: now)
            case .verdict: updateReport(at: now)
            case .retry: restart(at: now)
            case .opener: openerDue(at: now)
            case .sampler: samplerDue(at: now)
            case .tidy: closeIdleSockets(at: now)
            }
        }
    }

    private mutating func unanswered(at now: Instant) {
        // A path that works needs no signals.
        guard selected == nil else { return }
        if exchange.hasPeer {
            updateReport(at: now)
        } else {
            output(.event(.ended(id, .noAnswer)))
        }
    }
}
