// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Reads configuration files of every kind and format; the caller has read the bytes.
package enum ConfigurationFile {
    /// Reads an Adit server's own file, TOML, YAML or JSON.
    package static func loadServer(
        bytes: [UInt8],
        fileName: String
    ) throws(ConfigurationFaults) -> LoadedConfiguration<ServerConfiguration> {
        try load(bytes, fileName, atlas: ServerReader.atlas, options: .own) { top, _ in
            ServerReader.read(top)
        }
    }

    /// Reads a device's own file, TOML, YAML or JSON.
    package static func loadClient(
        bytes: [UInt8],
        fileName: String
    ) throws(ConfigurationFaults) -> LoadedConfiguration<ClientConfiguration> {
        try load(bytes, fileName, atlas: ClientReader.atlas, options: .own) { top, _ in
            ClientReader.read(top)
        }
    }

    /// Reads a file of frps: TOML, YAML, JSON or INI with templates.
    ///
    /// `isStrict` is frp's `--strict_config`; without it a key that the schema does not have is a warning.
    package static func loadFRPServer(
        bytes: [UInt8],
        fileName: String,
        environment: [String: String] = [:],
        isStrict: Bool = true
    ) throws(ConfigurationFaults) -> LoadedConfiguration<FRPServerConfiguration> {
        let options = Options(environment: environment, isStrict: isStrict, legacy: .server)
        return try load(bytes, fileName, atlas: FRPServerReader.atlas, options: options) {
            top,
            context in
            var server = FRPServerReader.read(top)
            server.unsupportedFeatures = context.unsupported.sorted { $0.position < $1.position }
            return server
        }
    }

    /// Reads a file of frpc: TOML, YAML, JSON or INI with templates. Its `includes` are the caller's to read.
    ///
    /// `isStrict` is frp's `--strict_config`; without it a key that the schema does not have is a warning.
    package static func loadFRPClient(
        bytes: [UInt8],
        fileName: String,
        environment: [String: String] = [:],
        isStrict: Bool = true
    ) throws(ConfigurationFaults) -> LoadedConfiguration<FRPClientConfiguration> {
        let options = Options(environment: environment, isStrict: isStrict, legacy: .client)
        return try load(bytes, fileName, atlas: FRPClientReader.atlas, options: options) {
            top,
            context in
            var client = FRPClientReader.read(top)
            client.unsupportedFeatures = context.unsupported.sorted { $0.position < $1.position }
            return client
        }
    }

    /// Reads a file that a file of frpc includes; only its proxies and visitors count.
    package static func loadFRPInclude(
        bytes: [UInt8],
        fileName: String,
        environment: [String: String] = [:],
        isStrict: Bool = true
    ) throws(ConfigurationFaults) -> LoadedConfiguration<FRPClientConfiguration> {
        let options = Options(environment: environment, isStrict: isStrict, legacy: .include)
        return try load(bytes, fileName, atlas: FRPClientReader.atlas, options: options) {
            top,
            context in
            let whole = FRPClientReader.read(top)
            var client = FRPClientConfiguration()
            client.proxies = whole.proxies
            client.visitors = whole.visitors
            client.unsupportedFeatures = context.unsupported
                .filter { feature in
                    let places = whole.proxies.map(\.position) + whole.visitors.map(\.position)
                    return feature.position >= places.min() ?? .start && !places.isEmpty
                }
                .sorted { $0.position < $1.position }
            return client
        }
    }

    /// Reads any file as a tree, by its name's format or by what it looks like.
    package static func loadTree(
        bytes: [UInt8],
        fileName: String
    ) throws(ConfigurationFaults) -> (root: ConfigurationNode, format: ConfigurationFormat) {
        let (text, format, context) = try open(
            bytes,
            fileName,
            atlas: KeyAtlas(),
            options: Options(environment: nil, legacy: .include)
        )
        do {
            return (text.sourceNode(try readTree(text.text, format)), format)
        } catch {
            context.add(error)
            throw ConfigurationFaults(context.faults)
        }
    }

    private enum Legacy {
        case none
        case server
        case client
        case include
    }

    private struct Options {
        var environment: [String: String]?
        var isStrict = true
        var legacy = Legacy.none

        static let own = Options(environment: nil)
    }

    private static func load<Configuration: Sendable & Equatable>(
        _ bytes: [UInt8],
        _ fileName: String,
        atlas: KeyAtlas,
        options: Options,
        _ read: (ScopeReader, ReadingContext) -> Configuration
    ) throws(ConfigurationFaults) -> LoadedConfiguration<Configuration> {
        let (text, format, context) = try open(bytes, fileName, atlas: atlas, options: options)
        let root: ConfigurationNode
        do {
            root = text.sourceNode(try readTree(text.text, format))
        } catch {
            var fault = error
            fault.position = text.sourcePosition(fault.position)
            context.add(fault)
            throw ConfigurationFaults(context.faults)
        }
        guard case .table(var table) = root.value else {
            context.add(
                Text("a configuration is a table of keys and values", zh: "配置应是由键和值组成的表"),
                at: root.position
            )
            throw ConfigurationFaults(context.faults)
        }
        if format == .ini {
            let translation = FRPLegacyTranslation(context)
            table =
                options.legacy == .server
                ? translation.server(root) : translation.client(root, isInclude: options.legacy == .include)
        } else if format == .yaml, options.legacy != .none {
            // frp leaves top-level keys with a dot in front to anchors.
            table.entries.removeAll { $0.key.hasPrefix(".") }
        }
        let top = ScopeReader(table, at: root.position, path: "", scope: "", context)
        let configuration = read(top, context)
        guard !context.hasErrors else { throw ConfigurationFaults(context.faults) }
        return LoadedConfiguration(
            configuration: configuration,
            warnings: context.faults.sorted { $0.position < $1.position },
            format: format
        )
    }

    /// Checks the bytes, finds the format and expands templates.
    private static func open(
        _ bytes: [UInt8],
        _ fileName: String,
        atlas: KeyAtlas,
        options: Options
    ) throws(ConfigurationFaults) -> (
        text: ExpandedText, format: ConfigurationFormat, context: ReadingContext
    ) {
        let shownSource = SourceText(trusted: Array(bytes.prefix(SourceText.maximumSize)))
        let isFRP = options.legacy != .none
        func makeContext(_ source: SourceText, refusesUnknownKeys: Bool) -> ReadingContext {
            ReadingContext(
                fileName: fileName,
                source: source,
                ignoresCase: isFRP,
                refusesUnknownKeys: refusesUnknownKeys,
                atlas: atlas
            )
        }
        do {
            let source = try SourceText(checking: bytes)
            var text = ExpandedText(verbatim: source)
            var missing: [(name: String, position: SourcePosition)] = []
            if let environment = options.environment {
                (text, missing) = try TemplateExpansion.expand(source, environment: environment)
            }
            let format =
                ConfigurationFormat(fileName: fileName) ?? ConfigurationFormat(guessing: text.text)
            // frp ignores what it does not know in INI.
            let context = makeContext(source, refusesUnknownKeys: options.isStrict && format != .ini)
            for (name, position) in missing {
                context.add(
                    Text("the environment has no \(name); it is empty here", zh: "环境变量 \(name) 不存在,此处为空"),
                    at: position,
                    severity: .warning
                )
            }
            if format == .ini, !isFRP {
                context.add(
                    Text("Adit's own files are TOML, YAML or JSON", zh: "Adit 自己的配置文件是 TOML、YAML 或 JSON"),
                    at: .start,
                    hint: Text(
                        "for frp's INI: adit config import \(context.fileName)",
                        zh: "frp 的 INI 请用:adit config import \(context.fileName)"
                    )
                )
                throw ConfigurationFaults(context.faults)
            }
            return (text, format, context)
        } catch let fault as SyntaxFault {
            let context = makeContext(shownSource, refusesUnknownKeys: true)
            context.add(fault)
            throw ConfigurationFaults(context.faults)
        } catch let faults as ConfigurationFaults {
            throw faults
        } catch {
            let context = makeContext(shownSource, refusesUnknownKeys: true)
            context.add(Text("this file cannot be read", zh: "无法读取此文件"), at: .start)
            throw ConfigurationFaults(context.faults)
        }
    }

    private static func readTree(
        _ text: SourceText,
        _ format: ConfigurationFormat
    ) throws(SyntaxFault) -> ConfigurationNode {
        switch format {
        case .toml: try TOMLReader.read(text)
        case .yaml: try YAMLReader.read(text)
        case .json: try JSONReader.read(text)
        case .ini: try INIReader.read(text)
        }
    }
}
