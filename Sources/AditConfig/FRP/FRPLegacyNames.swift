// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The names of frp's INI keys and where each stands in the schema of today.
enum FRPLegacyNames {
    /// What a key's value becomes.
    enum Target {
        /// The same value at another path.
        case path(String)
        /// A truth value that adds a word to a list.
        case flag(String, String)
        /// Nothing: frp does not use the key any more.
        case dropped
    }

    static let shared: [String: Target] = [
        "token": .path("auth.token"),
        "authentication_method": .path("auth.method"),
        "authenticate_heartbeats": .flag("auth.additionalScopes", "HeartBeats"),
        "authenticate_new_work_conns": .flag("auth.additionalScopes", "NewWorkConns"),
        "oidc_audience": .path("auth.oidc.audience"),
        "log_file": .path("log.to"),
        "log_way": .dropped,
        "log_level": .path("log.level"),
        "log_max_days": .path("log.maxDays"),
        "disable_log_color": .path("log.disablePrintColor"),
        "assets_dir": .path("webServer.assetsDir"),
        "pprof_enable": .path("webServer.pprofEnable"),
        "tcp_mux": .path("transport.tcpMux"),
        "tcp_mux_keepalive_interval": .path("transport.tcpMuxKeepaliveInterval"),
        "heartbeat_timeout": .path("transport.heartbeatTimeout"),
        "quic_keepalive_period": .path("transport.quic.keepalivePeriod"),
        "quic_max_idle_timeout": .path("transport.quic.maxIdleTimeout"),
        "quic_max_incoming_streams": .path("transport.quic.maxIncomingStreams"),
        "tls_cert_file": .path("transport.tls.certFile"),
        "tls_key_file": .path("transport.tls.keyFile"),
        "tls_trusted_ca_file": .path("transport.tls.trustedCaFile"),
        "udp_packet_size": .path("udpPacketSize"),
    ]

    static let server: [String: Target] = shared.merging(
        [
            "bind_addr": .path("bindAddr"),
            "bind_port": .path("bindPort"),
            "kcp_bind_port": .path("kcpBindPort"),
            "quic_bind_port": .path("quicBindPort"),
            "proxy_bind_addr": .path("proxyBindAddr"),
            "vhost_http_port": .path("vhostHTTPPort"),
            "vhost_https_port": .path("vhostHTTPSPort"),
            "vhost_http_timeout": .path("vhostHTTPTimeout"),
            "tcpmux_httpconnect_port": .path("tcpmuxHTTPConnectPort"),
            "tcpmux_passthrough": .path("tcpmuxPassthrough"),
            "dashboard_addr": .path("webServer.addr"),
            "dashboard_port": .path("webServer.port"),
            "dashboard_user": .path("webServer.user"),
            "dashboard_pwd": .path("webServer.password"),
            "dashboard_tls_mode": .dropped,
            "dashboard_tls_cert_file": .path("webServer.tls.certFile"),
            "dashboard_tls_key_file": .path("webServer.tls.keyFile"),
            "enable_prometheus": .path("enablePrometheus"),
            "subdomain_host": .path("subDomainHost"),
            "custom_404_page": .path("custom404Page"),
            "allow_ports": .path("allowPorts"),
            "max_ports_per_client": .path("maxPortsPerClient"),
            "max_pool_count": .path("transport.maxPoolCount"),
            "tls_only": .path("transport.tls.force"),
            "tcp_keepalive": .path("transport.tcpKeepalive"),
            "user_conn_timeout": .path("userConnTimeout"),
            "detailed_errors_to_client": .path("detailedErrorsToClient"),
            "nat_hole_analysis_data_reserve_hours": .path("natholeAnalysisDataReserveHours"),
            "oidc_issuer": .path("auth.oidc.issuer"),
            "oidc_skip_expiry_check": .path("auth.oidc.skipExpiryCheck"),
            "oidc_skip_issuer_check": .path("auth.oidc.skipIssuerCheck"),
        ],
        uniquingKeysWith: { $1 }
    )

