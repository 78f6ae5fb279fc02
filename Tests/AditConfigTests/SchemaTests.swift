// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

/// frp's schema: every documented key, its defaults, and what this version does not have.
@Suite struct SchemaTests {
    static let everyServerKey = """
        bindAddr = "127.0.0.1"
        bindPort = 7001
        kcpBindPort = 7002
        quicBindPort = 7003
        proxyBindAddr = "127.0.0.2"
        vhostHTTPPort = 8081
        vhostHTTPTimeout = 61
        vhostHTTPSPort = 8443
        tcpmuxHTTPConnectPort = 1337
        tcpmuxPassthrough = true
        subDomainHost = "frps.com"
        custom404Page = "/404.html"
        maxPortsPerClient = 3
        detailedErrorsToClient = false
        userConnTimeout = 11
        udpPacketSize = 1501
        natholeAnalysisDataReserveHours = 1
        enablePrometheus = true
        allowPorts = [{ start = 2000, end = 3000 }, { single = 3001 }]
        sshTunnelGateway.bindPort = 2200
        sshTunnelGateway.privateKeyFile = "k"
        sshTunnelGateway.autoGenPrivateKeyPath = "p"
        sshTunnelGateway.authorizedKeysFile = "a"
        webServer = { addr = "0.0.0.0", port = 7500, user = "u", password = "p", assetsDir = "d", pprofEnable = true }
        webServer.tls.certFile = "c"
        webServer.tls.keyFile = "k"
        log = { to = "./frps.log", level = "debug", maxDays = 4, disablePrintColor = true }
        auth.method = "oidc"
        auth.additionalScopes = ["HeartBeats", "NewWorkConns"]
        auth.tokenSource = { type = "exec", exec = { command = "c", args = ["a"], env = [{ name = "N", value = "V" }] } }
        auth.oidc = { issuer = "i", audience = "a", skipExpiryCheck = true, skipIssuerCheck = true }
        [transport]
        tcpMux = false
        tcpMuxKeepaliveInterval = 31
        tcpKeepalive = 7201
        maxPoolCount = 6
        heartbeatTimeout = 91
        quic = { keepalivePeriod = 11, maxIdleTimeout = 31, maxIncomingStreams = 5 }
        [transport.tls]
        force = true
        certFile = "c"
        keyFile = "k"
        trustedCaFile = "t"
        [[httpPlugins]]
        name = "n"
        addr = "127.0.0.1:9000"
        path = "/h"
        ops = ["Login", "NewProxy", "CloseProxy", "Ping", "NewWorkConn", "NewUserConn"]
        tlsVerify = true
        """.replacingFirst(
            "pprofEnable = true }",
            with: "pprofEnable = true, tls = { certFile = \"c\", keyFile = \"k\" } }"
        )
        .replacingFirst("webServer.tls.certFile = \"c\"\nwebServer.tls.keyFile = \"k\"\n", with: "")

