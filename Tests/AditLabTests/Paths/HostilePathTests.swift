// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("Peers that mean harm")
struct HostilePathTests {
    private static let stranger = IPAddress.v4(0xC633_7001)
    private static let metadata = IPAddress.v4(0xA9FE_A9FE)

    private func candidate(_ address: IPAddress, _ port: UInt16) -> ICECandidate {
        ICECandidate(foundation: "h", priority: 2_000_000_000, endpoint: IPEndpoint(address, port), type: .host)
    }

    /// Plays with every description of B's changed on its way to A.
    private func play(
        _ a: String,
        _ b: String,
        strangers: [IPAddress] = [HostilePathTests.stranger],
        in scene: (inout PathScenario) -> Void = { _ in },
        _ change: @escaping (inout PathDescription) -> Void
    ) throws -> (PathOutcome, [Int]) {
        var heard: [Int] = []
        let outcome = try PathPlay(PathScenario(a, b).with(scene)).run(seed: LabSeed(3)) { stage, isOver in
            if isOver { heard = stage.strangers.map(\.packetCount) }
            guard !isOver else { return }
            for address in strangers { _ = stage.addStranger(address) }
            stage.post.tamper = { signal, sender, _ in
                guard sender.name == "B", case .description(var description) = signal.content else { return [signal] }
                change(&description)
                var changed = signal
                changed.content = .description(description)
                return [changed]
            }
        }
        return (outcome, heard)
    }

    @Test("A candidate at a stranger gets a few checks and no more, and the path is found all the same")
    func thirdParty() throws {
        let (outcome, heard) = try play("port", "port") { description in
            description.candidates.append(candidate(Self.stranger, 53_000))
        }
        #expect(outcome.kind == .direct(.udp))
        #expect(heard[0] <= 25)
    }

    @Test("A flood of candidates at one stranger is bounded too, also where nothing else becomes direct")
    func flood() throws {
        let (outcome, heard) = try play("sym", "sym") { description in
            let flood = (0..<200).map { candidate(Self.stranger, UInt16(10_000 + $0)) }
            description.candidates = Array((flood + description.candidates).prefix(PathDescription.candidateLimit))
        }
        #expect(!outcome.kind.isDirect)
        #expect(heard[0] <= 25 * 8)
    }

    @Test("Nothing goes to loopback, metadata services, multicast or broadcast")
    func forbidden() throws {
        let (outcome, heard) = try play("port", "port", strangers: [Self.metadata]) { description in
            for number in [0x7F00_0001, 0xA9FE_A9FE, 0xE000_0001, 0xFFFF_FFFF, 0] as [UInt32] {
                description.candidates.append(candidate(.v4(number), 80))
                description.candidates.append(candidate(.v4(number), 41_000))
            }
        }
        #expect(outcome.kind == .direct(.udp))
        #expect(heard[0] == 0)
    }

    @Test("Offers at a stranger do not make a device attack it", arguments: ["openers", "tcp", "search"])
    func offers(which: String) throws {
        let (_, heard) = try play("port", "sym") { description in
            let endpoints = (0..<4).map { IPEndpoint(Self.stranger, UInt16(20_000 + $0)) }
            switch which {
            case "tcp": description.tcp?.mapped = endpoints
            case "search": description.search?.samples = endpoints
            default: description.openers?.endpoints = endpoints
            }
        }
        #expect(heard[0] <= (which == "tcp" ? 25 : 100))
    }

    @Test("Who says that UDP is blocked for it cannot have more connections made to a stranger")
    func blindOffers() throws {
        let (_, heard) = try play("port", "sym") { description in
            description.nat.udp.kind = .blocked
            description.tcp?.mapped = (0..<4).map { IPEndpoint(Self.stranger, UInt16(20_000 + $0)) }
        }
        #expect(heard[0] <= 25)
    }

    @Test("Who asks for no relay cannot have ports of a stranger searched")
    func directOnly() throws {
        let (_, heard) = try play("port", "sym") { description in
            description.policy = .directOnly
            description.search?.samples = [20_000, 31_000, 47_111, 9_000].map { IPEndpoint(Self.stranger, $0) }
        }
        #expect(heard[0] <= 100)
    }

