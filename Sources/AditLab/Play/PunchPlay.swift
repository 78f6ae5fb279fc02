// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditTraversal

/// Plays a scenario: two hosts punch, the lab carries their packets, and the outcome says how it ended and why.
package struct PunchPlay: Sendable {
    /// What is played.
    package var scenario: LabScenario
    /// Over which transport.
    package var transport: PunchTransport
    /// Whether the outcome tells each step and what was dropped.
    package var tellsSteps = true
    /// How the hosts try.
    package var tactic = PlayTactic.plain
    /// How ports are searched.
    package var options = SearchOptions()
    /// What a search may cost.
    package var limits = PunchLimits()
    /// Whether A waits for as long as B's word to begin takes longer.
    package var holdsBack = false

    /// The longest play in virtual time.
    package static let limit = Duration.seconds(180)

    /// Makes a play.
    package init(_ scenario: LabScenario, _ transport: PunchTransport, tellsSteps: Bool = true) {
        self.scenario = scenario
        self.transport = transport
        self.tellsSteps = tellsSteps
    }

    /// Makes a play of a tactic, over the only transport that it knows or else the one that is given.
    package init(_ scenario: LabScenario, _ transport: PunchTransport, _ tactic: PlayTactic) {
        self.init(scenario, tactic.transport ?? transport)
        self.tactic = tactic
        options.allowsBlock = tactic == .block
    }

    /// Plays it once.
    package func run(seed: LabSeed) throws(LabFailure) -> PlayOutcome {
        try run(seed: seed) { _, _ in }
    }

    /// Plays it once, and hands the lab out before it begins (`isOver` is false) and after it has ended, for captures.
    package func run(seed: LabSeed, _ visit: (_ lab: Lab, _ isOver: Bool) -> Void) throws(LabFailure) -> PlayOutcome {
        try Lab.play(seed: seed) { (lab: Lab) throws(LabFailure) -> PlayOutcome in
            lab.dropLimit = tellsSteps ? 4096 : 0
            let world = LabWorld(scenario, in: lab)
            visit(lab, false)
            let record = PlayRecord(lab)
            start(world, record, pair: UInt32(truncatingIfNeeded: seed.number))
            _ = try lab.run(for: Self.limit) { record.isOver }
            visit(lab, true)
            var outcome = PlayOutcome(scenario: scenario, transport: transport, seed: seed, sides: record.sides)
            outcome.tactic = tactic
            if tellsSteps {
                outcome.drops = record.drops(in: world)
                outcome.steps = record.steps(with: outcome.drops)
            }
            return outcome
        }
    }

    private func start(_ world: LabWorld, _ record: PlayRecord, pair: UInt32) {
        world.server.run(
            STUNServer(
                STUNServer.Sockets(
                    address: LabWorld.serverAddress,
                    alternateAddress: LabWorld.serverAlternateAddress,
                    alternatePort: 3479
                ),
                seed: world.lab.seed.number
            )
        )
        let rendezvous = Rendezvous(
            on: LabWorld.serverAddress,
            pair: pair,
            lateness: scenario.lateness,
            tellsLateness: holdsBack
        )
        world.server.run(rendezvous)
        for (number, site) in SiteName.allCases.enumerated() {
            guard let host = world.hosts[site], let address = host.address() else { continue }
            var configuration = PunchConfiguration(
                site: site,
                pair: pair,
                stun: IPEndpoint(LabWorld.serverAddress, 3478),
                rendezvous: IPEndpoint(LabWorld.serverAddress, Rendezvous.port),
                address: address
            )
            configuration.tactic = tactic
            configuration.options = options
            configuration.limits = limits
            let addresses = [LabWorld.serverAddress, LabWorld.serverAlternateAddress]
            let servers = addresses.flatMap { [IPEndpoint($0, 3478), IPEndpoint($0, 3479)] }
            configuration.servers = tactic.isSearch ? servers : Array(servers.prefix(1))
            configuration.allocation = block(of: site)
            configuration.peerAllocation = block(of: site.other)
            let random = world.lab.generator(for: 4 << 32 | UInt64(number))
            switch transport {
            case .udp where tactic.isSearch:
                host.run(UDPSearchHost(configuration, random: random)) { record.note($0, site) }
            case .udp: host.run(UDPPunch(configuration, random: random)) { record.note($0, site) }
            case .tcp: host.run(TCPPunchHost(configuration, random: random)) { record.note($0, site) }
            }
        }
    }

    /// The block of ports of a site's NAT, which a longer look than a burst of samples shows; nil where there is none.
    private func block(of site: SiteName) -> PortAllocation? {
        for box in scenario.boxes(of: site).reversed() {
            guard let nat = (transport == .udp ? box.udp : box.tcp).nat, nat.allocation != .preserving else { continue }
            if case .block = nat.allocation { return nat.allocation }
            return nil
        }
        return nil
    }
}

