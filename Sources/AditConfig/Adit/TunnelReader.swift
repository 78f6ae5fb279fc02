// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads one tunnel of a device's own file.
enum TunnelReader {
    static func read(_ scope: ScopeReader) -> TunnelConfiguration? {
        let kind = scope.word("kind", TunnelConfiguration.Kind.self)
        if kind == nil, scope.entry("kind") == nil {
            scope.missing("kind", hint: Text(verbatim: "kind = \"http\""))
        }
        let target = target(scope)
        var tunnel = TunnelConfiguration(
            kind: kind ?? .http,
            target: target ?? "",
            position: scope.position
        )
        tunnel.name = name(scope)
        if let port = scope.integer("port", in: 1...65535), let entry = scope.entry("port") {
            tunnel.port = UInt16(port)
            if kind == .http || kind == .tls { onlyFor("tcp", entry, scope) }
        }
        tunnel.domains = domains(scope)
        tunnel.auth = auth(scope)
        tunnel.allow = allow(scope)
        if let text = scope.string("expires"), let entry = scope.entry("expires") {
            do {
                tunnel.expires = try DurationText.parse(text)
            } catch {
                scope.wrong(entry, error.what)
            }
        }
        tunnel.limits.maxConnections = scope.integer("maxConnections", in: 1...TunnelLimits.maximumConnections)
        tunnel.limits.connectionRate = AditSharedReader.rate(scope, "connectionRate")
        tunnel.limits.requestRate = AditSharedReader.rate(scope, "requestRate")
        tunnel.limits.bandwidth = AditSharedReader.bandwidth(scope, "bandwidth")
        tunnel.proxyProtocol = scope.word("proxyProtocol", ProxyProtocolVersion.self)
        if kind == .http, let entry = scope.entry("proxyProtocol") {
            scope.wrong(
                entry,
                Text("an app of kind http is told by its headers", zh: "http 类型的应用通过请求头得知访客地址"),
                hint: Text("X-Forwarded-For has the visitor's address", zh: "X-Forwarded-For 含有访客地址")
            )
        }
        if let text = scope.string("idle"), let entry = scope.entry("idle") {
            tunnel.idle = idle(text, entry, scope)
            if kind == .http || kind == .tls || kind == .tcp { onlyFor("udp", entry, scope) }
        }
        tunnel.isPublic = scope.boolean("public") ?? false
        tunnel.http2 = scope.boolean("http2") ?? false
        if tunnel.http2, tunnel.target.hasPrefix("https://"), let entry = scope.entry("http2") {
            scope.wrong(
                entry,
                Text("http2 is for services without TLS", zh: "http2 只用于未加密的服务"),
                hint: Text("kind = \"tls\" leads TLS to the service", zh: "kind = \"tls\" 会把 TLS 直接转给服务")
            )
        }
        tunnel.hostHeader = scope.string("hostHeader")
        if let host = tunnel.hostHeader, let entry = scope.entry("hostHeader"),
            !isHeaderValue(host) || host.isEmpty
        {
            scope.wrong(entry, Text("this is not a Host header", zh: "不是合法的 Host 头"))
        }
        tunnel.requestHeaders = scope.stringMap("requestHeaders") ?? [:]
        for (header, value) in tunnel.requestHeaders.sorted(by: { $0.key < $1.key }) {
            guard !isToken(header) || !isHeaderValue(value), let entry = scope.entry("requestHeaders")
            else { continue }
            let shown = SourceText.printable(header)
            scope.wrong(
                entry,
                Text("\"\(shown)\" is not a header with a value", zh: "\"\(shown)\" 不是合法的请求头")
            )
        }
        if kind == .tcp || kind == .udp || kind == .game {
            for key in ["domains", "auth", "hostHeader", "requestHeaders", "requestRate", "http2"] {
                if let entry = scope.entry(key) { onlyFor("http", entry, scope) }
            }
        }
        if kind == .tls {
            // The server sees nothing of what is inside.
            for key in ["auth", "hostHeader", "requestHeaders", "requestRate", "http2"] {
                if let entry = scope.entry(key) { onlyFor("http", entry, scope) }
            }
        }
        scope.finish()
        guard kind != nil, target != nil else { return nil }
        return tunnel
    }

    static func idle(
        _ text: String,
        _ entry: ConfigurationTable.Entry,
        _ scope: ScopeReader
    ) -> Duration? {
        do {
            let time = try DurationText.parse(text)
            if time >= .seconds(1), time <= .seconds(86_400) { return time }
            scope.wrong(entry, Text("a silent visitor is remembered for 1s to 1d", zh: "静默的访客可保留 1s 到 1d"))
        } catch {
            scope.wrong(entry, error.what)
        }
        return nil
    }

    static func onlyFor(
        _ kind: String,
        _ entry: ConfigurationTable.Entry,
        _ scope: ScopeReader
    ) {
        scope.context.add(
            Text(
                "\"\(entry.key)\" is for kind \(kind)",
                zh: "\"\(entry.key)\" 只用于 \(kind) 类型"
            ),
            at: entry.keyPosition,
            key: scope.keyPath(entry)
        )
    }

