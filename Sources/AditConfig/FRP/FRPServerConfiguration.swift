// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a configuration file of frps says, with frp's default for every key that it leaves out.
///
/// Properties have the names of frp's keys.
package struct FRPServerConfiguration: Sendable, Equatable {
    /// The `transport` table.
    package struct Transport: Sendable, Equatable {
        /// Whether connections carry yamux.
        package var tcpMux = true
        /// Seconds between yamux pings.
        package var tcpMuxKeepaliveInterval = 30
        /// Seconds between TCP keep-alive probes; negative for none.
        package var tcpKeepalive = 7200
        /// The most work connections that a client may keep ready.
        package var maxPoolCount = 5
        /// Seconds without a heartbeat after which a client is dropped; negative for never.
        package var heartbeatTimeout = -1
        /// Whether clients without TLS are refused.
        package var tlsForce = false
        /// The server's certificate, key, and the authorities of client certificates.
        package var tls = FRPTLSFiles()

        /// Makes the defaults.
        package init() {}
    }

    /// The address of the session port.
    package var bindAddr = "0.0.0.0"
    /// The session port.
    package var bindPort: UInt16 = 7000
    /// The address of proxies' ports.
    package var proxyBindAddr = "0.0.0.0"
    /// The port of http proxies; 0 for none. It may be the session port.
    package var vhostHTTPPort: UInt16 = 0
    /// Seconds until a service must have answered with a response header.
    package var vhostHTTPTimeout = 60
    /// The port of https proxies; 0 for none.
    package var vhostHTTPSPort: UInt16 = 0
    /// The domain of `subdomain` proxies; empty for none.
    package var subDomainHost = ""
    /// The file of the page for an unknown host; empty for the built-in one.
    package var custom404Page = ""
    /// The ports that tcp and udp proxies may take; nil for all.
    package var allowPorts: PortRangeList?
    /// How many ports one client may take; 0 for no limit.
    package var maxPortsPerClient = 0
    /// Whether clients are told why a proxy was refused.
    package var detailedErrorsToClient = true
    /// Seconds to wait for a work connection.
    package var userConnTimeout = 10
    /// The size of a UDP datagram's buffer.
    package var udpPacketSize = 1500
    /// The `auth` table.
    package var auth = FRPAuthConfiguration()
    /// The `log` table.
    package var log = FRPLogConfiguration()
    /// The `webServer` table.
    package var webServer = FRPWebServerConfiguration()
    /// Whether the web server has Prometheus metrics.
    package var enablePrometheus = false
    /// The `transport` table.
    package var transport = Transport()
    /// What the file asks for and this version does not have.
    package var unsupportedFeatures: [UnsupportedFeature] = []

    /// Makes a configuration of frp's defaults.
    package init() {}
}
