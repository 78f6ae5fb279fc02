// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("Servers that lie, break down or know little")
struct DiscoveryServerTests {
    private typealias Server = NATDiscovery.Configuration.Server

    private static let cone = NATConfiguration(.endpointIndependent, .addressAndPortDependent)
    private static let symmetric = NATConfiguration(.addressAndPortDependent, .addressAndPortDependent, .random)
    private static let third = address("192.0.2.11")
    private static let allThree = Surroundings.servers + [Server(name: "third", endpoint: IPEndpoint(third, 3478))]

    /// Runs a discovery with one crooked server in the place of the usual one, and others as wanted.
    private func discover(
        _ vice: CrookedServer.Vice?,
        box: NATConfiguration = cone,
        servers: [Server] = [Surroundings.servers[0]],
        alternate: IPAddress? = nil,
        seed: UInt64 = 1,
        prepare: (Surroundings) -> Void = { _ in }
    ) throws -> NATReport {
        try Lab.play(seed: seed) { lab in
            let surroundings = Surroundings(lab, [box])
            if let vice { surroundings.server.run(CrookedServer(vice, at: Surroundings.server, alternate: alternate)) }
            prepare(surroundings)
            let report = try surroundings.discover(surroundings.configuration(servers))
            #expect(report.duration < .seconds(5))
            // Whatever the server does, few packets are sent.
            #expect(lab.sentCount < 6000)
            return report
        }
    }

    @Test(
        "an impossible address is not believed",
        arguments: [
            "10.1.2.3:500", "0.0.0.0:5", "127.0.0.1:500", "224.0.0.5:500", "192.168.1.77:9",
            "255.255.255.255:1", "169.254.1.1:1", "[2001:db8::1]:5",
        ]
    )
    func absurd(_ text: String) throws {
        let host = try #require(HostPort(text))
        let endpoint = IPEndpoint(address(host.host.filter { $0 != "[" && $0 != "]" }), host.port)
        try check(.claims(endpoint), fault: .absurdAddress)
    }

    @Test("port 0 is not believed")
    func portZero() throws {
        try check(.claims(IPEndpoint(address("198.51.100.2"), 0)), fault: .absurdAddress)
    }

    private func check(_ vice: CrookedServer.Vice, fault: NATServerReport.Fault) throws {
        let report = try discover(vice)
        #expect(report.servers[0].fault == fault)
        #expect(report.udp.kind.value == nil)
        #expect(report.udp.reach == .certain(true))
        // With an honest server beside it nothing is lost.
        let helped = try discover(vice, servers: Surroundings.servers) { $0.runOther() }
        #expect(helped.servers[0].fault == fault)
        #expect(helped.servers[1].fault == nil)
        #expect(helped.udp.externalAddresses == [address("198.51.100.2")])
    }

    @Test("the server's own address is not believed")
    func ownAddress() throws {
        try check(.claims(IPEndpoint(Surroundings.server, 777)), fault: .ownAddress)
    }

    @Test("errors, and answers that say nothing, make no finding", arguments: [300, 400, 401, 420, 500])
    func refusing(_ number: Int) throws {
        try check(.refuses(number), fault: .refuses)
        try check(.silentAboutSender, fault: .broken)
    }

    @Test(
        "what answers nothing that was asked is not heard",
        arguments: [CrookedServer.Vice.wrongTransaction, .garbage]
    )
    func unheard(_ vice: CrookedServer.Vice) throws {
        let report = try discover(vice)
        #expect(report.udp.kind.value == .blocked)
        #expect(!report.udp.kind.isCertain)
        let helped = try discover(vice, servers: Surroundings.servers) { $0.runOther() }
        #expect(helped.udp.reach == .certain(true))
        #expect(helped.udp.mapping.value == nil)
    }

    @Test("an answer from another port than the one that was asked is not taken for one")
    func wrongSource() throws {
        let box = NATConfiguration(.endpointIndependent, .endpointIndependent)
        let report = try discover(.wrongSource, box: box)
        #expect(report.udp.kind.value != .fullCone)
        #expect(!report.udp.kind.isCertain)
    }

    @Test("a flood of answers changes nothing")
    func flood() throws {
        let report = try discover(.floods, servers: Surroundings.servers) { $0.runOther() }
        #expect(report.udp.mapping == .certain(.endpointIndependent))
        #expect(report.udp.externalAddresses == [address("198.51.100.2")])
    }

    @Test(
        "nobody is led to send into private networks, to groups or to this machine",
        arguments: ["192.168.1.1", "10.0.0.1", "127.0.0.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"]
    )
    func leading(_ target: String) throws {
        try Lab.play(seed: 1) { lab in
            let surroundings = Surroundings(lab, [Self.cone])
            let vice = CrookedServer.Vice.leads(to: IPEndpoint(address(target), 3479))
            surroundings.server.run(CrookedServer(vice, at: Surroundings.server))
            let sent = Shared<[IPEndpoint]>([])
            let discovery = NATDiscovery(surroundings.configuration(), random: lab.generator(for: 1))
            surroundings.computer.run(Watched(discovery, sent))
            try lab.run(for: .seconds(8))
            #expect(!sent.value.contains { $0.address == address(target) })
            #expect(sent.value.contains { $0.address == Surroundings.server })
        }
    }

