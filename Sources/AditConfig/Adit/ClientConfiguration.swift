// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What a device's own configuration file says, with the default of every key that it leaves out.
package struct ClientConfiguration: Sendable, Equatable {
    /// The server to log in to; nil for the one that this device joined.
    package var server: HostPort?
    /// The server key's fingerprint, `SHA256:` and 43 characters of base 64 or 64 hexadecimal digits; nil when not pinned here.
    package var fingerprint: String?
    /// The server's shared token, for a device that has not joined.
    package var token: String?
    /// The language of the screens; nil for that of the system.
    package var language: Language?
    /// How much is written to the log.
    package var logLevel = LogLevel.info
    /// The framing of the session; nil for that of the join, or the newest.
    package var wire: FRPClientConfiguration.WireProtocol?
    /// Which paths to other devices are wanted; nil for `auto`.
    package var p2p: PathWish?
    /// Whether other devices may look for a path to this one.
    package var paths = true
    /// Whether ports are searched for where both carriers draw them from small blocks.
    package var portBlocks = false
    /// The tunnels to open, in the order of the file.
    package var tunnels: [TunnelConfiguration] = []
    /// The private services to offer, in the order of the file.
    package var services: [ServiceConfiguration] = []

    /// Makes a configuration of defaults.
    package init() {}
}

/// Which paths to other devices are wanted.
package enum PathWish: String, Sendable, Hashable, CaseIterable {
    /// Relayed at once, direct as soon as that works.
    case auto
    /// Direct or not at all.
    case only
    /// Relayed, and no address of this device is told.
    case off
}

/// One tunnel of a device's configuration file.
package struct TunnelConfiguration: Sendable, Equatable {
    /// What visitors speak.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case http
        case tcp
        case udp
        /// TCP and UDP on one public port.
        case game
        /// TLS by server name, untouched.
        case tls
    }

    /// What visitors speak.
    package var kind: Kind
    /// What the tunnel forwards to, as written: a port, `host:port`, or a URL.
    package var target: String
    /// The wanted name; nil for the sticky one of this device and target.
    package var name: String?
    /// The wanted public port of a tcp tunnel; nil for the sticky one.
    package var port: UInt16?
    /// Domains of the owner that lead to an http tunnel as well.
    package var domains: [String] = []
    /// The `user:password` pairs that visitors of an http tunnel must know one of; empty for no password.
    package var auth: [String] = []
    /// The addresses from which visitors may come; empty for all.
    package var allow: [CIDR] = []
    /// How long the tunnel lives after it opened; nil for as long as the device is there.
    package var expires: Duration?
    /// How much of the tunnel visitors may use.
    package var limits = TunnelLimits()
    /// The PROXY protocol in which the service is told who its visitor is; nil for not at all.
    package var proxyProtocol: ProxyProtocolVersion?
    /// How long a silent visitor of UDP is remembered; nil for a minute.
    package var idle: Duration?
    /// The word that a port which is attacked within a day may be opened to the whole internet.
    package var isPublic = false
    /// Whether the service speaks HTTP/2 alone; an `h2c://` target says so too.
    package var http2 = false
    /// The Host header that the service gets: a value, `keep` for the visitor's, or `auto`, which nil stands for as well.
    package var hostHeader: String?
    /// Headers set on each request before the service gets it.
    package var requestHeaders: [String: String] = [:]
    /// Where the tunnel stands in the file.
    package var position: SourcePosition

    /// Makes a tunnel with the defaults of every key but its kind and target.
    package init(kind: Kind, target: String, position: SourcePosition = .start) {
        self.kind = kind
        self.target = target
        self.position = position
    }
}
