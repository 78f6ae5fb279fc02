// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import ArgumentParser
import Testing

@testable import adit

@Suite struct CommandLineTests {
    @Test("A flag of frps that does nothing here is spoken of")
    func idleFlags() throws {
        let words = CommandLineRewrite.arguments(of: [
            "frps", "--dashboard_addr", "127.0.0.1", "--dashboard_user", "a", "--dashboard_pwd=b",
            "--dashboard_tls_mode",
            "--enable_prometheus", "--bind_port", "7001",
        ])
        let command = try #require(try AditCommand.parseAsRoot(words) as? FRPServerRunCommand)
        #expect(command.flags.warnings.count == 5)
        #expect(command.flags.warnings.allSatisfy { $0.hasSuffix("does nothing") })
        #expect(command.flags.warnings.contains { $0.hasPrefix("--enable_prometheus ") })
        #expect(try command.flags.configuration().bindPort == 7001)
        let plain = try #require(try AditCommand.parseAsRoot(["frps", "--bind-port", "1"]) as? FRPServerRunCommand)
        #expect(plain.flags.warnings.isEmpty)
    }

    @Test(
        "The program's name and a target alone stand for a command",
        arguments: [
            (["adit"], []),
            (["/usr/bin/adit", "3000"], ["http", "3000"]),
            (["adit", "localhost:3000", "--json"], ["http", "localhost:3000", "--json"]),
            (["adit", "http://nas:80"], ["http", "http://nas:80"]),
            (["adit", "[::1]:80"], ["http", "[::1]:80"]),
            (["adit", "htpt", "3000"], ["htpt", "3000"]),
            (["adit", "--help"], ["--help"]),
            (["/opt/frps", "-c", "a_b.ini"], ["frps", "-c", "a_b.ini"]),
            (["./frpc", "--server_addr=1.2.3.4"], ["frpc", "--server-addr=1.2.3.4"]),
            (["adit", "frpc", "--strict_config", "--ue=false"], ["frpc", "--strict-config=true", "--ue=false"]),
            (
                ["frpc", "http", "--custom_domain", "a_b", "--uc"],
                ["frpc", "http", "--custom-domain", "a_b", "--uc=true"]
            ),
        ] as [([String], [String])]
    )
    func rewrites(commandLine: [String], arguments: [String]) {
        #expect(CommandLineRewrite.arguments(of: commandLine) == arguments)
    }

    @Test(
        "Every command of the product is there",
        arguments: [
            (["join", "h/c"], JoinCommand.self), (["http", "3000"], HTTPCommand.self),
            (["tcp", "22"], TCPCommand.self),
            (["client", "-c", "f"], ClientCommand.self), (["status", "--json"], StatusCommand.self),
            (["config", "check", "f"], ConfigCheckCommand.self), (["config", "import", "f"], ConfigImportCommand.self),
            (["explain", "201", "--language", "zh"], ExplainCommand.self), (["version"], VersionCommand.self),
            (["frpc", "-c", "f"], FRPClientRunCommand.self),
            (["frpc", "verify", "-c", "f"], FRPClientVerifyCommand.self),
            (["frpc", "tcp", "-n", "a", "-l", "22", "-r", "6000"], FRPClientTCPCommand.self),
            (["frpc", "http", "-n", "a", "-l8080", "--sd", "x"], FRPClientHTTPCommand.self),
            (["frpc"], FRPClientRunCommand.self), (["server"], ServerRunCommand.self),
            (["frps"], FRPServerRunCommand.self),
            ([], AditCommand.self),
        ] as [([String], any ParsableCommand.Type)]
    )
    func parses(arguments: [String], type: any ParsableCommand.Type) throws {
        let command = try AditCommand.parseAsRoot(arguments)
        #expect(Swift.type(of: command) == type)
    }

    @Test(
        "Wrong usage is refused with exit code 2",
        arguments: [
            ["nonsense"], ["http"], ["http", "3000", "--nonsense"], ["tcp", "22", "--port", "70000"], ["client"],
            ["explain", "1", "2"], ["status", "x"],
        ]
    )
    func usage(arguments: [String]) async {
        #expect(await AditCommand.execute(arguments) == 2)
    }

