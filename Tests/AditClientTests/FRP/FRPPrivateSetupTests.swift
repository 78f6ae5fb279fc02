// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTransport
import AditTunnel
import AditWire
import Testing

@testable import AditClient

@Suite struct FRPPrivateSetupTests {
    private static let seed = [UInt8](repeating: 3, count: 32)

    private static func load(_ text: String) throws -> FRPClientConfiguration {
        try ConfigurationFile.loadFRPClient(bytes: Array(text.utf8), fileName: "frpc.toml").configuration
    }

    private static func setup(_ text: String) throws -> FRPPrivateSetup? {
        let file = try load(text)
        let base = FRPClientSetup(file, token: "t", hostname: "h", version: "0.70.1").session
        return try FRPPrivateSetup(file, base: base, seed: seed)
    }

    private static let file = """
        serverAddr = "s.example"
        user = "mei"
        transport.tls.enable = false
        transport.tcpMux = false
        [[proxies]]
        name = "ssh"
        type = "stcp"
        secretKey = "k"
        localPort = 22
        [[proxies]]
        name = "dns"
        type = "sudp"
        secretKey = "k"
        allowUsers = ["ben", "amy"]
        localIP = "10.0.0.2"
        localPort = 53
        [[proxies]]
        name = "web"
        type = "tcp"
        localPort = 80
        remotePort = 8080
        [[visitors]]
        name = "v1"
        type = "stcp"
        serverName = "ssh"
        secretKey = "k"
        bindPort = -1
        [[visitors]]
        name = "v2"
        type = "xtcp"
        serverUser = "ben"
        serverName = "ssh"
        secretKey = "k"
        bindAddr = "0.0.0.0"
        bindPort = 6001
        fallbackTo = "v1"
        fallbackTimeoutMs = 300
        keepTunnelOpen = true
        minRetryInterval = 10
        maxRetriesAnHour = 60
        [[visitors]]
        name = "v3"
        type = "xtcp"
        serverName = "ssh"
        secretKey = "k"
        bindPort = 6002
        [[visitors]]
        name = "v4"
        type = "sudp"
        serverName = "dns"
        secretKey = "k"
        bindPort = 6003
        """

    @Test("Private proxies and visitors become services and visits")
    func parts() throws {
        let setup = try #require(try Self.setup(Self.file))
        #expect(setup.services.map(\.order.name) == ["mei.ssh", "mei.dns"])
        #expect(setup.services.map(\.order.users) == [["mei"], ["ben", "amy"]])
        #expect(setup.services.map(\.order.kind) == [.tcp, .udp])
        #expect(setup.services.map(\.order.secret) == ["k", "k"])
        #expect(setup.services[1].order.target == TunnelTarget(scheme: .tcp, host: "10.0.0.2", port: 53))
        #expect(setup.visitors.map(\.order.place.service) == ["mei.ssh", "ben.ssh", "mei.ssh", "mei.dns"])
        #expect(setup.visitors.map(\.order.kind) == [.tcp, .tcp, .tcp, .udp])
        #expect(setup.visitors.map(\.listens) == [false, true, true, true])
        #expect(setup.visitors.map(\.order.directTime) == [nil, .milliseconds(300), .seconds(20), nil])
        #expect(setup.visitors.map(\.fallbackTo) == ["", "v1", "", ""])
        #expect(setup.visitors.map(\.keepsOpenEvery) == [nil, .seconds(60), nil, nil])
        #expect(setup.visitors.map(\.order.port) == [0, 6001, 6002, 6003])
        #expect(setup.visitors[1].order.address == .v4(0))
        // frp's own session has the others.
        #expect(
            FRPClientSetup(try Self.load(Self.file), token: "t", hostname: "h", version: "0.70.1").proxies.map(\.name)
                == ["web"]
        )
        #expect(FRPClientSetup.refusals(try Self.load(Self.file)).isEmpty)
    }

    @Test("The guest's session is inside TLS and shows a key and the token")
    func session() throws {
        let session = try #require(try Self.setup(Self.file)).session
        #expect(session.serverTrust == .unverified(name: "s.example"))
        #expect(session.isMultiplexed && session.wireVersion == .v2 && session.takesSignals)
        #expect(session.credentials.isGuest && session.credentials.isAdit && session.credentials.token == "t")
        #expect(session.user == "mei")
        #expect(try Self.setup("serverAddr = \"s\"\n") == nil)
    }

    @Test(
        "What cannot be private is refused",
        arguments: [
            ("[[proxies]]\nname=\"a\"\ntype=\"stcp\"\nlocalPort=1\n", "ADIT-901: no empty secret"),
            ("[[visitors]]\nname=\"a\"\ntype=\"sudp\"\nserverName=\"s\"\nbindPort=1\n", "ADIT-901: no empty secret"),
            (
                "user=\"\(String(repeating: "u", count: 60))\"\n[[proxies]]\nname=\"abcd\"\ntype=\"stcp\"\nlocalPort=1\nsecretKey=\"k\"\n",
                "64 bytes"
            ),
            (
                "[[proxies]]\nname=\"a\"\ntype=\"xtcp\"\nlocalPort=1\nsecretKey=\"k\"\ntransport.proxyProtocolVersion=\"v2\"\n",
                "proxyProtocolVersion"
            ),
            (
                "[[visitors]]\nname=\"a\"\ntype=\"stcp\"\nserverName=\"s\"\nsecretKey=\"k\"\nbindAddr=\"nowhere\"\nbindPort=1\n",
                "bindAddr = nowhere"
            ),
            (
                "[[visitors]]\nname=\"a\"\ntype=\"xtcp\"\nserverName=\"s\"\nsecretKey=\"k\"\nbindPort=1\nfallbackTo=\"a\"\n",
                "fallbackTo = a is no other visitor"
            ),
        ]
    )
    func refuses(text: String, words: String) throws {
        let lines = FRPClientSetup.refusals(try Self.load(text))
        #expect(lines.count == 1 && lines.first?.contains(words) == true)
    }

    @Test("What changes nothing is warned about")
    func warns() throws {
        let text = """
            [[proxies]]
            name = "a"
            type = "stcp"
            localPort = 1
            secretKey = "k"
            transport.useCompression = true
            transport.useEncryption = true
            [[visitors]]
            name = "v"
            type = "xtcp"
            serverName = "a"
            secretKey = "k"
            bindPort = 1
            protocol = "kcp"
            """
        let lines = FRPClientSetup.warnings(try Self.load(text))
        #expect(lines.count == 2)
        #expect(lines.first?.hasPrefix("proxy [a]: transport.useCompression changes nothing") == true)
        #expect(lines.last == "visitor [v]: protocol = kcp: quic is used")
    }
}
