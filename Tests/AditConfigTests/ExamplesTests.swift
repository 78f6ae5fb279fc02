// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import FoundationEssentials
import Testing

/// The files of conf/ and texts that documentation shows.
enum Example {
    static let names = [
        "adit-server.toml", "adit-server.yaml", "adit-server.json", "adit-client.toml",
        "adit-client.yaml",
        "adit-client.json", "frps.toml", "frpc.toml", "frps.ini", "frpc.ini",
    ]

    static func bytes(_ name: String) throws -> [UInt8] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return Array(try Data(contentsOf: root.appending(path: "conf").appending(path: name)))
    }

    /// Reads a file as what its name says and returns its warnings.
    static func load(_ bytes: [UInt8], _ name: String) throws(ConfigurationFaults)
        -> [ConfigurationFault]
    {
        if name.hasPrefix("adit-server") {
            return try ConfigurationFile.loadServer(bytes: bytes, fileName: name).warnings
        }
        if name.hasPrefix("adit-client") {
            return try ConfigurationFile.loadClient(bytes: bytes, fileName: name).warnings
        }
        if name.hasPrefix("frps") {
            return try ConfigurationFile.loadFRPServer(
                bytes: bytes,
                fileName: name
            )
            .warnings
        }
        return try ConfigurationFile.loadFRPClient(bytes: bytes, fileName: name).warnings
    }
}

@Suite struct ExamplesTests {
    @Test(arguments: Example.names)
    func exampleParsesWithoutAFault(_ name: String) throws {
        #expect(try Example.load(try Example.bytes(name), name) == [])
    }