    static let everyClientKey = """
        serverAddr = "a.example"
        serverPort = 7001
        user = "u"
        clientID = "id"
        dnsServer = "8.8.8.8"
        natHoleStunServer = "stun.example:3478"
        loginFailExit = false
        start = ["tcp"]
        udpPacketSize = 1501
        includes = ["./confd/*.toml"]
        metadatas.k = "v"
        store.path = "./store.json"
        virtualNet.address = "100.86.0.1/24"
        featureGates = { VirtualNet = true }
        webServer = { addr = "127.0.0.2", port = 7400, user = "u", password = "p", assetsDir = "d", pprofEnable = true }
        log = { to = "./frpc.log", level = "trace", maxDays = 4, disablePrintColor = true }
        auth.method = "token"
        auth.additionalScopes = ["HeartBeats"]
        auth.tokenSource = { type = "file", file = { path = "/t" } }
        auth.oidc = { clientID = "c", clientSecret = "s", audience = "a", scope = "s", tokenEndpointURL = "u", trustedCaFile = "f", insecureSkipVerify = true, proxyURL = "p", additionalEndpointParams = { k = "v" }, tokenSource = { type = "file", file = { path = "/t" } } }
        [transport]
        protocol = "quic"
        wireProtocol = "v2"
        dialServerTimeout = 11
        dialServerKeepalive = 7201
        connectServerLocalIP = "192.0.2.1"
        proxyURL = "http://p:1"
        poolCount = 2
        tcpMux = false
        tcpMuxKeepaliveInterval = 31
        heartbeatInterval = 31
        heartbeatTimeout = 91
        quic = { keepalivePeriod = 11, maxIdleTimeout = 31, maxIncomingStreams = 5 }
        tls = { enable = true, certFile = "c", keyFile = "k", trustedCaFile = "t", serverName = "s", disableCustomTLSFirstByte = false }

        [[proxies]]
        name = "tcp"
        type = "tcp"
        enabled = true
        annotations = { k = "v" }
        metadatas = { k = "v" }
        localIP = "10.0.0.1"
        localPort = 22
        remotePort = 6000
        loadBalancer = { group = "g", groupKey = "k" }
        healthCheck = { type = "http", timeoutSeconds = 4, maxFailed = 2, intervalSeconds = 11, path = "/s", httpHeaders = [{ name = "h", value = "v" }] }
        transport = { useEncryption = true, useCompression = true, bandwidthLimit = "1MB", bandwidthLimitMode = "server", proxyProtocolVersion = "v2" }

        [[proxies]]
        name = "udp"
        type = "udp"
        localPort = 53
        remotePort = 6001

        [[proxies]]
        name = "http"
        type = "http"
        localPort = 80
        customDomains = ["a.example", "*.b.example", "*"]
        subdomain = "s"
        locations = ["/", "/pic"]
        httpUser = "u"
        httpPassword = "p"
        hostHeaderRewrite = "h"
        requestHeaders.set.x-from-where = "frp"
        responseHeaders.set.foo = "bar"
        routeByHTTPUser = "r"

        [[proxies]]
        name = "https"
        type = "https"
        localPort = 443
        customDomains = ["a.example"]

        [[proxies]]
        name = "tcpmux"
        type = "tcpmux"
        multiplexer = "httpconnect"
        localPort = 10701
        customDomains = ["a.example"]
        httpUser = "u"
        httpPassword = "p"
        routeByHTTPUser = "r"

        [[proxies]]
        name = "stcp"
        type = "stcp"
        secretKey = "s"
        allowUsers = ["*"]
        localPort = 1

        [[proxies]]
        name = "sudp"
        type = "sudp"
        secretKey = "s"
        localPort = 1

        [[proxies]]
        name = "xtcp"
        type = "xtcp"
        secretKey = "s"
        localPort = 1
        natTraversal.disableAssistedAddrs = true

        [[visitors]]
        name = "v1"
        type = "stcp"
        enabled = false
        serverName = "stcp"
        serverUser = "u"
        secretKey = "s"
        bindAddr = "127.0.0.2"
        bindPort = 9000
        transport = { useEncryption = true, useCompression = true }

        [[visitors]]
        name = "v2"
        type = "xtcp"
        serverName = "xtcp"
        secretKey = "s"
        bindPort = -1
        protocol = "kcp"
        keepTunnelOpen = true
        maxRetriesAnHour = 9
        minRetryInterval = 91
        fallbackTo = "v1"
        fallbackTimeoutMs = 1001
        natTraversal = { disableAssistedAddrs = true }

        [[visitors]]
        name = "v3"
        type = "sudp"
        serverName = "sudp"
        bindPort = 9002

        [[visitors]]
        name = "v4"
        type = "stcp"
        serverName = "stcp"
        [visitors.plugin]
        type = "virtual_net"
        destinationIP = "100.86.0.1"
        """

    static let everyPlugin = [
        "type = \"unix_domain_socket\"\nunixPath = \"/s\"",
        "type = \"http_proxy\"\nhttpUser = \"u\"\nhttpPassword = \"p\"",
        "type = \"socks5\"\nusername = \"u\"\npassword = \"p\"",
        "type = \"static_file\"\nlocalPath = \"/\"\nstripPrefix = \"s\"\nhttpUser = \"u\"\nhttpPassword = \"p\"",
        "type = \"http2http\"\nlocalAddr = \"l\"\nhostHeaderRewrite = \"h\"\nrequestHeaders.set.k = \"v\"",
        "type = \"http2https\"\nlocalAddr = \"l\"\nhostHeaderRewrite = \"h\"\nrequestHeaders.set.k = \"v\"",
        "type = \"https2http\"\nlocalAddr = \"l\"\ncrtPath = \"c\"\nkeyPath = \"k\"\nenableHTTP2 = true\nhostHeaderRewrite = \"h\"\nrequestHeaders.set.k = \"v\"",
        "type = \"https2https\"\nlocalAddr = \"l\"\ncrtPath = \"c\"\nkeyPath = \"k\"\nenableHTTP2 = false\nhostHeaderRewrite = \"h\"",
        "type = \"tls2raw\"\nlocalAddr = \"l\"\ncrtPath = \"c\"\nkeyPath = \"k\"",
        "type = \"virtual_net\"",
    ]

