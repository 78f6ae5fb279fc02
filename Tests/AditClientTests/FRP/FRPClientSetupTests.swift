// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTransport
import AditTunnel
import AditWire
import Testing

@testable import AditClient

@Suite struct FRPClientSetupTests {
    private static func load(_ text: String) throws -> FRPClientConfiguration {
        try ConfigurationFile.loadFRPClient(bytes: Array(text.utf8), fileName: "frpc.toml").configuration
    }

    private static func setup(_ text: String) throws -> FRPClientSetup {
        FRPClientSetup(try load(text), token: "t", hostname: "h", version: "0.70.1")
    }

    @Test("frp's defaults become frp's session")
    func defaults() throws {
        let session = try Self.setup("serverAddr = \"1.2.3.4\"\n").session
        #expect(session.server.description == "1.2.3.4:7000")
        #expect(session.serverTrust == .unverified(name: "1.2.3.4"))
        #expect(session.wireVersion == .v1 && session.isMultiplexed && session.poolCount == 1)
        #expect(session.heartbeatInterval == nil && session.heartbeatTimeout == nil)
        #expect(session.muxPingInterval == .seconds(30) && !session.sendsTLSMarker)
        #expect(session.credentials.token == "t" && !session.credentials.isAdit)
    }

    @Test("Every key of the session arrives")
    func session() throws {
        let session = try Self.setup(
            """
            serverAddr = "s.example"
            serverPort = 7001
            user = "mei"
            clientID = "c1"
            metadatas.region = "cn"
            auth.additionalScopes = ["HeartBeats", "NewWorkConns"]
            transport.wireProtocol = "v2"
            transport.tcpMux = false
            transport.poolCount = 5
            transport.dialServerTimeout = 3
            transport.tls.disableCustomTLSFirstByte = false
            transport.tls.serverName = "name.example"
            transport.tls.trustedCaFile = "/ca.pem"
            transport.tls.certFile = "/c.pem"
            transport.tls.keyFile = "/k.pem"
            """
        ).session
        #expect(session.serverTrust == .authorities(file: "/ca.pem", name: "name.example"))
        #expect(session.clientCertificate == TLSCertificateFiles(certificate: "/c.pem", key: "/k.pem"))
        #expect(session.wireVersion == .v2 && !session.isMultiplexed && session.poolCount == 5)
        #expect(session.heartbeatInterval == .seconds(30) && session.heartbeatTimeout == .seconds(90))
        #expect(session.provesHeartbeats && session.provesWorkConnections && session.sendsTLSMarker)
        #expect(session.user == "mei" && session.clientID == "c1" && session.metas == ["region": "cn"])
        #expect(session.connectTimeout == .seconds(3))
        #expect(try Self.setup("transport.tls.enable = false\n").session.serverTrust == .plain)
    }

    @Test("A proxy is registered under the user's prefix and shown without it")
    func proxies() throws {
        let setup = try Self.setup(
            """
            user = "mei"
            start = ["web"]
            [[proxies]]
            name = "web"
            type = "http"
            localIP = "10.0.0.2"
            localPort = 8080
            customDomains = ["demo.example"]
            subdomain = "demo"
            locations = ["/", "/pic"]
            httpUser = "u"
            httpPassword = "p"
            hostHeaderRewrite = "inner"
            requestHeaders.set.x-from = "frp"
            annotations.a = "b"
            metadatas.m = "n"
            loadBalancer.group = "g"
            loadBalancer.groupKey = "k"
            [proxies.transport]
            useEncryption = true
            useCompression = true
            bandwidthLimit = "1MB"
            bandwidthLimitMode = "server"
            [[proxies]]
            name = "other"
            type = "tcp"
            localPort = 22
            remotePort = 6022
            """
        )
        #expect(setup.proxies.map(\.name) == ["web"])
        let proxy = try #require(setup.proxies.first)
        #expect(proxy.target == TunnelTarget(scheme: .tcp, host: "10.0.0.2", port: 8080))
        #expect(
            proxy.request
                == FRPNewProxy(
                    proxyName: "mei.web",
                    proxyType: "http",
                    useEncryption: true,
                    useCompression: true,
                    bandwidthLimit: "1MB",
                    bandwidthLimitMode: "server",
                    group: "g",
                    groupKey: "k",
                    metas: ["m": "n"],
                    annotations: ["a": "b"],
                    customDomains: ["demo.example"],
                    subdomain: "demo",
                    locations: ["/", "/pic"],
                    httpUser: "u",
                    httpPassword: "p",
                    hostHeaderRewrite: "inner",
                    headers: ["x-from": "frp"]
                )
        )
    }

    @Test(
        "What this version lacks is refused by name",
        arguments: [
            (
                "[[proxies]]\nname=\"a\"\ntype=\"tcpmux\"\nlocalPort=53\nmultiplexer=\"httpconnect\"\ncustomDomains=[\"a.b\"]\n",
                "proxies[0].type = tcpmux"
            ),
            (
                "[[proxies]]\nname=\"a\"\ntype=\"tcp\"\n[proxies.plugin]\ntype=\"unix_domain_socket\"\nunixPath=\"/s\"\n",
                "plugin"
            ),
            ("[[proxies]]\nname=\"a\"\ntype=\"tcp\"\nlocalPort=1\nhealthCheck.type=\"tcp\"\n", "healthCheck.type"),
            (
                "[[visitors]]\nname=\"v\"\ntype=\"stcp\"\nserverName=\"a\"\nsecretKey=\"s\"\nplugin.type=\"virtual_net\"\n",
                "visitors[0].plugin"
            ),
            ("transport.protocol = \"quic\"\n", "transport.protocol = quic"),
            ("transport.proxyURL = \"http://p:1\"\n", "transport.proxyURL"),
            ("store.path = \"/s.json\"\n", "store.path"),
            ("dnsServer = \"8.8.8.8\"\n", "dnsServer"),
        ]
    )
    func refuses(text: String, words: String) throws {
        let lines = FRPClientSetup.refusals(try Self.load(text))
        #expect(lines.count == 1)
        #expect(lines.first?.contains(words) == true)
        #expect(lines.first?.hasSuffix("is not available in this version") == true)
    }

    @Test("frpc's local web interface is warned about and does not keep the tunnels from running")
    func warns() throws {
        let file = try Self.load("webServer.port = 7400\n")
        #expect(FRPClientSetup.refusals(file).isEmpty)
        #expect(FRPClientSetup.warnings(file).count == 1)
    }
}
