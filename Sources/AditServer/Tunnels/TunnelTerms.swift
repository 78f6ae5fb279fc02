// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTunnel
package import AditWire

/// What a peer asked for, read and checked as far as that needs nothing but the request itself.
package struct TunnelTerms: Sendable, Equatable {
    /// The kinds that this server has.
    package enum Kind: String, Sendable, Hashable {
        case tcp
        case udp
        /// TCP and UDP on one port of the same number.
        case game
        case http
        /// TLS by server name, untouched: frp's name for it.
        case https

        /// Whether visitors send datagrams.
        package var hasDatagrams: Bool { self == .udp || self == .game }

        /// The transports of a port of its own.
        package var portKinds: [PortKind] {
            switch self {
            case .udp: [.udp]
            case .game: [.tcp, .udp]
            case .tcp, .http, .https: [.tcp]
            }
        }
    }

    /// How many hosts, locations, passwords and address blocks one tunnel may have.
    package static let maximumEntries = 64
    /// The longest life of a tunnel that ends by itself: ten years.
    package static let longestLife = 3660 * 86400
    /// The longest time, in seconds, for which a silent visitor of UDP is remembered: a day.
    package static let longestIdle = 86400

    /// The kind.
    package var kind: Kind
    /// What the device forwards to, printable, at most 200 characters; empty when it is not known.
    package var target: String
    /// Who may visit; empty for everybody.
    package var allow: [CIDR]
    /// The passwords of visitors, each `user:password`; empty for none.
    package var auth: [String]
    /// How long the tunnel lives; nil for as long as its session.
    package var life: Duration?
    /// How much of the tunnel visitors may use.
    package var limits = TunnelLimits()
    /// Whether both directions share one bandwidth, as frp has it.
    package var hasSharedBandwidth = false
    /// The wanted public port; nil for any.
    package var port: UInt16?
    /// How long a visitor of UDP is remembered without a datagram in either direction.
    package var idleTimeout = Duration.seconds(60)

    /// Reads a request; throws what is wrong with it.
    package init(_ request: FRPNewProxy) throws(AditError) {
        guard let kind = Kind(rawValue: request.proxyType) else { throw Self.unavailable(request.proxyType) }
        guard request.group.isEmpty else {
            throw AditError(
                .kindUnavailable,
                Text("this server has no load-balancing groups", zh: "此服务器没有负载均衡组"),
                fix: Text("remove  loadBalancer.group  from the proxy", zh: "请从代理配置中删除 loadBalancer.group")
            )
        }
        let lists = [request.customDomains, request.locations, request.adit?.auth ?? [], request.adit?.allow ?? []]
        guard lists.allSatisfy({ $0.count <= Self.maximumEntries }) else {
            throw Self.misuse(
                "a tunnel has at most \(Self.maximumEntries) hosts, locations, passwords or address blocks",
                zh: "一条隧道最多有 \(Self.maximumEntries) 个主机名、路径、密码或地址段"
            )
        }
        self.kind = kind
        target = String(LineLogHandler.printable(request.adit?.target ?? "").prefix(200))
        guard let port = UInt16(exactly: request.remotePort) else {
            throw Self.misuse(
                "\(request.remotePort) is not a port from 1 to 65535",
                zh: "\(request.remotePort) 不是 1 到 65535 的端口"
            )
        }
        self.port = port == 0 ? nil : port
        allow = []
        for text in request.adit?.allow ?? [] {
            guard let block = CIDR(text) else {
                let shown = LineLogHandler.printable(String(text.prefix(64)))
                throw Self.misuse(
                    "\"\(shown)\" is not an address or a block such as 61.140.0.0/16",
                    zh: "\"\(shown)\" 不是地址或地址段(如 61.140.0.0/16)"
                )
            }
            allow.append(block)
        }
        auth = request.adit?.auth ?? []
        if !request.httpUser.isEmpty || !request.httpPassword.isEmpty {
            auth.append(request.httpUser + ":" + request.httpPassword)
        }
        for pair in auth where !pair.contains(":") || pair.utf8.count > 512 {
            throw Self.misuse("a password is written  user:password", zh: "密码的写法是 用户名:密码")
        }
        if kind == .https, !auth.isEmpty {
            throw Self.misuse(
                "a tls tunnel cannot ask for a password: the server does not see what is inside",
                zh: "tls 隧道无法要求密码：服务器看不到其中的内容"
            )
        }
        if kind == .tcp || kind == .udp || kind == .game, request.adit?.auth.isEmpty == false {
            throw Self.misuse(
                "a \(kind) tunnel cannot ask for a password; an allow list can narrow it",
                zh: "\(kind) 隧道无法要求密码；可以用 --allow 限制来源"
            )
        }
        let seconds = request.adit?.expiresIn ?? 0
        guard (0...Self.longestLife).contains(seconds) else {
            throw Self.misuse("a tunnel lives at most ten years", zh: "隧道最长可用十年")
        }
        life = seconds == 0 ? nil : .seconds(seconds)
        let idle = request.adit?.idle ?? 0
        guard (0...Self.longestIdle).contains(idle) else {
            throw Self.misuse("a silent visitor is remembered for at most a day", zh: "静默的访客最多保留一天")
        }
        if idle > 0 { idleTimeout = .seconds(idle) }
        limits = try Self.limits(request)
        hasSharedBandwidth = request.adit == nil
        if kind != .http, limits.requestRate != nil {
            throw Self.misuse(
                "only a tunnel for web requests can limit their rate",
                zh: "只有网页隧道可以限制请求速率"
            )
        }
        try checkRisk(request)
    }

    /// Whether a visitor at `address` may come in; one whose address is not known only comes in where everybody does.
    package func admits(_ address: IPAddress?) -> Bool { VisitorGate.admits(address, allow) }

    /// The port at the end of a target such as `localhost:22`; nil when it has none.
    package static func port(ofTarget target: String) -> UInt16? {
        guard let colon = target.lastIndex(of: ":") else { return nil }
        return UInt16(target[target.index(after: colon)...].prefix { $0.isASCII && $0.isNumber })
    }

    /// An Adit device has to say that it means it; frp has no way to say so and keeps frp's rules.
    private func checkRisk(_ request: FRPNewProxy) throws(AditError) {
        guard kind == .tcp || kind == .game, let adit = request.adit, !adit.isPublic, allow.isEmpty else { return }
        let ports = [Self.port(ofTarget: target), port].compactMap { $0 }
        guard let risky = ports.first(where: { NotablePorts.risky[$0] != nil }) else { return }
        let service = NotablePorts.risky[risky] ?? ""
        throw AditError(
            .riskyPort,
            Text(
                "port \(risky) (\(service)) open to the whole internet is attacked within a day",
                zh: "把端口 \(risky)（\(service)）向整个互联网开放，一天之内就会遭到攻击"
            ),
            why: [
                Text("safer:  adit tcp \(risky) --allow YOUR-ADDRESS/32", zh: "更安全：adit tcp \(risky) --allow 你的地址/32")
            ],
            fix: Text("continue anyway:  adit tcp \(risky) --public", zh: "仍要继续：adit tcp \(risky) --public")
        )
    }

    private static func limits(_ request: FRPNewProxy) throws(AditError) -> TunnelLimits {
        var limits = TunnelLimits()
        guard let adit = request.adit else {
            // In client mode, frp's default, the client keeps the limit.
            guard request.bandwidthLimitMode == "server", !request.bandwidthLimit.isEmpty else { return limits }
            limits.bandwidth = Bandwidth(request.bandwidthLimit)
            if limits.bandwidth == nil {
                let shown = LineLogHandler.printable(String(request.bandwidthLimit.prefix(32)))
                throw misuse("\"\(shown)\" is not a bandwidth such as 1MB", zh: "\"\(shown)\" 不是带宽(如 1MB)")
            }
            return limits
        }
        if adit.maxConnections != 0 {
            guard (1...TunnelLimits.maximumConnections).contains(adit.maxConnections) else {
                throw misuse("a limit of connections is from 1 to 1000000", zh: "连接数上限为 1 到 1000000")
            }
            limits.maxConnections = adit.maxConnections
        }
        limits.connectionRate = try rate(adit.connectionRate)
        limits.requestRate = try rate(adit.requestRate)
        if adit.bandwidth != 0 {
            limits.bandwidth = Bandwidth(bytesPerSecond: adit.bandwidth)
            if limits.bandwidth == nil { throw misuse("a bandwidth is positive", zh: "带宽必须为正数") }
        }
        return limits
    }

    private static func rate(_ text: String) throws(AditError) -> Rate? {
        if text.isEmpty { return nil }
        if let rate = Rate(text) { return rate }
        let shown = LineLogHandler.printable(String(text.prefix(32)))
        throw misuse("\"\(shown)\" is not a rate such as 10/s", zh: "\"\(shown)\" 不是速率(如 10/s)")
    }

    private static func unavailable(_ kind: String) -> AditError {
        let shown = LineLogHandler.printable(String(kind.prefix(32)))
        return AditError(
            .kindUnavailable,
            Text("this server has no tunnels of type \"\(shown)\"", zh: "此服务器没有 \"\(shown)\" 类型的隧道"),
            why: [Text("it offers: tcp, udp, game, http", zh: "可用类型：tcp、udp、game、http")],
            fix: Text("use  adit tcp PORT  or  adit http PORT", zh: "请用 adit tcp 端口 或 adit http 端口")
        )
    }

    private static func misuse(_ english: String, zh chinese: String) -> AditError {
        AditError(.usage, Text(english, zh: chinese))
    }
}
