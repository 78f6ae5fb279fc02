// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite struct PathFinderTests {
    private static let types = ["full", "addr", "port", "sym"]

    private func play(
        _ a: String,
        _ b: String,
        seed: UInt64 = 1,
        _ change: (inout PathScenario) -> Void = { _ in }
    ) throws -> PathOutcome {
        var scenario = try PathScenario(a, b)
        change(&scenario)
        return try PathPlay(scenario).run(seed: LabSeed(seed))
    }

    @Test(arguments: Self.types, Self.types) func everyClassicPairIsServed(a: String, b: String) throws {
        let outcome = try play(a, b)
        #expect(outcome.isAgreed)
        if a == "sym", b == "sym" {
            #expect(outcome.kind == .relayed(.udp))
            return
        }
        #expect(outcome.kind == .direct(.udp))
        let direct = try #require(outcome.timeToDirect)
        if [a, b].sorted() == ["port", "sym"] {
            #expect(direct < .seconds(12))
            #expect(try #require(outcome.timeToPath) < .milliseconds(500))
        } else {
            // Two round trips after the two words that the devices have to exchange.
            #expect(outcome.roundTrips(direct) < 4.25)
        }
    }

    @Test(arguments: [("seq", "port"), ("port", "seq"), ("seq", "seq")])
    func portsInSequenceAreForeseen(a: String, b: String) throws {
        let outcome = try play(a, b)
        #expect(outcome.kind == .direct(.udp))
        #expect(try #require(outcome.timeToDirect) < .seconds(2))
        #expect(outcome.sides[.a]?.report?.tactic == (a == b ? .window : .prediction))
    }

    @Test func withoutUDPAPathIsMadeOverTCP() throws {
        for b in ["port", "udp=blocked,tcp=port"] {
            let outcome = try play("udp=blocked,tcp=port", b)
            #expect(outcome.kind == .direct(.tcp))
            #expect(outcome.isAgreed)
        }
        let relayed = try play("udp=blocked,tcp=sym", "port")
        #expect(relayed.kind == .relayed(.tcp))
        #expect(relayed.isAgreed)
    }

    @Test func openersGetPastRoutersThatAnswerForTheirUsers() throws {
        let outcome = try play("port,unsol=accept", "port,unsol=accept") { $0.tactics = [.plain] }
        #expect(outcome.kind == .direct(.udp))
    }

    @Test func policiesHold() throws {
        let off = try play("full", "full") { $0.policies = [.b: .relayOnly] }
        #expect(off.kind == .relayed(.udp))
        #expect(off.reason == .relayOnly(.b))
        let only = try play("port", "port") { $0.policies = [.a: .directOnly] }
        #expect(only.kind == .direct(.udp))
        let none = try play("sym", "sym") { $0.policies = [.a: .directOnly] }
        #expect(none.kind == .none)
    }

    @Test func quietDevicesSearchNothing() throws {
        let outcome = try play("sym", "port") { $0.quiet = [.b] }
        #expect(outcome.kind == .relayed(.udp))
        #expect(outcome.packetCount < 400)
    }

    @Test func signalsThatAreLostAreSentAgain() throws {
        let outcome = try play("port", "port") { $0.outages = [.zero ..< .milliseconds(2500)] }
        #expect(outcome.kind == .direct(.udp))
        let middle = try play("sym", "port") { $0.outages = [.milliseconds(2050) ..< .seconds(4)] }
        #expect(middle.kind.isDirect)
    }

    @Test func aTwentiethOfThePacketsMayBeLost() throws {
        for seed in UInt64(1)...5 {
            let outcome = try play("port", "addr", seed: seed) { $0.base.loss = 0.05 }
            #expect(outcome.kind.isDirect)
        }
    }

    @Test func aDirectPathThatGoesSilentIsReplacedByTheRelay() throws {
        var scenario = try PathScenario("port", "port")
        scenario.isReady = true
        var kinds: [PathKind] = []
        var play = PathPlay(scenario)
        play.linger = .seconds(30)
        _ = try play.run(seed: LabSeed(3)) { stage, isOver in
            guard !isOver else { return }
            stage.onEvent = { event, site in
                guard site == .a, case .changed(let report, _) = event, kinds.last != report.kind else { return }
                kinds.append(report.kind)
                // The address of B's host is gone: nothing that goes there arrives any more.
                if report.kind.isDirect, kinds.count < 3 {
                    stage.lab.after(.seconds(2)) {
                        stage.world.hosts[.b]?.changeAddresses([InterfaceAddress(.v4(0xC0A8_0263), prefixLength: 24)])
                    }
                }
            }
        }
        #expect(kinds.contains { $0.isDirect })
        #expect(kinds.last?.isUsable == true)
    }

    @Test func strangersArriveNowhere() throws {
        var finder = PathFinder(
            PathConfiguration(ownID: PathPeerID(name: "a", key: "k")),
            random: SeededGenerator(seed: 1)
        )
        let now = Instant.zero
        finder.handle(.timer, at: now)
        finder.handle(.received(SocketID(1), [1, 2, 3], from: IPEndpoint(.v4(1), 1)), at: now)
        let output = finder.nextOutput()
        let sending = finder.send(PacketBatch([1]), to: PathPeerID(name: "b", key: "l"), at: now)
        #expect(output == nil)
        #expect(sending == .nowhere)
    }

    @Test func onlySoManyPeersAreTaken() {
        var configuration = PathConfiguration(ownID: PathPeerID(name: "a", key: "k"))
        configuration.peerLimit = 3
        var finder = PathFinder(configuration, random: SeededGenerator(seed: 1))
        for number in 0..<10 { finder.connect(PathPeerID(name: "\(number)", key: "\(number)"), at: .zero) }
        #expect(finder.peers.count == 3)
    }
}