    static let client: [String: Target] = shared.merging(
        [
            "server_addr": .path("serverAddr"),
            "server_port": .path("serverPort"),
            "user": .path("user"),
            "protocol": .path("transport.protocol"),
            "http_proxy": .path("transport.proxyURL"),
            "pool_count": .path("transport.poolCount"),
            "heartbeat_interval": .path("transport.heartbeatInterval"),
            "dial_server_timeout": .path("transport.dialServerTimeout"),
            "dial_server_keepalive": .path("transport.dialServerKeepalive"),
            "connect_server_local_ip": .path("transport.connectServerLocalIP"),
            "tls_enable": .path("transport.tls.enable"),
            "tls_server_name": .path("transport.tls.serverName"),
            "disable_custom_tls_first_byte": .path("transport.tls.disableCustomTLSFirstByte"),
            "admin_addr": .path("webServer.addr"),
            "admin_port": .path("webServer.port"),
            "admin_user": .path("webServer.user"),
            "admin_pwd": .path("webServer.password"),
            "dns_server": .path("dnsServer"),
            "login_fail_exit": .path("loginFailExit"),
            "start": .path("start"),
            "includes": .path("includes"),
            "nat_hole_stun_server": .path("natHoleStunServer"),
            "oidc_client_id": .path("auth.oidc.clientID"),
            "oidc_client_secret": .path("auth.oidc.clientSecret"),
            "oidc_scope": .path("auth.oidc.scope"),
            "oidc_token_endpoint_url": .path("auth.oidc.tokenEndpointURL"),
        ],
        uniquingKeysWith: { $1 }
    )

    static let proxy: [String: Target] = [
        "role": .dropped,
        "type": .path("type"),
        "local_ip": .path("localIP"),
        "local_port": .path("localPort"),
        "remote_port": .path("remotePort"),
        "use_encryption": .path("transport.useEncryption"),
        "use_compression": .path("transport.useCompression"),
        "bandwidth_limit": .path("transport.bandwidthLimit"),
        "bandwidth_limit_mode": .path("transport.bandwidthLimitMode"),
        "proxy_protocol_version": .path("transport.proxyProtocolVersion"),
        "group": .path("loadBalancer.group"),
        "group_key": .path("loadBalancer.groupKey"),
        "health_check_type": .path("healthCheck.type"),
        "health_check_timeout_s": .path("healthCheck.timeoutSeconds"),
        "health_check_max_failed": .path("healthCheck.maxFailed"),
        "health_check_interval_s": .path("healthCheck.intervalSeconds"),
        "health_check_url": .path("healthCheck.path"),
        "custom_domains": .path("customDomains"),
        "subdomain": .path("subdomain"),
        "locations": .path("locations"),
        "http_user": .path("httpUser"),
        "http_pwd": .path("httpPassword"),
        "host_header_rewrite": .path("hostHeaderRewrite"),
        "route_by_http_user": .path("routeByHTTPUser"),
        "multiplexer": .path("multiplexer"),
        "sk": .path("secretKey"),
        "allow_users": .path("allowUsers"),
        "plugin": .path("plugin.type"),
        "plugin_local_addr": .path("plugin.localAddr"),
        "plugin_host_header_rewrite": .path("plugin.hostHeaderRewrite"),
        "plugin_crt_path": .path("plugin.crtPath"),
        "plugin_key_path": .path("plugin.keyPath"),
        "plugin_http_user": .path("plugin.httpUser"),
        "plugin_http_passwd": .path("plugin.httpPassword"),
        "plugin_user": .path("plugin.username"),
        "plugin_passwd": .path("plugin.password"),
        "plugin_local_path": .path("plugin.localPath"),
        "plugin_strip_prefix": .path("plugin.stripPrefix"),
        "plugin_unix_path": .path("plugin.unixPath"),
    ]

    static let visitor: [String: Target] = [
        "role": .dropped,
        "type": .path("type"),
        "use_encryption": .path("transport.useEncryption"),
        "use_compression": .path("transport.useCompression"),
        "sk": .path("secretKey"),
        "server_name": .path("serverName"),
        "server_user": .path("serverUser"),
        "bind_addr": .path("bindAddr"),
        "bind_port": .path("bindPort"),
        "protocol": .path("protocol"),
        "keep_tunnel_open": .path("keepTunnelOpen"),
        "max_retries_an_hour": .path("maxRetriesAnHour"),
        "min_retry_interval": .path("minRetryInterval"),
        "fallback_to": .path("fallbackTo"),
        "fallback_timeout_ms": .path("fallbackTimeoutMs"),
    ]

    static let serverPlugin: [String: Target] = [
        "addr": .path("addr"),
        "path": .path("path"),
        "ops": .path("ops"),
        "tlsVerify": .path("tlsVerify"),
    ]

    /// Keys that carry a free name behind a prefix, and the table of those names.
    static let clientPrefixes = [
        ("meta_", "metadatas"), ("oidc_additional_", "auth.oidc.additionalEndpointParams"),
    ]
    static let proxyPrefixes = [
        ("meta_", "metadatas"), ("header_", "requestHeaders.set"),
        ("plugin_header_", "plugin.requestHeaders.set"),
    ]
}
