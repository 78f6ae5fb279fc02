// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads the schema of a device's own file.
enum ClientReader {
    static let atlas = ReadingContext.list(ignoresCase: false) { _ = read($0) }
    private static let maximumTunnels = 1000

    static func read(_ top: ScopeReader) -> ClientConfiguration {
        var client = ClientConfiguration()
        if let text = top.string("server"), let entry = top.entry("server") {
            client.server = HostPort(text, defaultPort: 7000)
            if client.server == nil {
                let shown = SourceText.printable(text)
                top.wrong(
                    entry,
                    Text("\"\(shown)\" is not a server's address", zh: "\"\(shown)\" 不是服务器地址"),
                    hint: Text(
                        "such as vps.example.com or 203.0.113.7:7000",
                        zh: "例如 vps.example.com 或 203.0.113.7:7000"
                    )
                )
            }
        }
        if let text = top.string("fingerprint"), let entry = top.entry("fingerprint") {
            if isFingerprint(text) {
                client.fingerprint = text
            } else {
                top.wrong(
                    entry,
                    Text("this is not a key's fingerprint", zh: "不是密钥指纹"),
                    hint: Text(
                        "SHA256: and 43 characters, as adit server prints it",
                        zh: "SHA256: 加 43 个字符,见 adit server 的输出"
                    )
                )
            }
        }
        client.token = AditSharedReader.token(top)
        client.language = top.word("language", Language.self)
        client.logLevel = top.word("logLevel", LogLevel.self) ?? client.logLevel
        client.wire = top.word("wire", FRPClientConfiguration.WireProtocol.self)
        client.p2p = top.word("p2p", PathWish.self)
        client.paths = top.boolean("paths") ?? client.paths
        client.portBlocks = top.boolean("portBlocks") ?? client.portBlocks
        let scopes = top.tables("tunnels")
        if scopes.count > maximumTunnels {
            top.context.add(
                Text("there are more than \(maximumTunnels) tunnels", zh: "隧道超过 \(maximumTunnels) 条"),
                at: scopes[maximumTunnels].position,
                key: scopes[maximumTunnels].path
            )
        }
        client.tunnels = scopes.prefix(maximumTunnels).compactMap(TunnelReader.read)
        refuseTwins(client.tunnels, top.context)
        let services = top.tables("services")
        if services.count > maximumTunnels {
            top.context.add(
                Text("there are more than \(maximumTunnels) services", zh: "服务超过 \(maximumTunnels) 个"),
                at: services[maximumTunnels].position,
                key: services[maximumTunnels].path
            )
        }
        client.services = services.prefix(maximumTunnels).compactMap(ServiceReader.read)
        top.finish()
        return client
    }

    private static func isFingerprint(_ text: String) -> Bool {
        if text.hasPrefix("SHA256:") {
            let digest = text.dropFirst(7)
            let unpadded = digest.hasSuffix("=") ? digest.dropLast() : digest
            return unpadded.utf8.count == 43
                && unpadded.utf8.allSatisfy {
                    (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
                        || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "/")
                }
        }
        return text.utf8.count == 64 && Hexadecimal.decode(text) != nil
    }

    private static func refuseTwins(_ tunnels: [TunnelConfiguration], _ context: ReadingContext) {
        var taken: [String: SourcePosition] = [:]
        for tunnel in tunnels {
            var claims = tunnel.domains.map { $0.lowercased() }
            if let name = tunnel.name { claims.append("name \(name.lowercased())") }
            if let port = tunnel.port { claims.append("port \(port)") }
            for claim in claims {
                if let earlier = taken[claim] {
                    context.add(
                        Text(
                            "\(claim) is taken by the tunnel in line \(earlier.line)",
                            zh: "\(claim) 已被第 \(earlier.line) 行的隧道占用"
                        ),
                        at: tunnel.position,
                        key: "tunnels"
                    )
                } else {
                    taken[claim] = tunnel.position
                }
            }
        }
    }
}
