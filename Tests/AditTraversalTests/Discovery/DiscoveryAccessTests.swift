// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("What leaves a network is named right")
struct DiscoveryAccessTests {
    private static let cone = NATConfiguration(.endpointIndependent, .addressAndPortDependent)
    private static let check = NATDiscovery.Configuration.WebCheck(
        endpoint: IPEndpoint(Surroundings.server, 80),
        host: "check.example",
        path: "/generate_204",
        status: 204
    )

    private func discover(
        _ box: NATConfiguration,
        seed: UInt64 = 1,
        loss: Double = 0,
        servers: [NATDiscovery.Configuration.Server] = [Surroundings.servers[0]],
        prepare: (Surroundings) -> Void
    ) throws -> NATReport {
        try Lab.play(seed: seed) { lab in
            var weather = Surroundings.Weather()
            weather.loss = loss
            let surroundings = Surroundings(lab, [box], weather)
            prepare(surroundings)
            var configuration = surroundings.configuration(servers)
            configuration.webChecks = [Self.check]
            configuration.webEndpoints = [IPEndpoint(Surroundings.server, 443)]
            return try surroundings.discover(configuration)
        }
    }

    private func serveWeb(_ surroundings: Surroundings) {
        surroundings.server.serve(port: 80) { _ in .response(status: 204, fields: [], body: []) }
        surroundings.server.serve(port: 443) { _ in .silence }
    }

    @Test("everything leaves, and the page is the expected one")
    func full() throws {
        for seed in UInt64(1)...4 {
            let report = try discover(Self.cone, seed: seed, loss: 0.05) { surroundings in
                surroundings.runServer()
                serveWeb(surroundings)
            }
            #expect(report.access == .certain(.full), "seed \(seed)")
            #expect(report.captivePortal == .certain(nil), "seed \(seed)")
        }
    }

    @Test("only the ports of the web leave")
    func webOnly() throws {
        for seed in UInt64(1)...6 {
            var tcp = Self.cone.tcp
            tcp.allowedPorts = [80, 443]
            let box = NATConfiguration(udp: .blocked, tcp: tcp)
            let report = try discover(box, seed: seed, loss: 0.05, servers: Surroundings.servers) { surroundings in
                surroundings.runServer()
                surroundings.runOther()
                serveWeb(surroundings)
            }
            #expect(report.access == .certain(.webOnly), "seed \(seed)")
            #expect(report.udp.kind.value == .blocked)
            #expect(report.tcp.kind.value == .blocked)
            #expect(report.duration < .seconds(5))
            #expect(report.advice.first == .useWebPorts)
        }
    }

    @Test("a sign-in page answers in place of the web")
    func captivePortal() throws {
        var tcp = Self.cone.tcp
        tcp.allowedPorts = [80]
        let report = try discover(NATConfiguration(udp: .blocked, tcp: tcp)) { surroundings in
            surroundings.runServer()
            surroundings.server.serve(port: 80) { _ in
                let place = SocketField("Location", "http://login.example/\u{1B}[31m?from=x")
                return .response(status: 302, fields: [place], body: [])
            }
        }
        #expect(report.access == .certain(.captivePortal))
        // Nothing of it can do anything to a terminal.
        let portal = CaptivePortal(status: 302, location: "http://login.example/[31m?from=x")
        #expect(report.captivePortal == .certain(portal))
        #expect(report.advice == [.signIn(location: portal.location)])
    }

    @Test("a wrong page on an otherwise free network is a doubt, no sign-in page")
    func wrongPage() throws {
        let report = try discover(Self.cone) { surroundings in
            surroundings.runServer()
            surroundings.server.serve(port: 80) { _ in .response(status: 200, fields: [], body: [1]) }
        }
        #expect(report.access == .certain(.full))
        #expect(report.captivePortal == .likely(CaptivePortal(status: 200, location: nil), .inconsistent))
    }

    @Test("the server's own answer is no sign-in page, whatever it says")
    func serverField() throws {
        var check = Self.check
        check.serverField = "Adit-Error"
        let box = Self.cone
        for (fields, portal) in [
            ([SocketField("adit-error", "ADIT-222")], nil),
            ([SocketField("Server", "hotel")], CaptivePortal(status: 404, location: nil)),
        ] {
            let report = try Lab.play(seed: 2) { lab in
                let surroundings = Surroundings(lab, [box])
                surroundings.runServer()
                surroundings.server.serve(port: 80) { _ in .response(status: 404, fields: fields, body: []) }
                var configuration = surroundings.configuration([Surroundings.servers[0]])
                configuration.webChecks = [check]
                return try surroundings.discover(configuration)
            }
            #expect(report.captivePortal == portal.map { .likely($0, .inconsistent) } ?? .certain(nil))
        }
    }

    @Test("nothing leaves")
    func nothing() throws {
        let report = try discover(NATConfiguration(udp: .blocked, tcp: .blocked)) { surroundings in
            surroundings.runServer()
            serveWeb(surroundings)
        }
        #expect(report.access == .certain(.none))
        #expect(report.duration < .seconds(5))
    }

    @Test("a computer without an address has no internet, and that is known at once")
    func noAddress() throws {
        try Lab.play(seed: 1) { lab in
            let surroundings = Surroundings(lab, [Self.cone])
            var configuration = surroundings.configuration()
            configuration.network = LocalNetwork()
            let report = try surroundings.discover(configuration)
            #expect(report.access == .certain(.none))
            #expect(report.duration == .zero)
        }
    }

    @Test("without a server nothing is claimed")
    func noServer() throws {
        try Lab.play(seed: 1) { lab in
            let surroundings = Surroundings(lab, [Self.cone])
            let report = try surroundings.discover(surroundings.configuration([]))
            #expect(report.udp.reach == .unknown(.noServer))
            #expect(!report.access.isCertain)
        }
    }

    @Test("further interfaces are tried, virtual ones are left alone")
    func interfaces() throws {
        try Lab.play(seed: 3) { lab in
            let surroundings = Surroundings(lab, [Self.cone])
            surroundings.runServer()
            let link = lab.link(latency: .milliseconds(5), name: "second line")
            surroundings.core.attach(to: link, "192.0.2.129/25")
            surroundings.computer.attach(to: link, "192.0.2.130/25")
            var configuration = surroundings.configuration()
            configuration.network.interfaces += [
                LocalInterface(name: "docker0", addresses: [address("172.17.0.1")], isVirtual: true),
                LocalInterface(name: "eth9", addresses: [address("169.254.3.4")]),
                LocalInterface(name: "wlan0", addresses: [address("10.9.9.9")]),
            ]
            let report = try surroundings.discover(configuration)
            let standings = report.interfaces.map { "\($0.name) \($0.standing)" }
            #expect(standings == ["eth0 main", "eth1 reachable", "docker0 ignored", "eth9 unused", "wlan0 silent"])
            #expect(report.interfaces[0].external == address("198.51.100.2"))
            #expect(report.interfaces[1].external != nil)
        }
    }
}