    @Test("a server whose other address does not answer a change says nothing about filtering")
    func cannotChange() throws {
        for box in [Self.cone, NATConfiguration(.endpointIndependent, .endpointIndependent)] {
            let report = try discover(.cannotChange, box: box, alternate: Surroundings.alternate)
            #expect(report.udp.mapping == .certain(.endpointIndependent))
            #expect(report.udp.filtering == .unknown(.alternateSilent))
            #expect(!report.udp.kind.isCertain)
        }
    }

    @Test("a server with one address and one port tells the address, and why no more is known")
    func plainServer() throws {
        let report = try discover(nil, servers: [Surroundings.servers[1]]) { $0.runOther() }
        #expect(report.udp.mapping == .unknown(.oneAddress))
        #expect(report.udp.filtering == .unknown(.oneAddress))
        #expect(report.udp.allocation == .certain(.preserving))
        #expect(report.udp.externalAddresses == [address("198.51.100.2")])
        #expect(report.udp.kind.value == nil)
    }

    @Test("a second port alone tells APDM, and which ports are let in")
    func secondPort() throws {
        func run(_ box: NATConfiguration) throws -> NATReport {
            try discover(nil, box: box) { $0.runServer(isRFC5780: false) }
        }
        let cone = try run(Self.cone)
        #expect(cone.udp.mapping == .likely(.endpointIndependent, .oneAddress))
        #expect(cone.udp.filtering == .certain(.addressAndPortDependent))
        let symmetric = try run(Self.symmetric)
        #expect(symmetric.udp.mapping == .certain(.addressAndPortDependent))
        #expect(symmetric.udp.kind == .certain(.symmetric))
        let open = try run(NATConfiguration(.endpointIndependent, .endpointIndependent))
        #expect(open.udp.filtering == .likely(.addressDependent, .oneAddress))
    }

    @Test("two plain servers stand in for one with two addresses")
    func twoServers() throws {
        let servers = Array(Self.allThree[1...])
        func run(_ box: NATConfiguration) throws -> NATReport {
            try discover(nil, box: box, servers: servers) { surroundings in
                surroundings.runOther()
                surroundings.runThird(Self.third)
            }
        }
        let cone = try run(Self.cone)
        #expect(cone.udp.mapping == .certain(.endpointIndependent))
        #expect(cone.tcp.mapping == .certain(.endpointIndependent))
        #expect(cone.udp.filtering == .unknown(.oneAddress))
        #expect(cone.udp.kind.value == .portRestrictedCone)
        let symmetric = try run(Self.symmetric)
        #expect(symmetric.udp.mapping == .likely(.addressAndPortDependent, .independentServers))
        #expect(symmetric.udp.kind.value == .symmetric)
    }

    @Test("of two that disagree about the address neither is believed for certain")
    func disagreement() throws {
        let report = try discover(.claims(IPEndpoint(address("198.51.100.99"), 4711)), servers: Surroundings.servers) {
            $0.runOther()
        }
        #expect(report.udp.mapping.doubt == .serversDisagree)
        #expect(report.udp.pooling == .likely(.arbitrary, .serversDisagree))
        #expect(!report.udp.kind.isCertain)
    }

    @Test("of three, the one that disagrees is outvoted")
    func vote() throws {
        for vice in [CrookedServer.Vice.claims(IPEndpoint(address("198.51.100.99"), 4711)), .inventsPorts] {
            let report = try discover(vice, servers: Self.allThree) { surroundings in
                surroundings.runOther()
                surroundings.runThird(Self.third)
            }
            #expect(report.servers.map(\.fault) == [.outvoted, nil, nil], "\(vice)")
            #expect(report.udp.mapping == .certain(.endpointIndependent), "\(vice)")
            #expect(report.udp.externalAddresses == [address("198.51.100.2")], "\(vice)")
        }
    }

    @Test("what a server says about itself cannot reach the terminal")
    func software() throws {
        let report = try discover(.silentAboutSender)
        #expect(report.servers[0].software == nil || report.servers[0].software == "[2Jmute")
    }
}

/// Notes to whom a machine sends.
struct Watched<Machine: SocketMachine>: SocketMachine {
    private var machine: Machine
    // One thread runs the lab.
    private nonisolated(unsafe) let sent: Shared<[IPEndpoint]>

    init(_ machine: Machine, _ sent: Shared<[IPEndpoint]>) {
        self.machine = machine
        self.sent = sent
    }

    var nextDeadline: Instant? { machine.nextDeadline }

    mutating func handle(_ input: SocketInput, at now: Instant) {
        machine.handle(input, at: now)
    }

    mutating func nextOutput() -> SocketOutput<Machine.Event>? {
        let output = machine.nextOutput()
        switch output {
        case .send(_, _, let remote, _), .open(_, .tcp(_, let remote)): sent.value.append(remote)
        default: break
        }
        return output
    }
}

extension Surroundings {
    /// Runs one more server with one address, beside the other one.
    func runThird(_ address: IPAddress) {
        other.changeAddresses([
            InterfaceAddress(Surroundings.other, prefixLength: 24), InterfaceAddress(address, prefixLength: 24),
        ])
        other.run(STUNServer(STUNServer.Sockets(address: address), seed: lab.seed.number &+ 3))
    }
}
