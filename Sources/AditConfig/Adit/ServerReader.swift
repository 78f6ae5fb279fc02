// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads the schema of an Adit server's own file.
enum ServerReader {
    static let atlas = ReadingContext.list(ignoresCase: false) { _ = read($0) }

    static func read(_ top: ScopeReader) -> ServerConfiguration {
        var server = ServerConfiguration()
        if let text = top.string("domain"), let entry = top.entry("domain") {
            if let domain = DomainName(pattern: text), !text.hasPrefix("*"), !text.isEmpty {
                server.domain = domain.text
            } else {
                let shown = SourceText.printable(text)
                top.wrong(
                    entry,
                    Text("\"\(shown)\" is not a domain", zh: "\"\(shown)\" 不是域名"),
                    hint: Text("write it without scheme, port and *", zh: "不要写协议、端口和 *")
                )
            }
        }
        if let text = top.string("listen"), let entry = top.entry("listen") {
            if let address = IPAddress(text) {
                server.listen = address
            } else {
                let shown = SourceText.printable(text)
                top.wrong(
                    entry,
                    Text("\"\(shown)\" is not an IP address", zh: "\"\(shown)\" 不是 IP 地址"),
                    hint: Text("such as 0.0.0.0 for all, or 127.0.0.1", zh: "例如 0.0.0.0(全部)或 127.0.0.1")
                )
            }
        }
        server.sessionPort = top.port("sessionPort") ?? server.sessionPort
        server.httpPort = top.port("httpPort") ?? server.httpPort
        server.httpsPort = top.port("httpsPort")
        server.stun = stun(top)
        server.relay = top.boolean("relay") ?? server.relay
        server.turn = TURNReader.read(top)
        server.certificates = top.tables("certificates").compactMap(certificate)
        server.redirectToHTTPS = top.boolean("redirectToHTTPS") ?? server.redirectToHTTPS
        if let entry = top.entry("publicPorts"), let text = ports(entry) ?? top.string("publicPorts") {
            do {
                server.publicPorts = try PortRangeList(parsing: text)
            } catch {
                top.wrong(entry, error.what)
            }
        }
        server.token = AditSharedReader.token(top)
        server.allowFRP = top.boolean("allowFRP") ?? server.allowFRP
        server.state = AditSharedReader.path(top, "state")
        server.reservedNames = names(top)
        server.maxTunnelsPerDevice =
            top.integer("maxTunnelsPerDevice", in: 1...10000) ?? server.maxTunnelsPerDevice
        server.maxConnectionsPerDevice =
            top.integer("maxConnectionsPerDevice", in: 0...TunnelLimits.maximumConnections)
            ?? server.maxConnectionsPerDevice
        server.bandwidthPerDevice = AditSharedReader.bandwidth(top, "bandwidthPerDevice")
        server.drainSeconds = top.integer("drainSeconds", in: 0...3600) ?? server.drainSeconds
        server.custom404Page = AditSharedReader.path(top, "custom404Page")
        server.logLevel = top.word("logLevel", LogLevel.self) ?? server.logLevel
        if server.sessionPort == server.httpPort, server.sessionPort != 0,
            let entry = top.entry("httpPort") ?? top.entry("sessionPort")
        {
            top.wrong(
                entry,
                Text(
                    "sessionPort and httpPort are both \(server.httpPort)",
                    zh: "sessionPort 与 httpPort 都是 \(server.httpPort)"
                )
            )
        }
        top.finish()
        return server
    }

    private static func certificate(_ scope: ScopeReader) -> ServerConfiguration.Certificate? {
        defer { scope.finish() }
        let hint = Text(verbatim: "{ certificate = \"fullchain.pem\", key = \"key.pem\" }")
        for key in ["certificate", "key"] where scope.entry(key) == nil && !scope.context.isListing {
            scope.missing(key, hint: hint)
        }
        guard let certificate = AditSharedReader.path(scope, "certificate"),
            let key = AditSharedReader.path(scope, "key")
        else { return nil }
        return ServerConfiguration.Certificate(certificate: certificate, key: key)
    }

