// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditConfig
package import AditCore
package import AditTransport

/// Everything that decides how a server behaves, whichever kind of configuration it came from.
package struct ServerSetup: Sendable, Equatable {
    /// Whose rules the server keeps.
    package enum Role: Sendable, Hashable {
        /// Adit's: devices with keys, invites, names that stay.
        case adit
        /// frps's, for a machine that replaces it.
        case frps
    }

    /// Whose rules the server keeps.
    package var role = Role.adit
    /// The address of the session and name ports; unspecified means every address of both families.
    package var listen = IPAddress.v4(0)
    /// The address of tunnels' own ports.
    package var tunnelListen = IPAddress.v4(0)
    /// The TCP port of sessions; 0 lets the system choose.
    package var sessionPort: UInt16 = 7000
    /// The TCP port of names; 0 lets the system choose, nil for none.
    package var httpPort: UInt16? = 8080
    /// The TCP port of names with TLS; 0 lets the system choose, nil for none. It may be one of the other two.
    package var httpsPort: UInt16?
    /// Whether the server starts without names with TLS when `httpsPort` is not to be had.
    package var isHTTPSOptional = false
    /// How STUN is answered; nil when it is not.
    package var stun: STUNSetup?
    /// Whether devices without a direct path reach each other through their sessions.
    package var relaysSessions = true
    /// How it relays by TURN; nil when it does not. Without STUN there is none.
    package var turn: TURNSetup?
    /// The certificates with which visitors' TLS is ended here.
    package var certificates: [TLSCertificateFiles] = []
    /// Whether visitors without TLS are sent to it, for names that a certificate covers.
    package var redirectsToTLS = true
    /// The ports that a tunnel gets when it asks for none by number.
    package var publicPorts = PortRangeList([20000...20999])
    /// The ports that a tunnel may ask for by number; nil means every port.
    package var allowedPorts: PortRangeList? = PortRangeList([20000...20999])
    /// The domain of names in lower case; nil gives each http tunnel a port of its own.
    package var domain: String? = "localhost"
    /// The name or address that visitors and devices use for this machine, as far as it is known.
    package var publicHost = "localhost"
    /// The shared token; nil when there is none, empty only with `allowsEmptyToken`.
    package var token: String?
    /// Whether frp peers without any token are let in: only where frps's own file asked for it.
    package var allowsEmptyToken = false
    /// Whether frp's own programs may log in.
    package var allowsFRP = true
    /// Names that no device gets.
    package var reservedNames: Set<String> = []
    /// How many tunnels one device or frp client may hold open.
    package var maximumTunnels = 64
    /// How many ports one frp client may hold; 0 for no limit.
    package var maximumPortsPerClient = 0
    /// How long a graceful stop waits for visitors.
    package var drain = Duration.seconds(10)
    /// The page for a name that nobody holds; nil for the built-in one.
    package var notFoundPage: [UInt8]?
    /// Whether frp clients are told why they were refused.
    package var detailedErrors = true
    /// How long a visitor waits for the device's stream.
    package var visitorTimeout = Duration.seconds(10)
    /// How long a service may take until its response begins.
    package var responseTimeout = Duration.seconds(60)
    /// Whether sessions carry yamux when the first bytes leave it open.
    package var tcpMux = true
    /// Whether frp clients without TLS are refused.
    package var tlsForced = false
    /// The most work connections that an frp client may keep ready.
    package var maximumPoolCount = 5
    /// How long an frp client may be silent; nil for ever.
    package var heartbeatTimeout: Duration?
    /// The interval of yamux pings.
    package var keepaliveInterval = Duration.seconds(30)
    /// Whether frp clients have to prove the token with each heartbeat.
    package var authenticatesHeartbeats = false
    /// Whether frp clients have to prove the token with each work connection.
    package var authenticatesWorkConnections = false
    /// The certificate, its key and the authorities of clients in place of the server's own identity.
    package var tlsFiles = FRPTLSFiles()
    /// How many visitors one tunnel serves at once.
    package var maximumVisitorsPerTunnel = 8000
    /// How many visitors' connections one device may have open in all its tunnels; 0 for no limit.
    package var maximumConnectionsPerDevice = 0
    /// How much may pass through all tunnels of one device in each direction; nil for no limit.
    package var bandwidthPerDevice: Bandwidth?
    /// How much is logged.
    package var logLevel = LogLevel.info

    /// The port of names with TLS in the absence of a wish.
    package static let defaultHTTPSPort: UInt16 = 8443

    /// Makes the defaults of a server that was never set up.
    package init() {}

    /// Takes what a configuration file of Adit's own says.
    package init(_ file: ServerConfiguration, settings: ServerSettings = ServerSettings()) {
        domain = file.domain?.lowercased() ?? settings.domain ?? (settings.publicHost == nil ? "localhost" : nil)
        publicHost = settings.publicHost ?? domain ?? "localhost"
        listen = file.listen
        tunnelListen = file.listen
        sessionPort = file.sessionPort
        httpPort = file.httpPort
        httpsPort = file.httpsPort ?? Self.defaultHTTPSPort
        certificates = file.certificates.map { TLSCertificateFiles(certificate: $0.certificate, key: $0.key) }
        // Nobody asked for this port: a server that ran well without it goes on.
        isHTTPSOptional = file.httpsPort == nil && certificates.isEmpty
        stun = STUNSetup(file.stun)
        relaysSessions = file.relay
        turn = stun == nil || !file.relay ? nil : TURNSetup(file.turn)
        redirectsToTLS = file.redirectToHTTPS
        publicPorts = file.publicPorts
        allowedPorts = file.publicPorts
        token = file.token.flatMap { $0.isEmpty ? nil : $0 }
        allowsFRP = file.allowFRP
        reservedNames = Set(file.reservedNames.map { $0.lowercased() })
        maximumTunnels = file.maxTunnelsPerDevice
        maximumConnectionsPerDevice = file.maxConnectionsPerDevice
        bandwidthPerDevice = file.bandwidthPerDevice
        drain = .seconds(file.drainSeconds)
        logLevel = file.logLevel
    }

    /// The address in frp's `bindAddr`: an address, empty for every address, or `localhost`; nil for anything else.
    package static func address(_ text: String) -> IPAddress? {
        switch text {
        case "": .v4(0)
        case "localhost": .v4(0x7F00_0001)
        default: IPAddress(text)
        }
    }

    /// Takes what a configuration file of frps says; `token` is the one that its token source gave, if it has one.
    package init(_ file: FRPServerConfiguration, token: String) {
        role = .frps
        // An address that cannot be read is refused before; were it not, nothing must be open to the world by mistake.
        listen = Self.address(file.bindAddr) ?? .v4(0x7F00_0001)
        tunnelListen = Self.address(file.proxyBindAddr) ?? .v4(0x7F00_0001)
        sessionPort = file.bindPort
        httpPort = file.vhostHTTPPort == 0 ? nil : file.vhostHTTPPort
        httpsPort = file.vhostHTTPSPort == 0 ? nil : file.vhostHTTPSPort
        allowedPorts = file.allowPorts
        publicPorts = file.allowPorts ?? PortRangeList([1024...65535])
        domain = file.subDomainHost.isEmpty ? nil : file.subDomainHost.lowercased()
        publicHost = domain ?? ""
        self.token = token
        allowsEmptyToken = token.isEmpty
        maximumTunnels = 10_000
        // Container runtimes kill after ten seconds.
        drain = .seconds(5)
        maximumPortsPerClient = file.maxPortsPerClient
        detailedErrors = file.detailedErrorsToClient
        visitorTimeout = .seconds(max(1, file.userConnTimeout))
        responseTimeout = .seconds(max(1, file.vhostHTTPTimeout))
        tcpMux = file.transport.tcpMux
        tlsForced = file.transport.tlsForce || !file.transport.tls.trustedCaFile.isEmpty
        maximumPoolCount = max(0, file.transport.maxPoolCount)
        keepaliveInterval = .seconds(max(1, file.transport.tcpMuxKeepaliveInterval))
        let timeout = file.transport.heartbeatTimeout
        heartbeatTimeout = timeout > 0 ? .seconds(timeout) : file.transport.tcpMux || timeout < 0 ? nil : .seconds(90)
        authenticatesHeartbeats = file.auth.additionalScopes.contains(.heartBeats)
        authenticatesWorkConnections = file.auth.additionalScopes.contains(.newWorkConnections)
        tlsFiles = file.transport.tls
        logLevel = file.log.level
    }
}
