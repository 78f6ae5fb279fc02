// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import Testing

@Suite struct ICEAgentTests {
    /// Both behind routers, each with a relay.
    private func world(
        _ first: ICEWorld.Box.Kind = .restricted,
        _ second: ICEWorld.Box.Kind = .restricted,
        seed: UInt64 = 1,
        relays: Bool = true,
        loss: Double = 0
    ) -> ICEWorld {
        var world = ICEWorld(seed: seed)
        world.loss = loss
        world.socket(0, "192.168.1.2", site: 1, box: ICEWorld.Box(first, "198.51.100.1"))
        world.socket(1, "10.0.0.7", site: 2, box: ICEWorld.Box(second, "203.0.113.1"))
        if relays {
            world.socket(0, "192.0.2.10", type: .relayed, delay: .milliseconds(30))
            world.socket(1, "192.0.2.10", type: .relayed, delay: .milliseconds(30))
        }
        world.exchange()
        world.allTold()
        return world
    }

    private func isSelected(_ event: ICEEvent) -> Bool {
        if case .selected = event { return true }
        return false
    }

    private func isDirect(_ event: ICEEvent) -> Bool {
        if case .selected(let pair) = event { return !pair.isRelayed }
        return false
    }

    @Test func twoRoutersThatFilterByPortArePunchedInTwoRoundTrips() throws {
        var world = world()
        world.run(.seconds(3))
        for agent in 0..<2 {
            let pair = try #require(world.selected(agent))
            #expect(!pair.isRelayed && pair.isNominated)
            #expect(pair.remote.type == .serverReflexive && pair.local.type == .serverReflexive)
            #expect(pair.roundTrip == .milliseconds(40))
            #expect(try #require(world.time(agent, isDirect)) <= 80)
        }
        #expect(world.selected(0)?.local.endpoint == world.selected(1)?.remote.endpoint)
    }

    @Test(arguments: 0..<40)
    func lossDelaysButDoesNotPrevent(seed: Int) throws {
        var world = world(seed: UInt64(seed), loss: Double(seed % 4) * 0.1)
        world.run(.seconds(10))
        for agent in 0..<2 {
            let pair = try #require(world.selected(agent))
            #expect(!pair.isRelayed && pair.isNominated)
        }
        #expect(world.selected(0)?.local.endpoint == world.selected(1)?.remote.endpoint)
        #expect(world.selected(1)?.local.endpoint == world.selected(0)?.remote.endpoint)
    }

    @Test func aSymmetricRouterMeetsAnAddressThatOnlyChecksShow() throws {
        var world = world(.symmetric, .full)
        world.run(.seconds(3))
        #expect(try #require(world.selected(1)).remote.type == .peerReflexive)
        #expect(try #require(world.selected(0)).local.type == .peerReflexive)
        #expect(!(try #require(world.selected(0)).isRelayed))
    }

