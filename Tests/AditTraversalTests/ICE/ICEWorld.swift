// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire

/// Two agents, and a network of a few lines between them, in virtual time.
struct ICEWorld {
    /// What stands before a base.
    final class Box {
        enum Kind { case full, restricted, symmetric }

        let kind: Kind
        let address: IPAddress
        private struct Flow: Hashable {
            let number: Int
            let endpoint: IPEndpoint?
        }

        private var ports: [Flow: UInt16] = [:]
        private var inside: [UInt16: Int] = [:]
        private var allowed: Set<Flow> = []

        init(_ kind: Kind, _ address: String) {
            self.kind = kind
            self.address = ICEWorld.address(address)
        }

        func leave(_ spot: Int, to endpoint: IPEndpoint) -> IPEndpoint {
            let key = Flow(number: spot, endpoint: kind == .symmetric ? endpoint : nil)
            let port = ports[key] ?? UInt16(40_000 + 7 * ports.count)
            ports[key] = port
            inside[port] = spot
            allowed.insert(Flow(number: Int(port), endpoint: endpoint))
            return IPEndpoint(address, port)
        }

        func enter(_ port: UInt16, from: IPEndpoint) -> Int? {
            guard kind == .full || allowed.contains(Flow(number: Int(port), endpoint: from)) else { return nil }
            return inside[port]
        }
    }

    /// A base of an agent.
    struct Spot {
        let agent: Int
        let base: ICEBaseID
        let endpoint: IPEndpoint
        /// Where private addresses are reached; nil for the internet.
        var site: Int?
        var box: Box?
        var delay = Duration.milliseconds(10)
        var isBroken = false
        /// The other end, for a TCP connection.
        var peer: Int?
    }

    struct Packet {
        let at: Instant
        let order: Int
        let spot: Int
        let from: IPEndpoint
        let bytes: [UInt8]
    }

    var agents: [ICEAgent]
    var events: [[(at: Instant, event: ICEEvent)]] = [[], []]
    var spots: [Spot] = []
    var now = Instant.zero
    var loss = 0.0
    var sent = 0
    /// What was aimed at nobody.
    var stray: [IPEndpoint: Int] = [:]
    /// The last packets that arrived, for whoever wants to send them again.
    var taped: [Packet] = []
    var connects: [(agent: Int, from: ICEBaseID, to: IPEndpoint)] = []
    private var packets: [Packet] = []
    private var random: SeededGenerator
    private var order = 0

    init(
        seed: UInt64 = 1,
        roles: [ICERole] = [.controlling, .controlled],
        timing: ICETiming = .adit,
        renominates: Bool = true,
        own: [[String]] = [[], []],
        adjust: (inout ICEConfiguration) -> Void = { _ in }
    ) {
        var generator = SeededGenerator(seed: seed)
        agents = (0..<2).map { index in
            var configuration = ICEConfiguration(
                role: roles[index],
                tieBreaker: generator.next(),
                local: ICECredentials(using: &generator),
                timing: timing,
                remoteFilter: ICEAddressFilter(own: own[index].map(Self.address)),
                renominates: renominates
            )
            adjust(&configuration)
            return ICEAgent(configuration, random: SeededGenerator(seed: generator.next()))
        }
        random = generator
    }

    static func address(_ text: String) -> IPAddress { IPAddress(text) ?? .v4(0) }

    static func endpoint(_ text: String, _ port: UInt16) -> IPEndpoint { IPEndpoint(address(text), port) }

    static func candidate(
        _ endpoint: IPEndpoint,
        _ type: ICECandidateType = .host,
        preference: UInt16 = 100
    ) -> ICECandidate {
        ICECandidate(
            foundation: "\(type.rawValue)\(endpoint.address.bytes.reduce(0) { $0 &* 31 &+ Int($1) } & 0xFFFF)",
            priority: ICECandidate.priority(typePreference: type.preference, localPreference: preference),
            endpoint: endpoint,
            type: type
        )
    }

    /// Gives an agent a socket, and tells the peer its candidates; the number of the spot.
    @discardableResult
    mutating func socket(
        _ agent: Int,
        _ address: String,
        site: Int? = nil,
        box: Box? = nil,
        type: ICECandidateType = .host,
        delay: Duration = .milliseconds(10),
        isTold: Bool = true
    ) -> Int {
        let spot = spots.count
        let endpoint = Self.endpoint(address, UInt16(5000 + spot))
        let base = ICEBaseID(UInt32(spot + 1))
        spots.append(Spot(agent: agent, base: base, endpoint: endpoint, site: site, box: box, delay: delay))
        var candidates = [Self.candidate(endpoint, type)]
        if let box {
            let mapped = box.leave(spot, to: Self.endpoint("192.0.2.1", 3478))
            candidates.append(Self.candidate(mapped, .serverReflexive))
        }
        for candidate in candidates {
            hand(agent, .local(candidate, base: base))
            if isTold { hand(1 - agent, .remote(candidate)) }
        }
        return spot
    }

