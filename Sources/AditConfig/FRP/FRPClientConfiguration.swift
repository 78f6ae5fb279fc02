// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a configuration file of frpc says, with frp's default for every key that it leaves out.
///
/// Properties have the names of frp's keys.
package struct FRPClientConfiguration: Sendable, Equatable {
    /// The wire between client and server.
    package enum WireProtocol: String, Sendable, Hashable, CaseIterable {
        case v1
        case v2
    }

    /// The `transport` table.
    package struct Transport: Sendable, Equatable {
        /// What carries the session: tcp, kcp, quic, websocket or wss.
        package var `protocol` = "tcp"
        /// The version of frp's messages.
        package var wireProtocol = WireProtocol.v1
        /// Seconds until a connection must be there.
        package var dialServerTimeout = 10
        /// Seconds between TCP keep-alive probes; negative for none.
        package var dialServerKeepalive = 7200
        /// The local address of connections to the server; empty for any.
        package var connectServerLocalIP = ""
        /// The proxy on the way to the server; empty for none.
        package var proxyURL = ""
        /// How many work connections are kept ready.
        package var poolCount = 1
        /// Whether one connection carries everything through yamux.
        package var tcpMux = true
        /// Seconds between yamux pings.
        package var tcpMuxKeepaliveInterval = 30
        /// Seconds between heartbeats; negative for none.
        package var heartbeatInterval = -1
        /// Seconds without an answer after which the session is given up; negative for never.
        package var heartbeatTimeout = -1
        /// Whether the session is inside TLS.
        package var tlsEnable = true
        /// Whether TLS begins without frp's own first byte 0x17.
        package var disableCustomTLSFirstByte = true
        /// The name to expect in the server's certificate; empty for the server's address.
        package var tlsServerName = ""
        /// The client's certificate and key, and the authorities that vouch for the server.
        package var tls = FRPTLSFiles()

        /// Makes the defaults.
        package init() {}
    }

    /// The server's name or address.
    package var serverAddr = "0.0.0.0"
    /// The server's session port.
    package var serverPort: UInt16 = 7000
    /// The prefix of all proxy names, without the dot; empty for none.
    package var user = ""
    /// The name of this client for the server; empty for none.
    package var clientID = ""
    /// The DNS server to ask; empty for the system's.
    package var dnsServer = ""
    /// Whether a failed first login ends the program.
    package var loginFailExit = true
    /// The only proxies and visitors to start; empty for all.
    package var start: [String] = []
    /// Facts about this client for server plugins.
    package var metadatas: [String: String] = [:]
    /// File-name patterns of more files with proxies and visitors; reading them is the caller's.
    package var includes: [String] = []
    /// The size of a UDP datagram's buffer.
    package var udpPacketSize = 1500
    /// The file of proxies added at run time; empty for none.
    package var storePath = ""
    /// The `auth` table.
    package var auth = FRPAuthConfiguration()
    /// The `log` table.
    package var log = FRPLogConfiguration()
    /// The `webServer` table.
    package var webServer = FRPWebServerConfiguration()
    /// The `transport` table.
    package var transport = Transport()
    /// The `[[proxies]]`, in the order of the file.
    package var proxies: [FRPProxyConfiguration] = []
    /// The `[[visitors]]`, in the order of the file.
    package var visitors: [FRPVisitorConfiguration] = []
    /// What the file asks for and this version does not have.
    package var unsupportedFeatures: [UnsupportedFeature] = []

    /// Makes a configuration of frp's defaults.
    package init() {}

    /// The proxies that are switched on, by `start` and by their own `enabled`.
    package var startedProxies: [FRPProxyConfiguration] {
        proxies.filter { $0.enabled && (start.isEmpty || start.contains($0.name)) }
    }

    /// The visitors that are switched on, by `start` and by their own `enabled`.
    package var startedVisitors: [FRPVisitorConfiguration] {
        visitors.filter { $0.enabled && (start.isEmpty || start.contains($0.name)) }
    }
}