    @Test func twoSymmetricRoutersStayRelayedWithFewPackets() throws {
        var world = world(.symmetric, .symmetric)
        world.run(.seconds(20))
        for agent in 0..<2 { #expect(try #require(world.selected(agent)).isRelayed) }
        #expect(world.agents[0].counters.checks < 110)
    }

    @Test func aBetterPairReplacesTheRelayWithoutARestart() throws {
        var world = ICEWorld()
        world.socket(0, "192.0.2.10", type: .relayed, delay: .milliseconds(30))
        world.socket(1, "192.0.2.10", type: .relayed, delay: .milliseconds(30))
        world.exchange()
        world.run(.seconds(1))
        #expect(try #require(world.selected(0)).isRelayed)
        #expect(try #require(world.selected(1)).isRelayed)
        world.socket(0, "192.168.1.2", site: 1, box: ICEWorld.Box(.restricted, "198.51.100.1"))
        world.socket(1, "10.0.0.7", site: 2, box: ICEWorld.Box(.restricted, "203.0.113.1"))
        world.run(.seconds(1))
        for agent in 0..<2 { #expect(!(try #require(world.selected(agent)).isRelayed)) }
        let changes = world.events[0].filter { isSelected($0.event) }
        #expect(changes.count == 2)
    }

    @Test func aSilentDirectPathGivesWayToTheRelayWithinSeconds() throws {
        var world = world()
        world.run(.seconds(20))
        #expect(!(try #require(world.selected(0)).isRelayed))
        world.spots[0].isBroken = true
        let broken = world.now
        world.run(.seconds(12))
        for agent in 0..<2 {
            #expect(try #require(world.selected(agent)).isRelayed)
            let lost = world.events[agent].first {
                if case .consentLost = $0.event { return true }
                return false
            }
            #expect(try #require(lost).at - broken < .seconds(9))
        }
        // The path comes back, and so do they.
        world.spots[0].isBroken = false
        for agent in 0..<2 {
            world.hand(agent, .probe(on: world.spots[agent].base, to: world.mapped(1 - agent), timeToLive: nil))
        }
        world.run(.seconds(12))
        for agent in 0..<2 { #expect(!(try #require(world.selected(agent)).isRelayed)) }
    }

    @Test func aLostSocketIsReplacedAtOnce() throws {
        var world = world()
        world.run(.seconds(5))
        world.hand(0, .baseLost(world.spots[0].base))
        #expect(try #require(world.selected(0)).isRelayed)
        world.run(.seconds(1))
        #expect(try #require(world.selected(1)).isRelayed)
    }

    @Test(arguments: [ICERole.controlling, .controlled], [true, false])
    func aConflictOfRolesIsSettled(role: ICERole, renominates: Bool) throws {
        var world = ICEWorld(
            roles: [role, role],
            timing: renominates ? .adit : .standard,
            renominates: renominates
        )
        world.socket(0, "192.168.1.2", site: 1, box: ICEWorld.Box(.restricted, "198.51.100.1"))
        world.socket(1, "10.0.0.7", site: 2, box: ICEWorld.Box(.restricted, "203.0.113.1"))
        world.exchange()
        world.run(.seconds(5))
        #expect(world.agents[0].role != world.agents[1].role)
        for agent in 0..<2 { #expect(try #require(world.selected(agent)).isNominated) }
        let changes = world.events.flatMap { $0 }.filter {
            if case .roleChanged = $0.event { return true }
            return false
        }
        #expect(changes.count == 1)
    }

    @Test func standardAgentsNominateOnePairOnce() throws {
        var world = ICEWorld(timing: .standard, renominates: false)
        world.socket(0, "192.168.1.2", site: 1, box: ICEWorld.Box(.restricted, "198.51.100.1"))
        world.socket(1, "10.0.0.7", site: 2, box: ICEWorld.Box(.restricted, "203.0.113.1"))
        world.socket(0, "2001:db8:1::2")
        world.socket(1, "2001:db8:2::2")
        world.exchange()
        world.allTold()
        world.run(.seconds(60))
        for agent in 0..<2 {
            #expect(world.events[agent].filter { isSelected($0.event) }.count == 1)
            #expect(try #require(world.selected(agent)).isNominated)
        }
        #expect(world.selected(0)?.base == ICEBaseID(3) || world.selected(0)?.base == ICEBaseID(1))
        #expect(world.selected(0)?.local.endpoint == world.selected(1)?.remote.endpoint)
    }

    /// A pair that waits for one of its foundation waits without a timer that is due at once.
    @Test func frozenPairsCostNoTime() throws {
        var world = ICEWorld(timing: .standard, renominates: false)
        let foundation = ICECandidate.priority(typePreference: 126, localPreference: 1)
        world.socket(0, "198.51.100.1", isTold: false)
        world.exchange()
        for port in 4000..<4004 as Range<UInt16> {
            let endpoint = ICEWorld.endpoint("203.0.113.9", port)
            world.hand(0, .remote(ICECandidate(foundation: "f", priority: foundation, endpoint: endpoint, type: .host)))
        }
        var wakes = 0
        for _ in 0..<200 {
            guard let deadline = world.agents[0].nextDeadline, deadline < .zero + .seconds(10) else { break }
            world.now = max(world.now, deadline)
            world.hand(0, .timer)
            wakes += 1
        }
        #expect(wakes < 20)
    }

    @Test func nothingWorksAndTheAgentSaysSo() throws {
        var world = world(.symmetric, .symmetric, relays: false)
        world.run(.seconds(9))
        #expect(world.time(0) { $0 == .failed } == nil)
        world.run(.seconds(30))
        #expect(world.time(0) { $0 == .failed } != nil)
        #expect(world.agents[0].nextDeadline == nil)
    }

    @Test func candidatesComeOneByOne() throws {
        var world = ICEWorld()
        world.exchange()
        world.run(.seconds(1))
        #expect(world.selected(0) == nil)
        world.socket(0, "192.168.1.2", site: 1, box: ICEWorld.Box(.restricted, "198.51.100.1"))
        world.run(.milliseconds(300))
        world.socket(1, "10.0.0.7", site: 2, box: ICEWorld.Box(.restricted, "203.0.113.1"), isTold: false)
        world.run(.milliseconds(300))
        // Only the first one's candidates are known; its router lets in what it has spoken to, which is nobody yet.
        #expect(world.selected(0) == nil)
        world.hand(0, .remote(ICEWorld.candidate(world.mapped(1), .serverReflexive)))
        world.run(.milliseconds(300))
        for agent in 0..<2 { #expect(try #require(world.selected(agent)).isNominated) }
    }

    @Test func checksThatComeBeforeTheCredentialsAreAnsweredAndUsed() throws {
        var world = ICEWorld()
        world.socket(0, "198.51.100.1")
        world.socket(1, "203.0.113.1", isTold: false)
        world.hand(1, .remoteCredentials(world.agents[0].localCredentials))
        world.run(.seconds(1))
        #expect(world.agents[0].counters.answers > 0 && world.agents[0].counters.checks == 0)
        world.hand(0, .remoteCredentials(world.agents[1].localCredentials))
        world.run(.milliseconds(200))
        #expect(try #require(world.selected(0)).remote.type == .peerReflexive)
        // What a check showed becomes what the peer tells.
        world.hand(0, .remote(ICEWorld.candidate(world.spots[1].endpoint)))
        #expect(try #require(world.selected(0)).remote.type == .host)
    }

    @Test func aRestartKeepsThePairUntilThereIsANewOne() throws {
        var world = world()
        world.run(.seconds(5))
        let before = try #require(world.selected(0))
        var generator = SeededGenerator(seed: 9)
        for agent in 0..<2 { world.hand(agent, .restart(ICECredentials(using: &generator))) }
        world.run(.seconds(20))
        #expect(world.selected(0)?.remote == before.remote)
        // The pair was looked after all the time, with the passwords from before.
        #expect(world.agents[0].counters.checks > 5 + 20 / 5)
        world.exchange()
        for spot in world.spots {
            world.hand(1 - spot.agent, .remote(ICEWorld.candidate(spot.endpoint, spot.box == nil ? .relayed : .host)))
        }
        for agent in 0..<2 {
            world.hand(agent, .remote(ICEWorld.candidate(world.mapped(1 - agent), .serverReflexive)))
        }
        world.run(.seconds(40))
        for agent in 0..<2 {
            #expect(try #require(world.selected(agent)).isNominated)
            #expect(!(try #require(world.selected(agent)).isRelayed))
            let lost = world.events[agent].contains {
                if case .consentLost = $0.event { return true }
                return false
            }
            #expect(!lost)
        }
    }

    @Test func measuringTellsTheRoundTrip() throws {
        var world = world()
        world.run(.seconds(2))
        world.hand(1, .measure)
        world.run(.milliseconds(100))
        let measured = world.events[1].compactMap {
            if case .roundTrip(let time, _) = $0.event { return time }
            return nil
        }
        #expect(measured == [.milliseconds(40)])
    }

    @Test func twoInOneHouseUseTheHouse() throws {
        var world = ICEWorld()
        let box = ICEWorld.Box(.restricted, "198.51.100.1")
        world.socket(0, "192.168.1.2", site: 1, box: box)
        world.socket(1, "192.168.1.3", site: 1, box: box)
        world.exchange()
        world.run(.seconds(2))
        for agent in 0..<2 {
            let pair = try #require(world.selected(agent))
            #expect(pair.local.type == .host && pair.remote.type == .host)
            #expect(try #require(world.time(agent, isSelected)) <= 10)
        }
    }

    @Test func aHundredPairsComeToOnePair() throws {
        var world = ICEWorld()
        for index in 0..<10 {
            world.socket(0, "2001:db8:1::\(index + 1)", delay: .milliseconds(5 + index))
            world.socket(1, "2001:db8:\(2 + index)::2", delay: .milliseconds(15 - index))
        }
        world.exchange()
        world.allTold()
        #expect(world.agents[0].pairCount == 100)
        world.run(.seconds(5))
        for agent in 0..<2 { #expect(try #require(world.selected(agent)).isNominated) }
        #expect(world.selected(0)?.local.endpoint == world.selected(1)?.remote.endpoint)
        #expect(world.agents[0].counters.checks < 150)
    }

    @Test func aTCPConnectionIsAPairAndUDPIsBetter() throws {
        var world = ICEWorld()
        let (one, two) = world.connect(ICEWorld.endpoint("198.51.100.1", 4000), ICEWorld.endpoint("203.0.113.1", 4001))
        world.exchange()
        world.run(.seconds(1))
        for agent in 0..<2 {
            let pair = try #require(world.selected(agent))
            #expect(pair.local.transport == .tcp && pair.isNominated)
        }
        world.socket(0, "198.51.100.1")
        world.socket(1, "203.0.113.1")
        world.run(.seconds(1))
        #expect(try #require(world.selected(0)).local.transport == .udp)
        world.hand(0, .streamClosed(base: world.spots[one].base))
        world.hand(1, .streamClosed(base: world.spots[two].base))
        #expect(world.agents[0].validPairs.allSatisfy { $0.local.transport == .udp })
    }

    @Test func aRestartAsksAConnectionThatOneEndGaveUp() throws {
        var world = ICEWorld()
        let (one, _) = world.connect(ICEWorld.endpoint("198.51.100.1", 4000), ICEWorld.endpoint("203.0.113.1", 4001))
        world.exchange()
        world.run(.seconds(1))
        world.spots[one].isBroken = true
        let broken = world.now
        while world.selected(0) != nil, world.selected(1) != nil, world.now < broken + .seconds(20) {
            world.run(.milliseconds(10))
        }
        #expect((world.selected(0) == nil) != (world.selected(1) == nil))
        world.spots[one].isBroken = false
        var generator = SeededGenerator(seed: 9)
        for agent in 0..<2 { world.hand(agent, .restart(ICECredentials(using: &generator))) }
        world.exchange()
        world.run(.seconds(1))
        for agent in 0..<2 { #expect(world.selected(agent) != nil) }
    }

    @Test func anAgentThatConnectsAsksForConnectionsOfTheRightKind() throws {
        var world = ICEWorld { $0.connectsStreams = true }
        let types: [[ICETCPType]] = [[.active, .passive, .simultaneousOpen], [.active, .passive, .simultaneousOpen]]
        for agent in 0..<2 {
            for (index, type) in types[agent].enumerated() {
                let endpoint = ICEWorld.endpoint(
                    agent == 0 ? "198.51.100.1" : "203.0.113.1",
                    UInt16(type == .active ? 9 : 4000 + index)
                )
                var candidate = ICEWorld.candidate(endpoint)
                candidate.transport = .tcp
                candidate.tcpType = type
                world.hand(agent, .local(candidate, base: ICEBaseID(UInt32(100 + 10 * agent + index))))
                world.hand(1 - agent, .remote(candidate))
            }
        }
        world.exchange()
        world.run(.milliseconds(500))
        let asked = world.connects.filter { $0.agent == 0 }.map { [$0.from.number, UInt32($0.to.port)] }
        #expect(Set(asked) == [[100, 4001], [102, 4002]])
        _ = world.connect(ICEWorld.endpoint("198.51.100.1", 51_000), ICEWorld.endpoint("203.0.113.1", 4001))
        world.run(.seconds(1))
        #expect(try #require(world.selected(0)).remote.tcpType == .passive)
        #expect(try #require(world.selected(0)).local.tcpType == .active)
        #expect(try #require(world.selected(1)).local.tcpType == .passive)
    }
}

extension ICEWorld {
    /// Where the router shows the agent's first socket with a router.
    func mapped(_ agent: Int) -> IPEndpoint {
        let place = spots.firstIndex { $0.agent == agent && $0.box != nil } ?? 0
        return spots[place].box?.leave(place, to: Self.endpoint("192.0.2.1", 3478)) ?? spots[place].endpoint
    }
}