    @Test("frp's programs know one exit code for everything", arguments: [["frpc", "--nonsense"], ["frpc", "udp"]])
    func frpUsage(arguments: [String]) async {
        #expect(await AditCommand.execute(arguments) == 1)
    }

    private func order(_ arguments: [String]) throws -> TunnelOrder {
        switch try AditCommand.parseAsRoot(arguments) {
        case let command as HTTPCommand: return try command.order()
        case let command as TCPCommand: return try command.order()
        default: throw ValidationError("not a tunnel")
        }
    }

    @Test("The flags of a web tunnel reach its order")
    func httpFlags() throws {
        let order = try order([
            "http", "3000", "--name", "blog", "--auth", "a:b", "--auth", "c:d:e", "--allow", "10.0.0.0/8,1.2.3.4",
            "--expires", "2h", "--domain", "*.example.com", "--host-header", "keep", "--target-allow", "NAS",
        ])
        #expect(order.name == "blog" && order.publicName == "blog")
        #expect(order.auth == ["a:b", "c:d:e"] && order.domains == ["*.example.com"])
        #expect(order.allow.map(\.description) == ["10.0.0.0/8", "1.2.3.4/32"])
        #expect(order.expiresIn == .seconds(7200) && order.hostHeader == .keep && order.targetAllow == ["nas"])
        #expect(try self.order(["http", "3000"]).hostHeader == .automatic)
        #expect(try self.order(["http", "3000", "--host-header", "app.test"]).hostHeader == .value("app.test"))
    }

    @Test(
        "Flags that mean nothing are refused",
        arguments: [
            ["http", "3000", "--auth", "nopassword"], ["http", "3000", "--auth", ":x"],
            ["http", "3000", "--allow", "10.0.0.0/99"], ["http", "3000", "--expires", "soon"],
            ["http", "3000", "--host-header", ""], ["http", "x"], ["tcp", "25565", "--port", "0"],
        ]
    )
    func refusesFlags(arguments: [String]) {
        #expect(throws: (any Error).self) { try order(arguments) }
    }

    @Test("The gate for risky ports stands before anything is sent")
    func gate() throws {
        #expect {
            try order(["tcp", "22"])
        } throws: { error in
            (error as? AditError)?.code == .riskyPort
        }
        #expect(try order(["tcp", "22", "--public"]).isPublic)
        #expect(try order(["tcp", "22", "--allow", "10.0.0.0/8"]).allow.count == 1)
        #expect(try order(["tcp", "25565", "--port", "20565"]).port == 20565)
    }

    @Test("Only one way of showing can be asked for")
    func modes() throws {
        func mode(_ flags: [String]) throws -> ScreenMode {
            let command = try AditCommand.parseAsRoot(["http", "3000"] + flags) as? HTTPCommand
            return try #require(command).session.mode()
        }
        #expect(try mode([]) == .people)
        #expect(try mode(["--json"]) == .json)
        #expect(try mode(["--quiet"]) == .quiet)
        #expect(try mode(["--url-only"]) == .addressOnly)
        #expect(throws: (any Error).self) { try mode(["--json", "--quiet"]) }
    }

    @Test("The welcome has a line for each thing, in both languages")
    func welcome() {
        let english = Welcome.lines(ScreenStyle())
        let chinese = Welcome.lines(ScreenStyle(language: .chinese))
        #expect(english.count == chinese.count)
        #expect(english.first == "  adit join INVITE          connect this computer to a server, once")
        #expect(chinese.first == "  adit join INVITE          把本机接入一台服务器，只需一次")
    }

    @Test("The help of every command names only what exists")
    func help() {
        let text = AditCommand.helpMessage(columns: 100)
        for name in [
            "join", "http", "tcp", "map", "client", "status", "doctor", "config", "lab", "explain", "server", "frps",
            "frpc", "version",
        ] {
            #expect(text.contains("  \(name) "))
        }
        for name in ["net", "share"] { #expect(!text.contains("  \(name) ")) }
    }
}