    private static func stun(_ top: ScopeReader) -> STUNConfiguration {
        var stun = STUNConfiguration()
        stun.isOn = top.boolean("stun") ?? stun.isOn
        stun.port = top.port("stunPort")
        stun.tlsPort = top.port("stunTLSPort")
        stun.alternatePort = top.port("stunAlternatePort")
        for (text, position) in top.items("stunAddresses") ?? [] {
            if let address = STUNConfiguration.Address(text) {
                stun.addresses.append(address)
            } else {
                let shown = SourceText.printable(text)
                top.context.add(
                    Text("\"\(shown)\" is not an IP address", zh: "\"\(shown)\" 不是 IP 地址"),
                    at: position,
                    key: "stunAddresses",
                    hint: Text("ADDRESS, or PUBLIC/OWN behind a one-to-one NAT", zh: "写地址;在一对一 NAT 之后写 公网地址/本机地址")
                )
            }
        }
        if let fault = STUNConfiguration.fault(of: stun.addresses), let entry = top.entry("stunAddresses") {
            top.wrong(entry, fault)
        }
        stun.rate = top.integer("stunRate", in: STUNConfiguration.rates) ?? stun.rate
        if let port = stun.alternatePort, port != 0, port == stun.port ?? 3478,
            let entry = top.entry("stunAlternatePort")
        {
            top.wrong(
                entry,
                Text("stunPort and stunAlternatePort are both \(port)", zh: "stunPort 与 stunAlternatePort 都是 \(port)")
            )
        }
        return stun
    }

    /// One port may stand there as a number.
    private static func ports(_ entry: ConfigurationTable.Entry) -> String? {
        if case .integer(let number) = entry.node.value { return String(number) }
        return nil
    }

    private static func names(_ top: ScopeReader) -> [String] {
        var names: [String] = []
        for (text, position) in top.items("reservedNames") ?? [] {
            let name = text.lowercased()
            if DomainName.isLabel(Substring(name)) {
                names.append(name)
            } else {
                let shown = SourceText.printable(text)
                top.context.add(
                    Text("\"\(shown)\" is not a name", zh: "\"\(shown)\" 不是名称"),
                    at: position,
                    key: "reservedNames",
                    hint: Text("letters, digits and hyphens, at most 63", zh: "字母、数字和连字符,最多 63 个")
                )
            }
        }
        return names
    }
}

/// What the files of server and device have in common.
enum AditSharedReader {
    static func token(_ top: ScopeReader) -> String? {
        guard let text = top.string("token"), let entry = top.entry("token") else { return nil }
        guard !text.isEmpty else {
            top.wrong(
                entry,
                Text("the token is empty, which would let everybody in", zh: "token 为空,任何人都能进入"),
                hint: Text("write a long random text, or leave the key out", zh: "请写一段长的随机文本,或删去此键")
            )
            return nil
        }
        guard text.utf8.count <= 1024 else {
            top.wrong(entry, Text("the token is longer than 1024 bytes", zh: "token 超过 1024 字节"))
            return nil
        }
        return text
    }

    static func bandwidth(_ top: ScopeReader, _ key: String) -> Bandwidth? {
        guard let text = top.string(key), let entry = top.entry(key) else { return nil }
        if let bandwidth = Bandwidth(text) { return bandwidth }
        let shown = SourceText.printable(text)
        top.wrong(
            entry,
            Text("\"\(shown)\" is not a bandwidth such as 2MB or 500KB", zh: "\"\(shown)\" 不是带宽(如 2MB、500KB)"),
            hint: Text("bytes a second, each direction", zh: "每个方向每秒的字节数")
        )
        return nil
    }

    static func rate(_ top: ScopeReader, _ key: String) -> Rate? {
        guard let text = top.string(key), let entry = top.entry(key) else { return nil }
        if let rate = Rate(text) { return rate }
        let shown = SourceText.printable(text)
        top.wrong(
            entry,
            Text("\"\(shown)\" is not a rate such as 10/s or 300/m", zh: "\"\(shown)\" 不是速率(如 10/s、300/m)"),
            hint: Text("s, m or h after the slash", zh: "斜杠后为 s、m 或 h")
        )
        return nil
    }

    static func path(_ top: ScopeReader, _ key: String) -> String? {
        guard let text = top.string(key), let entry = top.entry(key) else { return nil }
        guard !text.isEmpty else {
            top.wrong(
                entry,
                Text("the path is empty", zh: "路径为空"),
                hint: Text("leave the key out for the default", zh: "使用默认值请删去此键")
            )
            return nil
        }
        return text
    }
}
