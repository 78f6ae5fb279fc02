// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditConfig
import AditCore
package import AditCrypto
package import AditTransport
import AditTunnel
import AditWire

/// What the private proxies and visitors of frpc's configuration come down to: services, visits, and a session as a guest.
package struct FRPPrivateSetup: Sendable {
    /// A private proxy: stcp, sudp or xtcp.
    package struct Service: Sendable {
        /// The name without the user's prefix, as logs show it.
        package var name: String
        /// frp's type.
        package var type: String
        /// What it offers, under the name at the server.
        package var order: ServiceOrder
    }

    /// A visitor of a private proxy.
    package struct Visitor: Sendable {
        /// The name in the file, as logs show it.
        package var name: String
        /// Where it leads, by the proxy's name at the server.
        package var order: VisitOrder
        /// Whether it has a local port.
        package var listens: Bool
        /// The visitor that takes over when there is no direct path in time; empty for none.
        package var fallbackTo = ""
        /// How often the other end is looked for before anybody comes; nil for not at all.
        package var keepsOpenEvery: Duration?
    }

    /// frp waits so long for a direct path where no other visitor takes over.
    private static let directTime = Duration.seconds(20)

    /// How to connect and log in, beside frp's own session.
    package var session: DeviceSessionConfiguration
    /// The key that is shown there, made for this process.
    package var key: DeviceKey
    /// The private proxies, in the order of the file.
    package var services: [Service]
    /// The visitors, in the order of the file.
    package var visitors: [Visitor]

    /// Turns a configuration into a setup; nil when it has nothing private.
    ///
    /// - Parameters:
    ///   - base: the session of the configuration's other proxies.
    ///   - seed: 32 random bytes for the key.
    /// - Throws: `CryptoError` for a seed of another length.
    package init?(_ file: FRPClientConfiguration, base: DeviceSessionConfiguration, seed: [UInt8]) throws {
        let proxies = file.startedProxies.filter(\.type.isPrivate)
        guard !proxies.isEmpty || !file.startedVisitors.isEmpty else { return nil }
        var session = base
        key = try DeviceKey(seed: seed)
        session.credentials = .guest(token: base.credentials.token, key)
        // A guest's session is inside TLS, whatever frp's is.
        if session.serverTrust == .plain { session.serverTrust = .unverified(name: file.serverAddr) }
        session.wireVersion = .v2
        session.isMultiplexed = true
        session.poolCount = 0
        session.heartbeatInterval = nil
        session.heartbeatTimeout = nil
        session.muxPingInterval = .seconds(10)
        session.muxPingTimeout = .seconds(5)
        session.provesHeartbeats = false
        session.provesWorkConnections = false
        session.clientID = ""
        session.takesSignals = true
        self.session = session
        services = proxies.map { Self.service($0, user: file.user) }
        visitors = file.startedVisitors.map { Self.visitor($0, user: file.user) }
    }

    private static func service(_ proxy: FRPProxyConfiguration, user: String) -> Service {
        var order = ServiceOrder(
            kind: proxy.type == .sudp ? .udp : .tcp,
            target: TunnelTarget(scheme: .tcp, host: proxy.localIP, port: proxy.localPort),
            name: fullName(proxy.name, user)
        )
        order.secret = proxy.secretKey
        order.users = proxy.allowUsers.isEmpty ? [user] : proxy.allowUsers
        return Service(name: proxy.name, type: proxy.type.rawValue, order: order)
    }

    private static func visitor(_ visitor: FRPVisitorConfiguration, user: String) -> Visitor {
        let name = fullName(visitor.serverName, visitor.serverUser.isEmpty ? user : visitor.serverUser)
        var order = VisitOrder(
            ServicePlace(device: "", service: name),
            kind: visitor.type == .sudp ? .udp : .tcp,
            port: UInt16(clamping: visitor.bindPort)
        )
        order.address = address(visitor.bindAddr)
        order.secret = visitor.secretKey
        var result = Visitor(name: visitor.name, order: order, listens: visitor.bindPort > 0)
        guard visitor.type == .xtcp else { return result }
        result.fallbackTo = visitor.fallbackTo
        result.order.directTime =
            visitor.fallbackTo.isEmpty ? directTime : .milliseconds(max(1, visitor.fallbackTimeoutMs))
        if visitor.keepTunnelOpen {
            let interval = max(visitor.minRetryInterval, 3600 / max(1, visitor.maxRetriesAnHour))
            result.keepsOpenEvery = .seconds(max(1, interval))
        }
        return result
    }

    private static func fullName(_ name: String, _ user: String) -> String {
        user.isEmpty ? name : "\(user).\(name)"
    }

    private static func address(_ text: String) -> IPAddress? {
        text == "localhost" || text.isEmpty ? .v4(0x7F00_0001) : IPAddress(text)
    }

    // MARK: What cannot be

    /// What in the private part of a configuration cannot be, a line each; it must not be started then.
    package static func refusals(_ file: FRPClientConfiguration) -> [String] {
        var lines: [String] = []
        for proxy in file.startedProxies where proxy.type.isPrivate {
            func refuse(_ text: String) { lines.append("line \(proxy.position.line): proxy [\(proxy.name)]: \(text)") }
            if proxy.secretKey.isEmpty { refuse(emptySecret) }
            if !AditServices.isName(fullName(proxy.name, file.user)) { refuse(longName) }
            if proxy.proxyProtocolVersion != nil {
                refuse(
                    "transport.proxyProtocolVersion is not available: a private proxy does not know its visitor's address"
                )
            }
            if !proxy.group.isEmpty { refuse("loadBalancer.group is not available for private proxies") }
        }
        let visitors = file.startedVisitors
        for visitor in visitors {
            func refuse(_ text: String) {
                lines.append("line \(visitor.position.line): visitor [\(visitor.name)]: \(text)")
            }
            if visitor.secretKey.isEmpty { refuse(emptySecret) }
            let user = visitor.serverUser.isEmpty ? file.user : visitor.serverUser
            if !AditServices.isName(fullName(visitor.serverName, user)) { refuse(longName) }
            if address(visitor.bindAddr) == nil { refuse("bindAddr = \(visitor.bindAddr) is not an IP address") }
            guard visitor.type == .xtcp, !visitor.fallbackTo.isEmpty else { continue }
            let other = visitors.first { $0.name == visitor.fallbackTo }
            if other == nil || other?.type == .sudp || other?.name == visitor.name {
                refuse("fallbackTo = \(visitor.fallbackTo) is no other visitor of type stcp or xtcp")
            }
        }
        return lines
    }

    private static let emptySecret =
        "ADIT-901: no empty secret: secretKey is all that tells the right peer from a wrong one (adit explain 901)"
    private static let longName =
        "user and name of a private proxy have at most 64 bytes together, and no control characters"

    /// What is asked for and changes nothing; a line each, to be logged.
    package static func warnings(_ file: FRPClientConfiguration) -> [String] {
        var lines: [String] = []
        for proxy in file.startedProxies where proxy.type.isPrivate {
            func warn(_ text: String) { lines.append("proxy [\(proxy.name)]: \(text)") }
            if proxy.useCompression { warn(noCompression) }
            if proxy.bandwidthLimit != nil { warn("transport.bandwidthLimit is not kept for private proxies") }
        }
        for visitor in file.startedVisitors {
            func warn(_ text: String) { lines.append("visitor [\(visitor.name)]: \(text)") }
            if visitor.useCompression { warn(noCompression) }
            if visitor.type == .xtcp, visitor.protocol != "quic" {
                warn("protocol = \(visitor.protocol): quic is used")
            }
        }
        return lines
    }

    private static let noCompression =
        "transport.useCompression changes nothing: between Adit peers bytes are encrypted end to end, and not compressed"
}

extension FRPProxyConfiguration.Kind {
    /// Whether it has no public address, and only visitors that know its secret.
    package var isPrivate: Bool { self == .stcp || self == .sudp || self == .xtcp }
}
