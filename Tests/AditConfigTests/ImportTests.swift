// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

/// frp's files turned into Adit's own.
@Suite struct ImportTests {
    private static func convert(_ text: String, _ file: String) throws -> ConfigurationImport {
        try ConfigurationImport.convert(bytes: Array(text.utf8), fileName: file)
    }

    @Test func theArticlesClientBecomesATunnel() throws {
        let text = """
            [common]
            server_addr = your.server.com
            server_port = 7000
            [web]
            type = http
            local_port = 8080
            custom_domains = demo.yourserver.com
            """
        let made = try Self.convert(text, "frpc.ini")
        #expect(made.role == .client)
        #expect(
            made.text == """
                # A device's configuration, made from frpc.ini.

                server = "your.server.com:7000"
                # There is no token: join the server by invite, or write token = "…".

                # web
                [[tunnels]]
                kind = "http"
                target = "127.0.0.1:8080"
                domains = ["demo.yourserver.com"]
                hostHeader = "keep"

                """
        )
        #expect(made.notCarriedOver == [])
    }

    @Test func theArticlesServerBecomesAServer() throws {
        let made = try Self.convert("[common]\nbind_port = 7000\nvhost_http_port = 8080\n", "frps.ini")
        #expect(made.role == .server)
        #expect(
            made.text == """
                # An Adit server's configuration, made from frps.ini.

                sessionPort = 7000
                httpPort = 8080
                allowFRP = false

                # Not carried over:
                # - no allowPorts: Adit gives out 20000-20999 unless publicPorts says otherwise

                """
        )
    }

    @Test func wholeClientIsCarriedOverWithItsLosses() throws {
        let text = """
            serverAddr = "2001:db8::1"
            auth.token = "se\\"cret"
            user = "me"
            start = ["ssh", "web"]
            transport.protocol = "kcp"

            [[proxies]]
            name = "ssh"
            type = "tcp"
            localPort = 22
            remotePort = 6000
            transport.useEncryption = true

            [[proxies]]
            name = "web"
            type = "http"
            localIP = "::1"
            localPort = 80
            subdomain = "Shop"
            customDomains = ["*", "a.example"]
            httpUser = "u"
            httpPassword = "p:w"
            hostHeaderRewrite = "inner"
            requestHeaders.set.x-a = "b"
            locations = ["/x"]

            [[proxies]]
            name = "off"
            type = "tcp"
            localPort = 23

            [[proxies]]
            name = "half"
            type = "http"
            localPort = 81
            subdomain = "half"
            httpUser = "u"

            [[proxies]]
            name = "dns"
            type = "udp"
            localPort = 53

            [[visitors]]
            name = "v"
            type = "stcp"
            serverName = "s"
            bindPort = 1
            """
        let made = try Self.convert(text, "frpc.toml")
        #expect(
            made.text == """
                # A device's configuration, made from frpc.toml.

                server = "[2001:db8::1]:7000"
                token = "se\\"cret"

                # ssh
                [[tunnels]]
                kind = "tcp"
                target = "127.0.0.1:22"
                port = 6000

                # web
                [[tunnels]]
                kind = "http"
                target = "[::1]:80"
                name = "shop"
                domains = ["a.example"]
                auth = ["u:p:w"]
                hostHeader = "inner"
                requestHeaders = { "x-a" = "b" }

                # Switched off in frpc.toml:
                # # off
                # [[tunnels]]
                # kind = "tcp"
                # target = "127.0.0.1:23"

                # half, of type http, could not be carried over.

                # Switched off in frpc.toml:
                # # dns
                # [[tunnels]]
                # kind = "udp"
                # target = "127.0.0.1:53"

                # Not carried over:
                # - user me: Adit knows devices by their keys
                # - proxy ssh: transport.useEncryption: a session of Adit is always encrypted
                # - proxy web: customDomains * is not a domain for Adit
                # - proxy web: locations: a tunnel of Adit serves every path
                # - proxy half: httpUser and httpPassword: Adit needs both, and no colon in the user
                # - transport.protocol kcp (line 5): Adit does not have it yet
                # - visitor v: a service of a device is reached by  adit connect NAME/SERVICE

                """
        )
        let loaded = try ConfigurationFile.loadClient(bytes: Array(made.text.utf8), fileName: "adit.toml")
        #expect(loaded.warnings == [])
        #expect(loaded.configuration.tunnels.count == 2)
        #expect(loaded.configuration.token == "se\"cret")
    }

    @Test func wholeServerIsCarriedOverWithItsLosses() throws {
        let made = try Self.convert(SchemaTests.everyServerKey, "server.toml")
        #expect(made.role == .server)
        let loaded = try ConfigurationFile.loadServer(bytes: Array(made.text.utf8), fileName: "adit.toml")
        #expect(loaded.warnings == [])
        #expect(loaded.configuration.domain == "frps.com")
        #expect(loaded.configuration.publicPorts.description == "2000-3001")
        #expect(loaded.configuration.custom404Page == "/404.html")
        #expect(made.notCarriedOver.contains { $0.hasPrefix("kcpBindPort 7002 (line 3)") })
    }

    @Test(arguments: ["frps.toml", "frps.ini", "frpc.toml", "frpc.ini"])
    func importedExamplesAreGoodFiles(_ name: String) throws {
        let made = try ConfigurationImport.convert(bytes: try Example.bytes(name), fileName: name)
        let file = made.role == .server ? "adit-server.toml" : "adit-client.toml"
        #expect(try Example.load(Array(made.text.utf8), file) == [])
    }

    @Test func roleIsFoundFromTheKeys() {
        for (text, role) in [
            ("bindPort = 7000\n", ConfigurationImport.Role.server), ("serverAddr = \"a\"\n", .client),
            ("[common]\nbind_port = 1\n", .server), ("[common]\nserver_addr = a\n", .client),
            ("[[proxies]]\nname = \"a\"\ntype = \"tcp\"\nlocalPort = 1\n", .client),
        ] {
            #expect(ConfigurationImport.role(bytes: Array(text.utf8), fileName: "x") == role)
        }
    }

    @Test func namesCannotBreakOutOfComments() throws {
        let text = """
            serverAddr = "a"
            [[proxies]]
            name = "x\\ntoken = 'stolen'"
            type = "tcpmux"
            multiplexer = "httpconnect"
            customDomains = ["a.example"]
            localPort = 1
            [[proxies]]
            name = "y\\u2028token"
            type = "tcp"
            localPort = 2
            """
        let made = try Self.convert(text, "frpc.toml")
        let client = try ConfigurationFile.loadClient(bytes: Array(made.text.utf8), fileName: "a.toml").configuration
        #expect(client.token == nil)
        #expect(client.tunnels.count == 1)
    }
}
