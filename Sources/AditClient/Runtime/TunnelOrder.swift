// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditWire

/// A tunnel that a person asked for: where it leads, and who may come in.
package struct TunnelOrder: Sendable, Hashable {
    /// What visitors speak.
    package enum Kind: String, Sendable {
        case http
        case tcp
        case udp
        /// TCP and UDP on one public port.
        case game
        /// TLS by server name, untouched.
        case tls

        /// Whether visitors send datagrams.
        package var hasDatagrams: Bool { self == .udp || self == .game }
    }

    /// How the `Host` header of a web request reaches the app.
    package enum HostHeader: Sendable, Hashable {
        /// Rewritten to the target's own name when the app rejects the public one.
        case automatic
        /// As the visitor sent it.
        case keep
        /// Always this value.
        case value(String)
    }

    /// What the device calls the tunnel; unique in a session and the same in every run, which makes its address stick.
    package var name: String
    /// What visitors speak.
    package var kind: Kind
    /// Where it leads.
    package var target: TunnelTarget
    /// The wanted public name; nil for the one that the server keeps for this tunnel.
    package var publicName: String?
    /// Domains of the person's own, possibly with a leading `*.`.
    package var domains: [String] = []
    /// The wanted public port of a tcp tunnel; nil for the one that the server keeps for it.
    package var port: UInt16?
    /// Who may come in by `user:password`; empty for everybody.
    package var auth: [String] = []
    /// From where visitors may come; empty for everywhere.
    package var allow: [CIDR] = []
    /// How long the tunnel stays open; nil for as long as it runs.
    package var expiresIn: Duration?
    /// How much of it visitors may use.
    package var limits = TunnelLimits()
    /// The PROXY protocol in which the target is told who its visitor is; nil for not at all.
    package var proxyProtocol: ProxyProtocolVersion?
    /// How long a silent visitor of UDP is remembered; nil for a minute.
    package var idleTimeout: Duration?
    /// Whether a risky port may be open to everybody.
    package var isPublic = false
    /// Whether the app speaks HTTP/2 alone, in clear text or inside its TLS; gRPC is led to any app so.
    package var speaksHTTP2 = false
    /// How the `Host` header reaches the app.
    package var hostHeader = HostHeader.automatic
    /// Headers set on each request of a web tunnel before the app gets it.
    package var requestHeaders: [String: String] = [:]
    /// Hosts that may be a target although their address is refused by default.
    package var targetAllow: Set<String> = []

    /// Makes an order with nothing but a target; its name comes from the kind and the target.
    package init(kind: Kind, target: TunnelTarget, name: String? = nil) {
        self.kind = kind
        self.target = target
        self.name = name ?? Self.defaultName(kind, target)
    }

    /// What the server is asked for; `rewrite` is the Host header to send to the app when that is automatic.
    func request(rewrite: String?) -> FRPNewProxy {
        var proxy = FRPNewProxy(proxyName: name, proxyType: kind == .tls ? "https" : kind.rawValue)
        proxy.remotePort = Int(port ?? 0)
        proxy.customDomains = domains
        proxy.headers = requestHeaders
        switch hostHeader {
        case .automatic: proxy.hostHeaderRewrite = rewrite ?? ""
        case .keep: break
        case .value(let value): proxy.hostHeaderRewrite = value
        }
        proxy.adit = AditTunnelRequest(
            target: target.description,
            name: publicName ?? "",
            auth: auth,
            allow: allow.map(\.description),
            expiresIn: Int(expiresIn?.components.seconds ?? 0),
            isPublic: isPublic,
            maxConnections: limits.maxConnections ?? 0,
            connectionRate: limits.connectionRate?.description ?? "",
            requestRate: limits.requestRate?.description ?? "",
            bandwidth: limits.bandwidth?.bytesPerSecond ?? 0,
            idle: Int(idleTimeout?.components.seconds ?? 0),
            http2: speaksHTTP2
        )
        return proxy
    }

    /// `http-3000` for this machine, `http-nas-8080` for another.
    private static func defaultName(_ kind: Kind, _ target: TunnelTarget) -> String {
        if target.isLoopback { return "\(kind.rawValue)-\(target.port)" }
        let host = target.host.map { $0.isLetter || $0.isNumber ? $0 : "-" }
        return "\(kind.rawValue)-\(String(host))-\(target.port)"
    }
}