/// What the two machines told during a play.
private final class PlayRecord {
    private let lab: Lab
    private(set) var sides: [SiteName: PlaySide] = [.a: PlaySide(), .b: PlaySide()]
    private var told: [PlayStep] = []
    private var endCount = 0

    init(_ lab: Lab) {
        self.lab = lab
    }

    /// Whether both sides have ended.
    var isOver: Bool { endCount >= 2 }

    private var now: Duration { lab.now - .zero }

    func note(_ event: PunchEvent, _ site: SiteName) {
        var side = sides[site] ?? PlaySide()
        switch event {
        case .seen(let endpoint, let local):
            side.seen = endpoint
            side.local = local
        case .began(let targets):
            side.targets = targets
            side.beganAt = now
        case .learnt: break
        case .retried: side.retryCount += 1
        case .step: break
        case .spent(let packets): side.packetCount = packets
        case .connected(let remote):
            side.path = remote
            side.connectedAt = now
            endCount += 1
        case .failed(let failure):
            side.failure = failure
            endCount += 1
        }
        sides[site] = side
        if case .retried = event, side.retryCount > 3 { return }
        if case .spent = event { return }
        told.append(PlayStep(at: now, words: PlayWords.step(event, site)))
    }

    /// What was dropped of the packets between the two sites, the same packets counted together.
    func drops(in world: LabWorld) -> [PlayDrop] {
        var drops: [PlayDrop] = []
        var sources: Set<IPEndpoint> = []
        let servers = [LabWorld.serverAddress, LabWorld.serverAlternateAddress]
        for drop in world.lab.drops {
            let packet = drop.packet
            guard packet.protocol != .icmp, !servers.contains(packet.source.address) else { continue }
            let toServer = servers.contains(packet.destination.address)
            // What is lost on its way to the server is told only where that is the end of it.
            if toServer, drop.reason == .lost || drop.reason == .portClosed { continue }
            let name = world.lab.nodes[drop.node].name
            let same = drops.firstIndex {
                $0.node == name && $0.reason == drop.reason && $0.source.address == packet.source.address
                    && $0.destination == packet.destination
            }
            if let same {
                drops[same].count += 1
                if sources.insert(packet.source).inserted { drops[same].portCount += 1 }
            } else if drops.count < 64 {
                sources.insert(packet.source)
                drops.append(
                    PlayDrop(
                        at: drop.at - .zero,
                        node: name,
                        reason: drop.reason,
                        site: world.site(of: drop.node),
                        source: packet.source,
                        destination: packet.destination,
                        count: 1
                    )
                )
            }
        }
        return drops
    }

    /// What the machines told and what was dropped, by time.
    func steps(with drops: [PlayDrop]) -> [PlayStep] {
        let ended = drops.map { PlayStep(at: $0.at, isDrop: true, words: PlayWords.step($0)) }
        let all = (told + ended).enumerated()
        return all.sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }.map(\.element)
    }
}