    @Test func everyExampleIsTested() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "conf")
        let found = try FileManager.default.contentsOfDirectory(atPath: root.path())
        #expect(found.sorted() == Example.names.sorted())
    }

    @Test func examplesOfFRPAskForNothingThatIsMissing() throws {
        for name in ["frps.toml", "frps.ini"] {
            let loaded = try ConfigurationFile.loadFRPServer(
                bytes: try Example.bytes(name),
                fileName: name
            )
            #expect(loaded.configuration.unsupportedFeatures == [])
        }
        for name in ["frpc.toml", "frpc.ini"] {
            let loaded = try ConfigurationFile.loadFRPClient(
                bytes: try Example.bytes(name),
                fileName: name
            )
            #expect(loaded.configuration.unsupportedFeatures == [])
        }
    }

    @Test func formsOfTheSameConfigurationAreEqual() throws {
        var server = try ConfigurationFile.loadServer(
            bytes: try Example.bytes("adit-server.toml"),
            fileName: "a.toml"
        ).configuration
        let yaml = try ConfigurationFile.loadServer(
            bytes: try Example.bytes("adit-server.yaml"),
            fileName: "a.yaml"
        ).configuration
        #expect(server.publicPorts.description == "20000-20999")
        server.publicPorts = try PortRangeList(parsing: "20000-20999,25565")
        #expect(server == yaml)
        #expect(server.domain == "tunnel.example.com")
        #expect(server.reservedNames == ["billing", "intranet"])

        var client = try ConfigurationFile.loadClient(
            bytes: try Example.bytes("adit-client.toml"),
            fileName: "a.toml"
        ).configuration
        var other = try ConfigurationFile.loadClient(
            bytes: try Example.bytes("adit-client.yaml"),
            fileName: "a.yaml"
        ).configuration
        let lines = String(decoding: try Example.bytes("adit-client.toml"), as: UTF8.self).split(
            separator: "\n",
            omittingEmptySubsequences: false
        )
        for tunnel in client.tunnels {
            #expect(tunnel.position.column == 3 && lines[tunnel.position.line - 1].hasPrefix("[[tunnels]]"))
        }
        client.tunnels[0].target = "3000"
        for index in client.tunnels.indices where index < other.tunnels.count {
            client.tunnels[index].position = .start
            other.tunnels[index].position = .start
        }
        for index in client.services.indices where index < other.services.count {
            client.services[index].position = .start
            other.services[index].position = .start
        }
        #expect(client == other)
        #expect(client.tunnels[0].expires == .seconds(28800))
        #expect(client.tunnels[0].requestHeaders == ["X-From": "adit"])
        #expect(client.tunnels[1].port == 20022)
        #expect(client.tunnels.map(\.kind).contains(.tls))
        #expect(server.httpsPort == 8443 && server.redirectToHTTPS && server.certificates.isEmpty)
        let json = try ConfigurationFile.loadServer(
            bytes: try Example.bytes("adit-server.json"),
            fileName: "a.json"
        ).configuration
        let pair = ServerConfiguration.Certificate(certificate: "/etc/adit/fullchain.pem", key: "/etc/adit/key.pem")
        #expect(json.certificates == [pair])
        #expect(json.stun.addresses.map(\.own.description) == ["203.0.113.5", "203.0.113.6"])
        #expect(server.stun.isOn && server.stun.port == 3478 && server.stun.rate == 100)
        #expect(server.turn == TURNConfiguration() && server.relay && json.relay)
        #expect(json.turn.ports == 50000...50999 && json.turn.refusedPeers.count == 1)
    }

    /// Section 5.3 of the article that Adit began with.
    @Test func theArticlesServerIsRead() throws {
        let text = """
            [common]
            bind_port = 7000
            vhost_http_port = 8080
            """
        let loaded = try ConfigurationFile.loadFRPServer(bytes: Array(text.utf8), fileName: "frps.ini")
        #expect(loaded.format == .ini)
        #expect(loaded.warnings == [])
        var expected = FRPServerConfiguration()
        expected.vhostHTTPPort = 8080
        #expect(loaded.configuration == expected)

        let toml = "bindPort = 7000\nvhostHTTPPort = 8080\n"
        let same = try ConfigurationFile.loadFRPServer(bytes: Array(toml.utf8), fileName: "frps.toml")
        #expect(same.configuration == expected)
    }

    @Test func theArticlesClientIsRead() throws {
        let text = """
            [common]
            server_addr = your.server.com
            server_port = 7000
            [web]
            type = http
            local_port = 8080
            custom_domains = demo.yourserver.com
            """
        let loaded = try ConfigurationFile.loadFRPClient(bytes: Array(text.utf8), fileName: "frpc")
        #expect(loaded.format == .ini)
        #expect(loaded.warnings == [])
        var expected = FRPClientConfiguration()
        expected.serverAddr = "your.server.com"
        var proxy = FRPProxyConfiguration(name: "web", type: .http, position: .init(line: 4, column: 1))
        proxy.localPort = 8080
        proxy.customDomains = ["demo.yourserver.com"]
        expected.proxies = [proxy]
        #expect(loaded.configuration == expected)

        let toml = """
            serverAddr = "your.server.com"
            serverPort = 7000

            [[proxies]]
            name = "web"
            type = "http"
            localPort = 8080
            customDomains = ["demo.yourserver.com"]
            """
        var same = try ConfigurationFile.loadFRPClient(bytes: Array(toml.utf8), fileName: "frpc.toml")
            .configuration
        #expect(same.proxies[0].position == .init(line: 4, column: 3))
        same.proxies[0].position = .init(line: 4, column: 1)
        #expect(same == expected)
    }

    @Test func templatesOfTheExampleMakeProxies() throws {
        let client = try ConfigurationFile.loadFRPClient(
            bytes: try Example.bytes("frpc.toml"),
            fileName: "frpc.toml"
        ).configuration
        #expect(
            client.proxies.map(\.name) == [
                "ssh", "web", "dns", "secret-ssh", "game-6000", "game-6001", "game-6002", "game-6007",
            ]
        )
        #expect(client.proxies.last?.remotePort == 20007)
        #expect(client.visitors.map(\.fallbackTo) == ["", "ssh-relayed"])
        #expect(client.startedProxies.map(\.name) == ["ssh", "web"])
        #expect(client.proxies[0].annotations == ["key1": "value1", "prefix/key2": "value2"])
        #expect(client.metadatas == ["owner": "adit"])
        let ini = try ConfigurationFile.loadFRPClient(
            bytes: try Example.bytes("frpc.ini"),
            fileName: "frpc.ini"
        )
        .configuration
        #expect(ini.proxies.map(\.name) == ["ssh", "web", "game_0", "game_1", "game_2"])
        #expect(ini.proxies[4].localPort == 6007)
        #expect(ini.proxies[1].requestHeaders == ["X-From-Where": "frp"])
        #expect(ini.proxies[1].customDomains == ["demo.yourserver.com", "www.yourserver.com"])
    }
}
