// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTunnel
import NIOCore

/// How a setup becomes the configuration of the parts.
extension AditServer {
    /// The reverse proxy for a table of routes.
    static func makeFrontEnd(
        _ routes: any HTTPRouteTable,
        _ setup: ServerSetup,
        _ parts: Parts,
        secureAuthority: (@Sendable (String) -> String?)? = nil,
        ownNames: Set<String>? = nil
    ) -> HTTPFrontEnd {
        var limits = HTTPLimits()
        limits.responseHead = TimeAmount(setup.responseTimeout)
        limits.connectionsPerTunnel = setup.maximumVisitorsPerTunnel
        limits.connections = max(limits.connections, setup.maximumVisitorsPerTunnel)
        return HTTPFrontEnd(
            routes: routes,
            limits: limits,
            unknownNamePage: setup.notFoundPage,
            loopName: "adit-" + Hexadecimal.encode(Array(parts.identity.fingerprint.bytes.prefix(6))),
            secureAuthority: secureAuthority,
            ownNames: ownNames
        )
    }

    /// The names of this machine as routes spell them, for a server with Adit's own rules; nil for another.
    static func ownNames(_ setup: ServerSetup) -> Set<String>? {
        guard setup.role == .adit else { return nil }
        let names = [setup.publicHost, setup.domain ?? ""]
        return Set(names.compactMap { IPAddress($0)?.unmapped.description ?? HostName($0)?.text })
    }

    /// What takes visitors' TLS connections, on a port of their own or on a shared one.
    static func makeEntrance(
        _ setup: ServerSetup,
        _ parts: Parts,
        _ policy: ServerPolicy,
        names: HTTPFrontEnd
    ) -> SecureEntrance {
        SecureEntrance(
            table: policy.table,
            certificates: policy.certificates,
            listeners: policy.listeners,
            names: names,
            servesPlain: setup.httpPort.map { $0 != 0 && $0 == setup.httpsPort } ?? false,
            ownHosts: Set([setup.publicHost, setup.domain ?? ""]),
            patience: parts.handshakePatience,
            log: parts.log
        )
    }

    /// The acceptor of the session port, which is the port of names as well when both are the same.
    static func makeAcceptor(
        _ setup: ServerSetup,
        _ parts: Parts,
        _ policy: ServerPolicy,
        names: HTTPFrontEnd,
        entrance: SecureEntrance
    ) -> SessionAcceptor {
        var configuration = SessionAcceptor.Configuration()
        configuration.control.heartbeatTimeout = setup.heartbeatTimeout ?? (setup.role == .frps ? nil : .seconds(90))
        configuration.control.maximumPoolCount = setup.maximumPoolCount
        configuration.control.workConnectionTimeout = setup.visitorTimeout
        configuration.control.requiresKeyOnHeartbeats = setup.authenticatesHeartbeats
        configuration.control.requiresKeyOnWorkConnections = setup.authenticatesWorkConnections
        configuration.control.maximumTunnels = max(configuration.control.maximumTunnels, setup.maximumTunnels)
        // Whether frp clients may come in is the policy's to say, so that a reload can change it and the client is told.
        configuration.control.servesFRP = true
        configuration.requiresTLS = setup.tlsForced
        if setup.role == .frps { configuration.muxPingInterval = setup.keepaliveInterval }
        let isShared = setup.httpPort.map { $0 != 0 && $0 == setup.sessionPort } ?? false
        let initializer: (@Sendable (any Channel) -> EventLoopFuture<Void>)? =
            isShared ? { @Sendable channel in names.initialize(channel) } : nil
        let sharesTLS = setup.httpsPort.map { $0 != 0 && $0 == setup.sessionPort } ?? false
        return SessionAcceptor(
            configuration: configuration,
            policy: policy,
            tls: parts.identity.tls,
            httpInitializer: initializer,
            tlsVisitors: policy.relayVisitors(or: sharesTLS ? entrance.visitors : nil),
            random: parts.random,
            logger: parts.log
        )
    }
}
