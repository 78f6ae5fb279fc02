// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads one private service of a device's own file.
enum ServiceReader {
    private static let nameLimit = 64
    private static let secretLimit = 1024
    private static let maximumDevices = 1000

    static func read(_ scope: ScopeReader) -> ServiceConfiguration? {
        var service = ServiceConfiguration(target: target(scope) ?? "", position: scope.position)
        service.kind = scope.word("kind", ServiceConfiguration.Kind.self) ?? .tcp
        service.name = name(scope)
        service.allow = allow(scope)
        if let secret = scope.string("secret"), let entry = scope.entry("secret") {
            // An empty one must not open the service to those who know nothing.
            if (1...secretLimit).contains(secret.utf8.count) {
                service.secret = secret
            } else {
                scope.wrong(
                    entry,
                    Text("a secret has 1 to \(secretLimit) bytes", zh: "密钥为 1 到 \(secretLimit) 字节"),
                    hint: Text("leave the key away for none", zh: "不需要时请删去此键")
                )
            }
        }
        if let text = scope.string("idle"), let entry = scope.entry("idle") {
            service.idle = TunnelReader.idle(text, entry, scope)
            if service.kind == .tcp { TunnelReader.onlyFor("udp", entry, scope) }
        }
        scope.finish()
        return service.target.isEmpty ? nil : service
    }

    /// A port may stand there as a number.
    private static func target(_ scope: ScopeReader) -> String? {
        guard let entry = scope.entry("target") else {
            scope.missing("target", hint: Text(verbatim: "target = \"ssh\""))
            return nil
        }
        if case .integer(let number) = entry.node.value {
            if (1...65535).contains(number) { return String(number) }
            scope.wrong(entry, Text("\(number) is not between 1 and 65535", zh: "\(number) 不在 1 到 65535 之间"))
            return nil
        }
        guard let text = scope.string("target") else { return nil }
        let isWord = !text.isEmpty && text.utf8.count <= 32 && text.utf8.allSatisfy { (97...122).contains($0) }
        let isPort = UInt16(text).map { $0 > 0 } ?? false
        guard isWord || isPort || HostPort(text) != nil else {
            let shown = SourceText.printable(text)
            scope.wrong(
                entry,
                Text("\"\(shown)\" is not a target", zh: "\"\(shown)\" 不是有效的目标"),
                hint: Text("ssh, a port, or host:port", zh: "ssh、端口或 host:port")
            )
            return nil
        }
        return text
    }

    private static func name(_ scope: ScopeReader) -> String? {
        guard let text = scope.string("name"), let entry = scope.entry("name") else { return nil }
        let isName =
            (1...nameLimit).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || ".-_".utf8.contains(byte)
            }
        if isName { return text }
        scope.wrong(
            entry,
            Text("\"\(SourceText.printable(text))\" is not a name", zh: "\"\(SourceText.printable(text))\" 不是名称"),
            hint: Text("letters, digits, dots, hyphens and underscores, at most 64", zh: "字母、数字、点、连字符和下划线,最多 64 个")
        )
        return nil
    }

    private static func allow(_ scope: ScopeReader) -> [String] {
        let items = scope.items("allow") ?? []
        if let entry = scope.entry("allow"), items.isEmpty || items.count > maximumDevices {
            // A list that was emptied by mistake must not open the service to everybody.
            scope.wrong(
                entry,
                Text("a list has 1 to \(maximumDevices) devices", zh: "列表需有 1 到 \(maximumDevices) 个设备"),
                hint: Text("leave the key away for every device of the server", zh: "对服务器的所有设备开放时请删去此键")
            )
        }
        var names: [String] = []
        for (index, (text, position)) in items.enumerated() {
            if (1...256).contains(text.utf8.count), !text.contains("/") {
                names.append(text)
            } else {
                scope.context.add(
                    Text(
                        "\"\(SourceText.printable(text))\" is not a device",
                        zh: "\"\(SourceText.printable(text))\" 不是设备"
                    ),
                    at: position,
                    key: "\(scope.path).allow[\(index)]"
                )
            }
        }
        return names
    }
}
