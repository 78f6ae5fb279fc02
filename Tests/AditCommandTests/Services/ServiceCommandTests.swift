// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditWire
import ArgumentParser
import Testing

@testable import adit

/// What the commands of private services make of their words.
@Suite struct ServiceCommandTests {
    @Test(arguments: [
        ("ssh", "ssh", "localhost:22"), ("22", "ssh", "localhost:22"), ("8080", "tcp-8080", "localhost:8080"),
        ("nas:445", "nas-smb", "nas:445"), ("192.168.1.5:8080", "192-168-1-5-tcp-8080", "192.168.1.5:8080"),
        ("rdp", "rdp", "localhost:3389"),
    ])
    func `a service has a name by its port`(word: String, name: String, target: String) throws {
        let order = try ExposeCommand.parse([word]).order(environment: [:])
        #expect(order.name == name && order.target.description == target)
        #expect(order.kind == .tcp && order.allow.isEmpty && order.secret.isEmpty)
    }

    @Test func `flags narrow a service`() throws {
        let words = ["53", "--udp", "--allow", "laptop,phone", "--allow", "desk", "--name", "dns", "--idle", "5s"]
        let order = try ExposeCommand.parse(words).order(environment: ["ADIT_SECRET": "s"])
        #expect(order.kind == .udp && order.name == "dns" && order.allow == ["laptop", "phone", "desk"])
        #expect(order.secret == "s" && order.idleTimeout == .seconds(5))
        #expect(try ExposeCommand.parse(["53", "--udp"]).order(environment: [:]).name == "udp-53")
    }

    @Test(arguments: [
        ["22", "--allow", ","], ["22", "--allow", "a/b"], ["22", "--name", "a/b"], ["22", "--name", ""],
        ["22", "--idle", "5s"],
        ["nonsense"], ["22", "--secret-file", "/dev/null"],
    ])
    func `what would open more than was meant is refused`(words: [String]) {
        #expect(throws: (any Error).self) { try ExposeCommand.parse(words).order(environment: [:]) }
    }

    @Test func `a visit has a place, and a port where it was said`() throws {
        let order = try ConnectCommand.parse(["desk/ssh", "2222"]).order(environment: [:])
        #expect(order == VisitOrder(ServicePlace(device: "desk", service: "ssh"), port: 2222))
        #expect(try ConnectCommand.parse(["desk/dns", "--udp"]).order(environment: [:]).kind == .udp)
        for words in [["desk"], ["/ssh"], ["desk/"], ["desk/ssh", "22", "--stdio"], ["desk/dns", "--udp", "--stdio"]] {
            #expect(throws: (any Error).self) { try ConnectCommand.parse(words).order(environment: [:]) }
        }
    }

    @Test func `a game is played at its own port`() throws {
        let order = try PlayCommand.parse(["mei/25565"]).order()
        #expect(order.port == 25565 && order.kind == .both && order.place.service == "25565")
        #expect(throws: (any Error).self) { try PlayCommand.parse(["mei/ssh"]).order() }
        let game = try GameCommand.parse(["25565"]).order()
        let service = GameCommand.service(of: game)
        #expect(service.name == "25565" && service.kind == .game && service.target == game.target)
    }

    @Test func `ssh is given a proxy and a name for the host's key`() throws {
        let line = try SSHCommand.parse(["mei@desk", "--p2p", "only", "--", "-L", "8080:localhost:80"])
            .commandLine(program: "/opt/my adit/100%/adit")
        #expect(
            line == [
                "ssh", "-o",
                "ProxyCommand='/opt/my adit/100%%/adit' 'connect' 'desk/ssh' '--stdio' '--show-path' '--p2p' 'only'",
                "-o", "HostKeyAlias=desk.adit", "-l", "mei", "desk", "-L", "8080:localhost:80",
            ]
        )
        #expect(SSHCommand.quoted("it's") == #"'it'\''s'"#)
        for name in ["-oProxyCommand=x", "a b", "a;b", "a/b", "$(id)", "x@-l", "@desk", "mei@"] {
            #expect(throws: (any Error).self) {
                try SSHCommand.parse(["--", name]).commandLine(program: "adit")
            }
        }
    }

    @Test func `the first line says where the service is and for whom`() throws {
        var order = try ExposeCommand.parse(["ssh"]).order(environment: [:])
        var facts = SessionFacts(server: HostPort(host: "tunnel.example.com", port: 7000))
        facts.deviceName = "desk"
        func lines(_ order: ServiceOrder, _ language: Language, _ mode: ScreenMode = .people) -> [ScreenOutput] {
            var model = ScreenModel(style: ScreenStyle(language: language), mode: mode, orders: [])
            model.services = [order]
            return model.handle(.connected(facts), at: ScreenTime(seconds: 0, clock: "14:00:00"))
        }
        #expect(
            lines(order, .english) == [
                .line("desk/ssh   private: every device of tunnel.example.com can reach it"),
                .line("  on your other devices:  adit ssh desk"),
            ]
        )
        #expect(lines(order, .english, .quiet) == [.line("desk/ssh")])
        order.allow = ["laptop", "phone"]
        #expect(lines(order, .english).first == .line("desk/ssh   private: only laptop, phone"))
        #expect(lines(order, .chinese).first == .line("desk/ssh   私有：仅限 laptop、phone"))
    }

    @Test func `a visit's first line is its local port, for programs too`() throws {
        let place = ServicePlace(device: "desk", service: "ssh")
        let endpoint = IPEndpoint(.v4(0x7F00_0001), 2222)
        let time = ScreenTime(seconds: 7, clock: "14:00:00")
        var people = ScreenModel(style: ScreenStyle(), mode: .people, orders: [])
        #expect(people.handle(.visiting(place, endpoint), at: time) == [.line("127.0.0.1:2222   leads to desk/ssh")])
        var quiet = ScreenModel(style: ScreenStyle(), mode: .addressOnly, orders: [])
        #expect(quiet.handle(.visiting(place, endpoint), at: time) == [.line("127.0.0.1:2222")])
        var json = ScreenModel(style: ScreenStyle(), mode: .json, orders: [])
        #expect(
            json.handle(.visiting(place, endpoint), at: time) == [
                .line(
                    #"{"event":"visiting","time":7,"address":"127.0.0.1:2222","device":"desk","service":"ssh"}"#
                )
            ]
        )
        let visitor = ServiceVisitor(service: "ssh", device: "lap\u{1B}[2Jtop", kind: .tcp)
        #expect(
            people.handle(.service(.came(visitor)), at: time) == [.line("14:00:00  + lap[2Jtop              TCP   ssh")]
        )
    }
}