    @Test(
        "A search that no relay can show the way for goes only to where the server says that the peer's session comes from",
        arguments: ["directOnly", "no relay", "no plain checks", "nobody vouches"]
    )
    func unproven(which: String) throws {
        func set(_ scenario: inout PathScenario) {
            switch which {
            case "directOnly": scenario.policies = [.a: .directOnly]
            case "no relay": scenario.relays = []
            case "no plain checks": scenario.tactics = [.birthday, .prediction]
            default:
                scenario.relays = []
                scenario.vouches = false
            }
        }
        let (_, heard) = try play("port", "sym", in: set) { description in
            description.search?.samples = [20_000, 31_000, 47_111, 9_000].map { IPEndpoint(Self.stranger, $0) }
        }
        #expect(heard[0] <= 25)
    }

    @Test("Messages that come twice, late and out of order change nothing")
    func replay() throws {
        let outcome = try PathPlay(PathScenario("port", "addr")).run(seed: LabSeed(4)) { stage, isOver in
            guard !isOver else { return }
            var old: [PathPeerID: [PathSignal]] = [:]
            stage.post.tamper = { signal, sender, _ in
                old[sender, default: []].append(signal)
                return [signal] + (old[sender] ?? []).reversed()
            }
        }
        #expect(outcome.kind == .direct(.udp))
        #expect(outcome.isAgreed)
    }
}

@Suite("Many peers")
struct ManyPeersTests {
    @Test("A hundred peers have direct paths on one socket behind one NAT")
    func hundred() throws {
        try Lab.play(seed: 9) { lab in
            let world = LabWorld(try LabScenario("port", "port"), in: lab)
            world.server.run(
                STUNServer(
                    STUNServer.Sockets(
                        address: LabWorld.serverAddress,
                        alternateAddress: LabWorld.serverAlternateAddress,
                        alternatePort: 3479
                    ),
                    seed: 1
                )
            )
            let server = PathServer(stun: [
                IPEndpoint(LabWorld.serverAddress, 3478), IPEndpoint(LabWorld.serverAlternateAddress, 3479),
            ])
            let line = lab.link(latency: .milliseconds(10))
            world.internet.attach(to: line, InterfaceAddress(.v4(0xC612_0001), prefixLength: 16))
            let names = (0...100).map { PathPeerID(name: "p\($0)", key: "SHA256:\($0)") }
            var finders: [PathPeerID: LabMachine<PathFinder>] = [:]
            var direct: Set<PathPeerID> = []
            var heard: Set<PathPeerID> = []
            for (number, name) in names.enumerated() {
                let host: LabHost
                if number == 0, let hub = world.hosts[.a] {
                    host = hub
                } else {
                    host = lab.host(name.name)
                    host.attach(to: line, InterfaceAddress(.v4(0xC612_0100 + UInt32(number)), prefixLength: 16))
                    host.defaultRoute(via: .v4(0xC612_0001))
                }
                let configuration = PathConfiguration(ownID: name, server: server, network: host.network)
                let finder = PathFinder(configuration, random: lab.generator(for: UInt64(100 + number)))
                finders[name] = host.run(finder) { event in
                    switch event {
                    case .signal(let signal, let peer):
                        lab.after(.milliseconds(40)) {
                            finders[peer]?.update { $0.receive(signal, from: name, at: lab.now) }
                        }
                    case .changed(let report, let peer):
                        guard number == 0, report.kind == .direct(.udp) else { return }
                        direct.insert(peer)
                        lab.after(.milliseconds(100)) {
                            finders[name]?.update {
                                _ = $0.send(PacketBatch(Array(peer.name.utf8)), to: peer, at: lab.now)
                            }
                        }
                    case .received(let batch, let peer):
                        if peer == names[0], batch.bytes == Array(name.name.utf8) { heard.insert(name) }
                    default: break
                    }
                }
            }
            let hub = try #require(finders[names[0]])
            for peer in names.dropFirst() { hub.update { $0.connect(peer, at: lab.now) } }
            try lab.run(for: .seconds(6))
            #expect(direct.count == 100)
            #expect(heard.count == 100)
            // One mapping of a cone carries all of them.
            let mappings = try #require(world.boxes[.a]?.last?.mappings(.udp))
            #expect(mappings.count == 1)
            finders.removeAll()
        }
    }
}
