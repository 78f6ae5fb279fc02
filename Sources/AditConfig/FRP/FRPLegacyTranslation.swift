// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Turns the sections of frp's INI into the tree that the TOML form of the same configuration gives.
///
/// Places stay those of the INI file, and each value keeps the name that was written as its label.
struct FRPLegacyTranslation {
    private let context: ReadingContext
    private static let maximumProxies = 65536

    private typealias Entry = ConfigurationTable.Entry

    init(_ context: ReadingContext) {
        self.context = context
    }

    /// The tree of a frps.ini.
    func server(_ root: ConfigurationNode) -> ConfigurationTable {
        var builder = TreeBuilder()
        var plugins: [ConfigurationNode] = []
        requireCommon(root)
        for section in sections(root) {
            if section.key == "common" {
                common(section, FRPLegacyNames.server, [], &builder)
            } else if section.key.hasPrefix("plugin.") {
                var plugin = TreeBuilder()
                plugin.set("name", value(String(section.key.dropFirst(7)), of: section))
                translate(section, FRPLegacyNames.serverPlugin, [], &plugin)
                plugins.append(ConfigurationNode(.table(plugin.table), at: section.keyPosition))
            } else {
                context.add(
                    Text(
                        "frps has no section [\(SourceText.printable(section.key))]",
                        zh: "frps 没有小节 [\(SourceText.printable(section.key))]"
                    ),
                    at: section.keyPosition,
                    key: section.key,
                    hint: Text("proxies belong to frpc's file", zh: "代理应写在 frpc 的文件中"),
                    severity: .warning
                )
            }
        }
        if let first = plugins.first {
            builder.set(
                "httpPlugins",
                Entry(
                    key: "httpPlugins",
                    keyPosition: first.position,
                    node: ConfigurationNode(.array(plugins), at: first.position)
                )
            )
        }
        return builder.table
    }

    /// The tree of a frpc.ini, or of a file that it includes.
    func client(_ root: ConfigurationNode, isInclude: Bool) -> ConfigurationTable {
        var builder = TreeBuilder()
        var proxies: [ConfigurationNode] = []
        var visitors: [ConfigurationNode] = []
        if !isInclude { requireCommon(root) }
        for section in sections(root) {
            if section.key == "common" {
                if !isInclude {
                    common(section, FRPLegacyNames.client, FRPLegacyNames.clientPrefixes, &builder)
                }
            } else if section.key.hasPrefix("range:") {
                proxies.append(contentsOf: range(section))
                if proxies.count > Self.maximumProxies { break }
            } else if role(of: section) == "visitor" {
                visitors.append(service(section, name: section.key, FRPLegacyNames.visitor, []))
            } else {
                proxies.append(
                    service(section, name: section.key, FRPLegacyNames.proxy, FRPLegacyNames.proxyPrefixes)
                )
            }
        }
        for (key, list) in [("proxies", proxies), ("visitors", visitors)] {
            guard let first = list.first else { continue }
            builder.set(
                key,
                Entry(
                    key: key,
                    keyPosition: first.position,
                    node: ConfigurationNode(.array(list), at: first.position)
                )
            )
        }
        return builder.table
    }

    /// frp refuses a file without it.
    private func requireCommon(_ root: ConfigurationNode) {
        guard !sections(root).contains(where: { $0.key == "common" }) else { return }
        context.add(
            Text("the section [common] is missing", zh: "缺少小节 [common]"),
            at: root.position,
            key: "common"
        )
    }

    private func sections(_ root: ConfigurationNode) -> [Entry] {
        guard case .table(let table) = root.value else { return [] }
        return table.entries
    }

    private func pairs(_ section: Entry) -> [Entry] {
        guard case .table(let table) = section.node.value else { return [] }
        return table.entries
    }

    private func last(_ key: String, in section: Entry) -> (text: String, entry: Entry)? {
        for entry in pairs(section).reversed() where entry.key == key {
            if case .untyped(let text) = entry.node.value { return (text, entry) }
        }
        return nil
    }

    private func role(of section: Entry) -> String {
        guard let (role, entry) = last("role", in: section), !role.isEmpty else { return "server" }
        if role != "server", role != "visitor" {
            context.add(
                Text(
                    "\"\(SourceText.printable(role))\" is none of server, visitor",
                    zh: "\"\(SourceText.printable(role))\" 不是 server 或 visitor"
                ),
                at: entry.node.position,
                key: "\(SourceText.printable(section.key)).role"
            )
        }
        return role
    }

    private func value(_ text: String, of section: Entry) -> Entry {
        Entry(
            key: "",
            keyPosition: section.keyPosition,
            node: ConfigurationNode(.untyped(text), at: section.keyPosition),
            label: "[\(SourceText.printable(section.key))]"
        )
    }

    private func common(
        _ section: Entry,
        _ names: [String: FRPLegacyNames.Target],
        _ prefixes: [(String, String)],
        _ builder: inout TreeBuilder
    ) {
        translate(section, names, prefixes, &builder)
    }

    private func service(
        _ section: Entry,
        name: String,
        _ names: [String: FRPLegacyNames.Target],
        _ prefixes: [(String, String)],
        replacing: [String: String] = [:]
    ) -> ConfigurationNode {
        var builder = TreeBuilder()
        builder.set("name", value(name, of: section))
        if last("type", in: section) == nil, role(of: section) == "server" {
            builder.set("type", value("tcp", of: section))
        }
        translate(section, names, prefixes, &builder, replacing: replacing)
        return ConfigurationNode(.table(builder.table), at: section.keyPosition)
    }