    private static func client(
        _ text: String,
        _ file: String = "frpc.toml"
    ) throws -> LoadedConfiguration<FRPClientConfiguration> {
        try ConfigurationFile.loadFRPClient(bytes: Array(text.utf8), fileName: file)
    }

    private static func server(
        _ text: String,
        _ file: String = "frps.toml"
    ) throws -> LoadedConfiguration<FRPServerConfiguration> {
        try ConfigurationFile.loadFRPServer(bytes: Array(text.utf8), fileName: file)
    }

    @Test func everyServerKeyIsRead() throws {
        let loaded = try Self.server(Self.everyServerKey)
        let server = loaded.configuration
        #expect(loaded.warnings == [])
        #expect(server.bindAddr == "127.0.0.1")
        #expect(server.bindPort == 7001)
        #expect(server.proxyBindAddr == "127.0.0.2")
        #expect(server.vhostHTTPPort == 8081)
        #expect(server.vhostHTTPTimeout == 61)
        #expect(server.subDomainHost == "frps.com")
        #expect(server.custom404Page == "/404.html")
        #expect(server.maxPortsPerClient == 3)
        #expect(!server.detailedErrorsToClient)
        #expect(server.userConnTimeout == 11)
        #expect(server.allowPorts?.description == "2000-3001")
        #expect(server.webServer.port == 7500)
        #expect(server.webServer.tls?.certFile == "c")
        #expect(
            server.log
                == {
                    var log = FRPLogConfiguration()
                    log.to = "./frps.log"
                    log.level = .debug
                    log.maxDays = 4
                    log.disablePrintColor = true
                    return log
                }()
        )
        #expect(server.auth.tokenSource == .exec(command: "c", arguments: ["a"], environment: ["N": "V"]))
        #expect(server.auth.additionalScopes == [.heartBeats, .newWorkConnections])
        #expect(!server.transport.tcpMux)
        #expect(server.transport.heartbeatTimeout == 91)
        #expect(server.transport.tlsForce)
        #expect(
            server.unsupportedFeatures.filter(\.isEssential).map(\.keyPath) == [
                "kcpBindPort", "quicBindPort", "tcpmuxHTTPConnectPort", "sshTunnelGateway.bindPort",
                "auth.method", "httpPlugins",
            ]
        )
        #expect(
            server.unsupportedFeatures.filter { !$0.isEssential }.map(\.keyPath) == [
                "enablePrometheus", "webServer.port",
            ]
        )
        #expect(server.unsupportedFeatures.first?.position == .init(line: 3, column: 1))
        #expect(server.unsupportedFeatures.first?.value == "7002")
    }

    @Test func everyClientKeyIsRead() throws {
        let loaded = try Self.client(Self.everyClientKey)
        let client = loaded.configuration
        #expect(loaded.warnings == [])
        #expect(client.serverAddr == "a.example")
        #expect(client.serverPort == 7001)
        #expect(!client.loginFailExit)
        #expect(client.includes == ["./confd/*.toml"])
        #expect(client.storePath == "./store.json")
        #expect(client.auth.tokenSource == .file(path: "/t"))
        #expect(client.transport.protocol == "quic")
        #expect(client.transport.wireProtocol == .v2)
        #expect(client.transport.poolCount == 2)
        #expect(client.transport.heartbeatInterval == 31)
        #expect(!client.transport.disableCustomTLSFirstByte)
        #expect(client.transport.tlsServerName == "s")
        #expect(client.transport.tls.trustedCaFile == "t")
        #expect(client.proxies.map(\.type) == [.tcp, .udp, .http, .https, .tcpmux, .stcp, .sudp, .xtcp])
        #expect(client.startedProxies.map(\.name) == ["tcp"])
        #expect(client.startedVisitors == [])
        let tcp = client.proxies[0]
        #expect(tcp.remotePort == 6000)
        #expect(tcp.bandwidthLimit?.bytesPerSecond == 1_048_576)
        #expect(tcp.bandwidthLimitMode == "server")
        #expect(tcp.healthCheck?.httpHeaders == ["h": "v"])
        #expect(tcp.healthCheck?.timeoutSeconds == 4)
        #expect(tcp.group == "g")
        let http = client.proxies[2]
        #expect(http.customDomains == ["a.example", "*.b.example", "*"])
        #expect(http.requestHeaders == ["x-from-where": "frp"])
        #expect(http.responseHeaders == ["foo": "bar"])
        #expect(http.routeByHTTPUser == "r")
        #expect(client.visitors.map(\.bindPort) == [9000, -1, 9002, 0])
        #expect(client.visitors[1].fallbackTimeoutMs == 1001)
        #expect(
            client.unsupportedFeatures.filter(\.isEssential).map(\.keyPath) == [
                "dnsServer", "virtualNet.address", "transport.protocol", "transport.connectServerLocalIP",
                "transport.proxyURL",
                "proxies[0].loadBalancer.group",
                "proxies[4].type", "visitors[3].plugin",
            ]
        )
        #expect(
            client.unsupportedFeatures.filter { !$0.isEssential }.map(\.keyPath) == [
                "store.path", "webServer.port", "proxies[0].healthCheck.type",
            ]
        )
    }

    @Test(arguments: everyPlugin)
    func everyPluginIsRead(_ plugin: String) throws {
        let text = "[[proxies]]\nname = \"p\"\ntype = \"tcp\"\n[proxies.plugin]\n" + plugin
        let client = try Self.client(text).configuration
        #expect(client.unsupportedFeatures.map(\.keyPath) == ["proxies[0].plugin"])
        #expect(client.proxies[0].plugin?.options.isEmpty == plugin.contains("virtual_net"))
    }

    /// The same as YAML and as JSON, made from the TOML through the tree.
    @Test func otherFormatsHaveTheSameSchema() throws {
        let root = try ConfigurationFile.loadTree(bytes: Array(Self.everyClientKey.utf8), fileName: "a.toml").root
        let json = Self.json(root)
        var client = try Self.client(Self.everyClientKey).configuration
        client.unsupportedFeatures = []
        for file in ["frpc.json", "frpc.yaml"] {
            var other = try Self.client(json, file).configuration
            other.unsupportedFeatures = []
            for index in client.proxies.indices { other.proxies[index].position = client.proxies[index].position }
            for index in client.visitors.indices { other.visitors[index].position = client.visitors[index].position }
            #expect(other == client)
        }
    }

    @Test func keysMatchWithoutRegardToCase() throws {
        let text = Self.everyServerKey.replacingFirst("vhostHTTPPort", with: "vhosthttpport")
            .replacingFirst("[transport.tls]", with: "[TRANSPORT.Tls]").replacingFirst(
                "[transport]",
                with: "[TRANSPORT]"
            )
        let server = try Self.server(text).configuration
        #expect(server.vhostHTTPPort == 8081)
        #expect(server.transport.tlsForce)
    }

    @Test func emptyFilesAreAllDefaults() throws {
        for file in ["frps.toml", "frps.yaml", "frps"] {
            #expect(try Self.server("", file).configuration == FRPServerConfiguration())
        }
        #expect(try Self.server("[common]", "frps.ini").configuration == FRPServerConfiguration())
        #expect(try Self.server("{}", "frps.json").configuration == FRPServerConfiguration())
        #expect(try Self.client("").configuration == FRPClientConfiguration())
        let own = try ConfigurationFile.loadServer(bytes: [], fileName: "a.yaml").configuration
        #expect(own == ServerConfiguration())
        let device = try ConfigurationFile.loadClient(bytes: [], fileName: "a.toml").configuration
        #expect(device == ClientConfiguration())
    }

    @Test func defaultsDependOnTheMultiplexer() throws {
        let with = try Self.client("transport.poolCount = 0\n").configuration.transport
        #expect(with.heartbeatInterval == -1)
        #expect(with.heartbeatTimeout == -1)
        #expect(with.poolCount == 1)
        let without = try Self.client("transport.tcpMux = false\n").configuration.transport
        #expect(without.heartbeatInterval == 30)
        #expect(without.heartbeatTimeout == 90)
        #expect(try Self.server("transport.tcpMux = false").configuration.transport.heartbeatTimeout == 90)
        #expect(try Self.server("transport.tls.trustedCaFile = \"x\"").configuration.transport.tlsForce)
    }

    @Test func everyINIKeyOfTheServerIsRead() throws {
        let text = """
            [common]
            bind_addr = 127.0.0.1
            bind_port = 7001
            kcp_bind_port = 7002
            quic_bind_port = 7003
            quic_keepalive_period = 10
            quic_max_idle_timeout = 30
            quic_max_incoming_streams = 100000
            proxy_bind_addr = 127.0.0.2
            vhost_http_port = 80
            vhost_https_port = 443
            vhost_http_timeout = 61
            tcpmux_httpconnect_port = 1337
            tcpmux_passthrough = false
            dashboard_addr = 0.0.0.0
            dashboard_port = 7500
            dashboard_user = admin
            dashboard_pwd = admin
            dashboard_tls_mode = false
            dashboard_tls_cert_file = c
            dashboard_tls_key_file = k
            enable_prometheus = true
            assets_dir = ./static
            pprof_enable = false
            log_file = ./frps.log
            log_way = file
            log_level = info
            log_max_days = 3
            disable_log_color = false
            detailed_errors_to_client = true
            authentication_method = token
            authenticate_heartbeats = true
            authenticate_new_work_conns = false
            token = 12345678
            oidc_issuer =
            oidc_audience =
            oidc_skip_expiry_check = false
            oidc_skip_issuer_check = false
            heartbeat_timeout = 90
            user_conn_timeout = 10
            allow_ports = 2000-3000,3001,3003,4000-50000
            max_pool_count = 5
            max_ports_per_client = 0
            tls_only = false
            tls_cert_file = c
            tls_key_file = k
            tls_trusted_ca_file =
            subdomain_host = frps.com
            tcp_mux = true
            tcp_mux_keepalive_interval = 60
            tcp_keepalive = 7200
            custom_404_page = /path/to/404.html
            udp_packet_size = 1500
            nat_hole_analysis_data_reserve_hours = 168
            [plugin.user-manager]
            addr = 127.0.0.1:9000
            path = /handler
            ops = Login
            tlsVerify = false
            """
        let loaded = try Self.server(text, "frps.ini")
        #expect(loaded.warnings == [])
        #expect(loaded.configuration.allowPorts?.description == "2000-3001,3003,4000-50000")
        #expect(loaded.configuration.auth.additionalScopes == [.heartBeats])
        #expect(loaded.configuration.auth.token == "12345678")
        #expect(
            loaded.configuration.unsupportedFeatures.filter(\.isEssential).map(\.keyPath) == [
                "common.kcp_bind_port", "common.quic_bind_port",
                "common.tcpmux_httpconnect_port", "httpPlugins",
            ]
        )
    }

    @Test func everyINIKeyOfTheClientIsRead() throws {
        let text = """
            [common]
            server_addr = 0.0.0.0
            server_port = 7000
            nat_hole_stun_server = stun.easyvoip.com:3478
            dial_server_timeout = 10
            dial_server_keepalive = 7200
            connect_server_local_ip =
            http_proxy =
            log_file = console
            log_level = info
            log_max_days = 3
            disable_log_color = false
            authenticate_heartbeats = true
            authenticate_new_work_conns = true
            authentication_method = token
            token = t
            oidc_client_id =
            oidc_client_secret =
            oidc_audience =
            oidc_scope =
            oidc_token_endpoint_url =
            oidc_additional_var1 = foobar
            admin_addr = 127.0.0.1
            admin_port = 7400
            admin_user = admin
            admin_pwd = admin
            assets_dir =
            pprof_enable = false
            pool_count = 5
            tcp_mux = true
            tcp_mux_keepalive_interval = 60
            user = your_name
            login_fail_exit = true
            protocol = tcp
            quic_keepalive_period = 10
            quic_max_idle_timeout = 30
            quic_max_incoming_streams = 100000
            tls_enable = true
            tls_cert_file =
            tls_key_file =
            tls_trusted_ca_file =
            tls_server_name = example.com
            disable_custom_tls_first_byte = true
            dns_server =
            start = ssh,dns
            includes = ./confd/*.ini, ./more/*.ini
            heartbeat_interval = 30
            heartbeat_timeout = 90
            udp_packet_size = 1500
            meta_var1 = 123
            [ssh]
            type = tcp
            local_ip = 127.0.0.1
            local_port = 22
            bandwidth_limit = 1MB
            bandwidth_limit_mode = client
            use_encryption = true
            use_compression = yes
            remote_port = 6001
            group = test_group
            group_key = 123456
            health_check_type = tcp
            health_check_timeout_s = 3
            health_check_max_failed = 3
            health_check_interval_s = 10
            meta_var1 = 123
            proxy_protocol_version = v2
            [dns]
            type = udp
            local_port = 53
            [web]
            type = http
            local_port = 80
            custom_domains = a.example, b.example
            subdomain = web01
            locations = /,/pic
            http_user = admin
            http_pwd = admin
            host_header_rewrite = example.com
            header_X-From-Where = frp
            route_by_http_user = abc
            health_check_type = http
            health_check_url = /status
            [mux]
            type = tcpmux
            multiplexer = httpconnect
            local_port = 10701
            custom_domains = tunnel1
            [plain]
            local_port = 9
            [secret]
            type = stcp
            sk = abcdefg
            local_port = 22
            allow_users = *
            [secret_visitor]
            role = visitor
            type = xtcp
            server_name = secret
            server_user = u
            sk = abcdefg
            bind_addr = 127.0.0.1
            bind_port = 9001
            use_encryption = false
            use_compression = false
            protocol = quic
            keep_tunnel_open = false
            max_retries_an_hour = 8
            min_retry_interval = 90
            fallback_to = x
            fallback_timeout_ms = 1000
            [static]
            type = tcp
            remote_port = 6006
            plugin = static_file
            plugin_local_path = /var/www
            plugin_strip_prefix = static
            plugin_http_user = abc
            plugin_http_passwd = abc
            [h2h]
            type = https
            custom_domains = a.example
            plugin = https2http
            plugin_local_addr = 127.0.0.1:80
            plugin_crt_path = ./server.crt
            plugin_key_path = ./server.key
            plugin_host_header_rewrite = 127.0.0.1
            plugin_header_X-From-Where = frp
            [socks]
            type = tcp
            plugin = socks5
            plugin_user = abc
            plugin_passwd = abc
            [unix]
            type = tcp
            plugin = unix_domain_socket
            plugin_unix_path = /var/run/docker.sock
            [range:many]
            type = tcp
            local_port = 6010-6012,6016
            remote_port = 7010-7012,7016
            """
        let loaded = try Self.client(text, "frpc.ini")
        #expect(loaded.warnings == [])
        let client = loaded.configuration
        #expect(client.start == ["ssh", "dns"])
        #expect(client.includes == ["./confd/*.ini", "./more/*.ini"])
        #expect(client.metadatas == ["var1": "123"])
        #expect(client.auth.additionalScopes == [.heartBeats, .newWorkConnections])
        #expect(
            client.proxies.map(\.name) == [
                "ssh", "dns", "web", "mux", "plain", "secret", "static", "h2h", "socks", "unix", "many_0", "many_1",
                "many_2", "many_3",
            ]
        )
        #expect(client.proxies[0].useCompression)
        #expect(client.proxies[0].metadatas == ["var1": "123"])
        #expect(client.proxies[2].customDomains == ["a.example", "b.example"])
        #expect(client.proxies[4].type == .tcp)
        #expect(client.proxies[7].plugin?.requestHeaders == ["X-From-Where": "frp"])
        #expect(client.proxies[8].plugin?.options == ["username": "abc", "password": "abc"])
        #expect(client.proxies[13].remotePort == 7016)
        #expect(client.visitors.map(\.name) == ["secret_visitor"])
    }

    @Test func includedFilesGiveOnlyProxiesAndVisitors() throws {
        let toml =
            "serverAddr = \"ignored\"\ntransport.protocol = \"kcp\"\n[[proxies]]\nname = \"a\"\ntype = \"tcpmux\"\nlocalPort = 1\n"
            + "customDomains = [\"a.example\"]\nmultiplexer = \"httpconnect\"\n"
        let loaded = try ConfigurationFile.loadFRPInclude(bytes: Array(toml.utf8), fileName: "a.toml").configuration
        #expect(loaded.serverAddr == "0.0.0.0")
        #expect(loaded.proxies.map(\.name) == ["a"])
        #expect(loaded.unsupportedFeatures.map(\.keyPath) == ["proxies[0].type"])
        let ini = "[b]\ntype = tcp\nlocal_port = 1\n"
        let other = try ConfigurationFile.loadFRPInclude(bytes: Array(ini.utf8), fileName: "b.ini").configuration
        #expect(other.proxies.map(\.name) == ["b"])
    }

    private static func json(_ node: ConfigurationNode) -> String {
        switch node.value {
        case .null: "null"
        case .boolean(let truth): "\(truth)"
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .string(let text), .untyped(let text), .dateTime(let text): "\"\(text)\""
        case .array(let elements): "[" + elements.map(json).joined(separator: ", ") + "]"
        case .table(let table):
            "{" + table.entries.map { "\"\($0.key)\": " + json($0.node) }.joined(separator: ", ") + "}"
        }
    }
}