    mutating func exchange() {
        for index in 0..<2 { hand(index, .remoteCredentials(agents[1 - index].localCredentials)) }
    }

    mutating func allTold() {
        for index in 0..<2 {
            hand(index, .localDone)
            hand(index, .remoteDone)
        }
    }

    mutating func hand(_ agent: Int, _ input: ICEInput) {
        agents[agent].handle(input, at: now)
        while let output = agents[agent].nextOutput() {
            switch output {
            case .send(let bytes, let base, let endpoint, let timeToLive):
                carry(bytes, agent: agent, base: base, to: endpoint, timeToLive: timeToLive)
            case .connect(let base, let endpoint): connects.append((agent, base, endpoint))
            case .event(let event): events[agent].append((now, event))
            }
        }
    }

    /// Connects two new spots by TCP.
    mutating func connect(_ first: IPEndpoint, _ second: IPEndpoint) -> (Int, Int) {
        let one = spots.count
        for (agent, endpoint) in [(0, first), (1, second)] {
            let base = ICEBaseID(UInt32(spots.count + 1))
            spots.append(Spot(agent: agent, base: base, endpoint: endpoint, site: nil, box: nil))
        }
        spots[one].peer = one + 1
        spots[one + 1].peer = one
        hand(0, .streamOpened(base: spots[one].base, local: first, remote: second))
        hand(1, .streamOpened(base: spots[one + 1].base, local: second, remote: first))
        return (one, one + 1)
    }

    private mutating func carry(
        _ bytes: [UInt8],
        agent: Int,
        base: ICEBaseID,
        to endpoint: IPEndpoint,
        timeToLive: UInt8?
    ) {
        sent += 1
        guard let place = spots.firstIndex(where: { $0.agent == agent && $0.base == base }) else { return }
        let spot = spots[place]
        guard !spot.isBroken, timeToLive == nil || spot.box == nil || timeToLive ?? 0 > 4 else {
            _ = spot.box?.leave(place, to: endpoint)
            return
        }
        if let peer = spot.peer {
            queue(peer, from: spot.endpoint, bytes, delay: spot.delay + spots[peer].delay)
            return
        }
        if let site = spot.site,
            let near = spots.firstIndex(where: { $0.site == site && $0.endpoint == endpoint && $0.peer == nil })
        {
            queue(near, from: spot.endpoint, bytes, delay: .milliseconds(1))
            return
        }
        let from = spot.box?.leave(place, to: endpoint) ?? spot.endpoint
        if random.nextFraction() < loss { return }
        if let open = spots.firstIndex(where: { $0.box == nil && $0.endpoint == endpoint && $0.site == nil }) {
            queue(open, from: from, bytes, delay: spot.delay + spots[open].delay)
        } else if let far = spots.first(where: { $0.box?.address == endpoint.address })?.box {
            // Whether it comes in is decided when it arrives, by the state at that time.
            if let inside = far.enter(endpoint.port, from: from) {
                queue(inside, from: from, bytes, delay: spot.delay + spots[inside].delay)
            }
        } else {
            stray[endpoint, default: 0] += 1
        }
    }

    mutating func queue(_ spot: Int, from: IPEndpoint, _ bytes: [UInt8], delay: Duration) {
        order += 1
        packets.append(Packet(at: now + delay, order: order, spot: spot, from: from, bytes: bytes))
    }

    /// Plays until then.
    mutating func run(_ duration: Duration) {
        let end = now + duration
        var steps = 0
        while true {
            steps += 1
            precondition(steps < 1_000_000, "the machines do not come to rest")
            let packet = packets.indices.min {
                (packets[$0].at, packets[$0].order) < (packets[$1].at, packets[$1].order)
            }
            let deadlines = agents.indices.compactMap { index in agents[index].nextDeadline.map { ($0, index) } }
            let deadline = deadlines.min { $0.0 < $1.0 }
            if let packet, packets[packet].at <= end, deadline.map({ packets[packet].at <= $0.0 }) ?? true {
                let arrived = packets.remove(at: packet)
                now = max(now, arrived.at)
                let spot = spots[arrived.spot]
                if spot.isBroken { continue }
                taped.append(arrived)
                if taped.count > 64 { taped.removeFirst() }
                hand(spot.agent, .received(arrived.bytes, on: spot.base, from: arrived.from))
            } else if let deadline, deadline.0 <= end {
                now = max(now, deadline.0)
                hand(deadline.1, .timer)
            } else {
                now = end
                return
            }
        }
    }

    /// The pair that an agent uses.
    func selected(_ agent: Int) -> ICEPair? { agents[agent].selectedPair }

    /// When an agent first selected a pair, in milliseconds.
    func time(_ agent: Int, _ isIt: (ICEEvent) -> Bool) -> Int? {
        events[agent].first { isIt($0.event) }.map { Int($0.at.nanoseconds / 1_000_000) }
    }
}