    /// `[range:NAME]` stands for the proxies NAME_0, NAME_1 and so on, one for each pair of ports.
    private func range(_ section: Entry) -> [ConfigurationNode] {
        var ports: [[Int64]] = []
        for key in ["local_port", "remote_port"] {
            guard let (text, entry) = last(key, in: section) else {
                context.add(
                    Text("the key \"\(key)\" is missing", zh: "缺少键 \"\(key)\""),
                    at: section.keyPosition,
                    key: "\(SourceText.printable(section.key)).\(key)"
                )
                return []
            }
            do {
                ports.append(try NumberRange.parse(text))
            } catch {
                context.add(
                    error.what,
                    at: entry.node.position,
                    key: "\(SourceText.printable(section.key)).\(key)"
                )
                return []
            }
        }
        guard ports[0].count == ports[1].count else {
            context.add(
                Text(
                    "local_port has \(ports[0].count) ports, remote_port has \(ports[1].count)",
                    zh: "local_port 有 \(ports[0].count) 个端口,remote_port 有 \(ports[1].count) 个"
                ),
                at: section.keyPosition,
                key: SourceText.printable(section.key)
            )
            return []
        }
        var prefix = section.key.dropFirst(6)
        while prefix.first == " " { prefix.removeFirst() }
        return zip(ports[0], ports[1]).enumerated().map { index, pair in
            service(
                section,
                name: "\(prefix)_\(index)",
                FRPLegacyNames.proxy,
                FRPLegacyNames.proxyPrefixes,
                replacing: ["local_port": String(pair.0), "remote_port": String(pair.1)]
            )
        }
    }

    private func translate(
        _ section: Entry,
        _ names: [String: FRPLegacyNames.Target],
        _ prefixes: [(String, String)],
        _ builder: inout TreeBuilder,
        replacing: [String: String] = [:]
    ) {
        var scopes: [ConfigurationNode] = []
        for var entry in pairs(section) {
            let label = "\(SourceText.printable(section.key)).\(SourceText.printable(entry.key))"
            entry.label = label
            if let text = replacing[entry.key] { entry.node.value = .untyped(text) }
            guard case .untyped(let text) = entry.node.value else { continue }
            if let target = names[entry.key] ?? names[entry.key.lowercased()] {
                switch target {
                case .path(let path):
                    // An empty value means "not given" everywhere in frp's INI.
                    if !text.isEmpty { builder.set(path, entry) }
                case .flag(_, let word):
                    switch text.lowercased() {
                    case "true", "1", "t", "yes", "y", "on":
                        scopes.append(ConfigurationNode(.string(word), at: entry.node.position))
                    case "false", "0", "f", "no", "n", "off", "": break
                    default:
                        context.add(
                            Text(
                                "\"\(SourceText.printable(text))\" is neither true nor false",
                                zh: "\"\(SourceText.printable(text))\" 不是 true 或 false"
                            ),
                            at: entry.node.position,
                            key: label
                        )
                    }
                case .dropped: break
                }
            } else if let (prefix, table) = prefixes.first(where: { entry.key.hasPrefix($0.0) }),
                entry.key.count > prefix.count
            {
                builder.set(table, name: String(entry.key.dropFirst(prefix.count)), entry)
            } else {
                unknown(entry, label, names)
            }
        }
        if let first = scopes.first {
            builder.set(
                "auth.additionalScopes",
                Entry(
                    key: "",
                    keyPosition: first.position,
                    node: ConfigurationNode(.array(scopes), at: first.position)
                )
            )
        }
    }

    /// frp ignores what it does not know in INI, so this is a warning.
    private func unknown(_ entry: Entry, _ label: String, _ names: [String: FRPLegacyNames.Target]) {
        guard !context.isFull else { return }
        let nearest = KeySuggestion.nearest(to: entry.key, among: names.keys.sorted())
        let key = SourceText.printable(entry.key)
        context.add(
            Text(
                "frp's INI has no key \"\(key)\" here; it is ignored",
                zh: "frp 的 INI 在此处没有键 \"\(key)\",已忽略"
            ),
            at: entry.keyPosition,
            key: label,
            hint: nearest.map { Text("did you mean \"\($0)\"?", zh: "是否想写 \"\($0)\"?") },
            suggestion: nearest,
            severity: .warning
        )
    }
}

/// Puts values at dotted paths into nested tables.
private struct TreeBuilder {
    private(set) var table = ConfigurationTable()

    mutating func set(_ path: String, _ entry: ConfigurationTable.Entry) {
        let parts = path.split(separator: ".").map(String.init)
        Self.set(parts[...], entry, in: &table)
    }

    mutating func set(_ path: String, name: String, _ entry: ConfigurationTable.Entry) {
        let parts = path.split(separator: ".").map(String.init) + [name]
        Self.set(parts[...], entry, in: &table)
    }

    private static func set(
        _ path: ArraySlice<String>,
        _ entry: ConfigurationTable.Entry,
        in table: inout ConfigurationTable
    ) {
        guard let key = path.first else { return }
        if path.count == 1 {
            var entry = entry
            entry.key = key
            // The reader of the tree says that a key which is there twice counts the second time.
            table.entries.append(entry)
            return
        }
        let index: Int
        if let existing = table.entries.firstIndex(where: { $0.key == key }) {
            index = existing
        } else {
            index = table.entries.count
            let node = ConfigurationNode(.table(ConfigurationTable()), at: entry.keyPosition)
            table.entries.append(.init(key: key, keyPosition: entry.keyPosition, node: node))
        }
        var inner = takeTable(of: &table.entries[index])
        set(path.dropFirst(), entry, in: &inner)
        table.entries[index].node.value = .table(inner)
    }

    /// Takes the inner table out, so that adding to it does not copy it.
    private static func takeTable(of entry: inout ConfigurationTable.Entry) -> ConfigurationTable {
        guard case .table(let table) = entry.node.value else { return ConfigurationTable() }
        entry.node.value = .null
        return table
    }
}