    /// A port may stand there as a number.
    private static func target(_ scope: ScopeReader) -> String? {
        guard let entry = scope.entry("target") else {
            scope.missing("target", hint: Text(verbatim: "target = \"localhost:3000\""))
            return nil
        }
        if case .integer(let number) = entry.node.value {
            guard (1...65535).contains(number) else {
                scope.wrong(
                    entry,
                    Text("\(number) is not between 1 and 65535", zh: "\(number) 不在 1 到 65535 之间")
                )
                return nil
            }
            return String(number)
        }
        guard let text = scope.string("target") else { return nil }
        guard isTarget(text) else {
            let shown = SourceText.printable(text)
            scope.wrong(
                entry,
                Text("\"\(shown)\" is not a target", zh: "\"\(shown)\" 不是有效的目标"),
                hint: Text(
                    "a port, host:port, or a URL such as http://localhost:3000",
                    zh: "端口、host:port 或 URL(如 http://localhost:3000)"
                )
            )
            return nil
        }
        return text
    }

    private static func isTarget(_ text: String) -> Bool {
        if let port = UInt16(text), port > 0, text.utf8.allSatisfy({ (48...57).contains($0) }) {
            return true
        }
        for (scheme, port) in [("http://", UInt16(80)), ("https://", 443), ("h2c://", 80)] where text.hasPrefix(scheme)
        {
            let authority = text.dropFirst(scheme.count).prefix { $0 != "/" }
            let rest = text.dropFirst(scheme.count + authority.count)
            return HostPort(String(authority), defaultPort: port) != nil
                && rest.utf8.allSatisfy { $0 > 32 && $0 < 127 }
        }
        return HostPort(text) != nil
    }

    private static func name(_ scope: ScopeReader) -> String? {
        guard let text = scope.string("name"), let entry = scope.entry("name") else { return nil }
        let name = text.lowercased()
        guard DomainName.isLabel(Substring(name)), !name.utf8.contains(UInt8(ascii: "_")) else {
            let shown = SourceText.printable(text)
            scope.wrong(
                entry,
                Text("\"\(shown)\" is not a name", zh: "\"\(shown)\" 不是名称"),
                hint: Text("letters, digits and hyphens, at most 63", zh: "字母、数字和连字符,最多 63 个")
            )
            return nil
        }
        return name
    }

    private static func domains(_ scope: ScopeReader) -> [String] {
        var domains: [String] = []
        for (index, (text, position)) in (scope.items("domains") ?? []).enumerated() {
            if let domain = DomainName(pattern: text), text != "*" {
                domains.append(domain.text)
            } else {
                let shown = SourceText.printable(text)
                scope.context.add(
                    Text("\"\(shown)\" is not a domain", zh: "\"\(shown)\" 不是域名"),
                    at: position,
                    key: "\(scope.path).domains[\(index)]",
                    hint: Text("a domain has no scheme, port or path", zh: "域名不含协议、端口和路径")
                )
            }
        }
        return domains
    }

    private static func auth(_ scope: ScopeReader) -> [String] {
        var pairs: [String] = []
        for (index, (text, position)) in (scope.items("auth") ?? []).enumerated() {
            // RFC 7617 section 2: the user has no colon; neither has control characters.
            if let colon = text.firstIndex(of: ":"), colon != text.startIndex,
                text.index(after: colon) != text.endIndex, text.utf8.allSatisfy({ $0 >= 32 && $0 != 127 })
            {
                pairs.append(text)
            } else {
                scope.context.add(
                    Text(
                        "this is not user:password, each at least one character",
                        zh: "不是 user:password(两者都不能为空)"
                    ),
                    at: position,
                    key: "\(scope.path).auth[\(index)]"
                )
            }
        }
        return pairs
    }

    private static func allow(_ scope: ScopeReader) -> [CIDR] {
        var blocks: [CIDR] = []
        for (index, (text, position)) in (scope.items("allow") ?? []).enumerated() {
            if let block = CIDR(text) {
                blocks.append(block)
            } else {
                let shown = SourceText.printable(text)
                scope.context.add(
                    Text(
                        "\"\(shown)\" is not an address or a block such as 203.0.113.0/24",
                        zh: "\"\(shown)\" 不是地址或网段(如 203.0.113.0/24)"
                    ),
                    at: position,
                    key: "\(scope.path).allow[\(index)]"
                )
            }
        }
        return blocks
    }

    /// RFC 9110 section 5.6.2.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
    }

    /// RFC 9110 section 5.5, without bytes beyond ASCII.
    private static func isHeaderValue(_ text: String) -> Bool {
        text.utf8.allSatisfy { $0 == 9 || (32..<127).contains($0) } && text.first != " "
            && text.last != " "
    }
}
