// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import ArgumentParser

/// `adit config`
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Check a configuration file, or make one from frp's.",
        subcommands: [ConfigCheckCommand.self, ConfigImportCommand.self]
    )
}

/// `adit config check FILE`
struct ConfigCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Is this file right? Shows line, column and the nearest key."
    )

    /// What a file is for.
    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case client
        case server
    }

    @Argument(help: "A device's or a server's file: TOML, YAML or JSON.")
    var file: String

    @Option(help: "What the file is for; without it, found from its keys.")
    var kind: Kind?

    func run() throws {
        let style = ProcessFacts.style()
        let bytes = try TextFile.bytes(at: file)
        let kind = self.kind ?? Self.guess(bytes, file)
        let warnings: [ConfigurationFault]
        let what: Text
        switch kind {
        case .client:
            let client = try ClientFile(bytes: bytes, fileName: file)
            warnings = client.warnings
            let count = client.orders.count
            what = Text(
                "\(file) is right: \(count) tunnel\(count == 1 ? "" : "s")",
                zh: "\(file) 正确：\(count) 条隧道"
            )
        case .server:
            warnings = try ConfigurationFile.loadServer(bytes: bytes, fileName: file).warnings
            what = Text("\(file) is right: a server's file", zh: "\(file) 正确：服务器配置")
        }
        for warning in warnings {
            StandardStream.aside(style.spell("! " + Foreign.clean(warning.describe(in: style.language), limit: 1000)))
        }
        StandardStream.line(style.paint(style.spell("✓"), .green) + " " + style.spell(what.in(style.language)))
    }

    /// A file is for whatever finds fewer faults in it, then for whatever knows more of its keys' neighbours.
    static func guess(_ bytes: [UInt8], _ file: String) -> Kind {
        func faults(_ load: () throws(ConfigurationFaults) -> Void) -> (count: Int, strange: Int) {
            do {
                try load()
                return (0, 0)
            } catch {
                return (error.faults.count, error.faults.count { $0.suggestion == nil })
            }
        }
        let asClient = faults { () throws(ConfigurationFaults) in
            _ = try ConfigurationFile.loadClient(bytes: bytes, fileName: file)
        }
        let asServer = faults { () throws(ConfigurationFaults) in
            _ = try ConfigurationFile.loadServer(bytes: bytes, fileName: file)
        }
        return asServer < asClient ? .server : .client
    }
}

/// `adit config import FILE`
struct ConfigImportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Print an Adit file made from a file of frpc or frps."
    )

    @Argument(help: "A file of frpc or frps: TOML, YAML, JSON or INI.")
    var file: String

    func run() throws {
        let imported = try ConfigurationImport.convert(
            bytes: TextFile.bytes(at: file),
            fileName: file,
            environment: ProcessFacts.environment()
        )
        StandardStream.write(imported.text, to: 1)
        let style = ProcessFacts.asideStyle()
        for note in imported.notCarriedOver {
            let words = Text("not carried over: \(note)", zh: "未能转换：\(note)").in(style.language)
            StandardStream.aside(style.spell("! " + Foreign.clean(words, limit: 1000)))
        }
    }
}
