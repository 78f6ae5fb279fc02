// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditConfig
package import AditCore
package import AditTransport
import AditTunnel
package import AditWire

/// What a configuration of frpc comes down to: a session, and the proxies to register in it.
package struct FRPClientSetup: Sendable {
    /// How to connect and log in.
    package var session: DeviceSessionConfiguration
    /// The proxies by the names that are on the wire, in the order of the file.
    package var proxies: [FRPClientProxy]

    /// Turns a configuration into a setup; `token` is the secret wherever the file had it from.
    package init(_ file: FRPClientConfiguration, token: String, hostname: String, version: String) {
        let transport = file.transport
        let name = transport.tlsServerName.isEmpty ? file.serverAddr : transport.tlsServerName
        let trust: ServerTrust =
            if !transport.tlsEnable {
                .plain
            } else if transport.tls.trustedCaFile.isEmpty {
                .unverified(name: name)
            } else {
                .authorities(file: transport.tls.trustedCaFile, name: name)
            }
        var session = DeviceSessionConfiguration(
            server: HostPort(host: file.serverAddr, port: file.serverPort),
            credentials: .frpToken(token),
            serverTrust: trust
        )
        session.wireVersion = transport.wireProtocol == .v2 ? .v2 : .v1
        session.isMultiplexed = transport.tcpMux
        session.poolCount = transport.poolCount
        session.heartbeatInterval = transport.heartbeatInterval > 0 ? .seconds(transport.heartbeatInterval) : nil
        session.heartbeatTimeout = transport.heartbeatTimeout > 0 ? .seconds(transport.heartbeatTimeout) : nil
        session.muxPingInterval = .seconds(max(1, transport.tcpMuxKeepaliveInterval))
        session.muxPingTimeout = .seconds(10)
        session.connectTimeout = .seconds(max(1, transport.dialServerTimeout))
        session.provesHeartbeats = file.auth.additionalScopes.contains(.heartBeats)
        session.provesWorkConnections = file.auth.additionalScopes.contains(.newWorkConnections)
        session.sendsTLSMarker = transport.tlsEnable && !transport.disableCustomTLSFirstByte
        if !transport.tls.certFile.isEmpty {
            session.clientCertificate = TLSCertificateFiles(
                certificate: transport.tls.certFile,
                key: transport.tls.keyFile
            )
        }
        session.user = file.user
        session.clientID = file.clientID
        session.metas = file.metadatas
        session.hostname = hostname
        session.version = version
        #if arch(arm64)
        session.arch = "arm64"
        #else
        session.arch = "amd64"
        #endif
        self.session = session
        proxies = file.startedProxies.filter { !$0.type.isPrivate }.map { FRPClientProxy($0, user: file.user) }
    }

    /// What the configuration asks for that this version does not do, a line each; it must not be started then.
    package static func refusals(_ file: FRPClientConfiguration) -> [String] {
        var lines: [String] = []
        func refuse(_ key: String, _ value: String) {
            lines.append("\(key)\(value.isEmpty ? "" : " = \(value)") is not available in this version")
        }
        for feature in file.unsupportedFeatures where !isServed(feature.keyPath) {
            refuse("line \(feature.position.line): \(feature.keyPath)", feature.value)
        }
        for proxy in file.startedProxies {
            // A configuration from flags has no list of features.
            if proxy.type == .tcpmux, file.unsupportedFeatures.isEmpty {
                refuse("proxy [\(proxy.name)] type", proxy.type.rawValue)
            }
        }
        return lines + FRPPrivateSetup.refusals(file)
    }

    /// What the configuration asks for that changes nothing about its tunnels; a line each, to be logged.
    package static func warnings(_ file: FRPClientConfiguration) -> [String] {
        file.unsupportedFeatures.filter { $0.keyPath.lowercased().hasSuffix(localInterface) }
            .map { "line \($0.position.line): \($0.keyPath) = \($0.value) is not available in this version" }
            + FRPPrivateSetup.warnings(file)
    }

    private static let localInterface = "webserver.port"

    /// Keys that this role serves or judges by itself.
    private static func isServed(_ keyPath: String) -> Bool {
        let tail = keyPath.lowercased()
        return [
            "tls.certfile", "tls.keyfile", "tls.trustedcafile", "loadbalancer.group",
            localInterface,
        ].contains { tail.hasSuffix($0) }
    }
}

/// One proxy: what the server is asked for, and where its visitors are led.
package struct FRPClientProxy: Sendable {
    /// The name without the user's prefix, as logs show it.
    package var name: String
    /// What the server is asked for.
    package var request: FRPNewProxy
    /// Where visitors are led.
    package var target: TunnelTarget
    /// The bandwidth that this client keeps for both directions together; nil when the server does, or nobody.
    package var bandwidth: Bandwidth?
    /// The PROXY protocol in which the service is told who its visitor is; nil for not at all.
    package var proxyProtocol: ProxyProtocolVersion?

    /// Turns a proxy of a configuration into one that can be registered.
    package init(_ proxy: FRPProxyConfiguration, user: String) {
        name = proxy.name
        target = TunnelTarget(scheme: .tcp, host: proxy.localIP, port: proxy.localPort)
        proxyProtocol = proxy.proxyProtocolVersion
        bandwidth = proxy.bandwidthLimitMode == "client" ? proxy.bandwidthLimit : nil
        var request = FRPNewProxy(proxyName: user.isEmpty ? proxy.name : "\(user).\(proxy.name)")
        request.proxyType = proxy.type.rawValue
        request.useEncryption = proxy.useEncryption
        request.useCompression = proxy.useCompression
        if let limit = proxy.bandwidthLimit {
            request.bandwidthLimit = limit.description
            if proxy.bandwidthLimitMode != "client" { request.bandwidthLimitMode = proxy.bandwidthLimitMode }
        }
        request.group = proxy.group
        request.groupKey = proxy.groupKey
        request.metas = proxy.metadatas
        request.annotations = proxy.annotations
        request.remotePort = Int(proxy.remotePort)
        request.customDomains = proxy.customDomains
        request.subdomain = proxy.subdomain
        request.locations = proxy.locations
        request.httpUser = proxy.httpUser
        request.httpPassword = proxy.httpPassword
        request.hostHeaderRewrite = proxy.hostHeaderRewrite
        request.headers = proxy.requestHeaders
        request.responseHeaders = proxy.responseHeaders
        request.routeByHTTPUser = proxy.routeByHTTPUser
        self.request = request
    }
}
