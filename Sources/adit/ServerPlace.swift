// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditServer
import ArgumentParser

/// The flags that say which server is meant: its state folder and its configuration file.
struct ServerPlace: ParsableArguments {
    @Option(name: [.customShort("c"), .long], help: "The configuration file: TOML, YAML or JSON.")
    var config: String?

    @Option(help: "The folder of the server's key and database.")
    var state: String?

    /// The configuration file's content, or the defaults without one.
    func file() throws -> (configuration: ServerConfiguration, warnings: [ConfigurationFault]) {
        guard let config else { return (ServerConfiguration(), []) }
        guard let bytes = try PrivateFile.read(config) else {
            throw AditError(
                .configuration,
                Text("there is no file \(Foreign.clean(config))", zh: "没有文件 \(Foreign.clean(config))"),
                fix: Text("leave out  -c  to run on defaults", zh: "去掉 -c 即使用默认配置")
            )
        }
        do {
            let loaded = try ConfigurationFile.loadServer(bytes: bytes, fileName: config)
            return (loaded.configuration, loaded.warnings)
        } catch {
            throw error.error
        }
    }

    /// The folder: by flag, by file, or the standard one.
    func folder(_ configuration: ServerConfiguration) -> ServerState {
        if let path = state ?? configuration.state { return ServerState(path: path) }
        return ServerState.standard()
    }

    /// The folder, reading the configuration file for it.
    func folder() throws -> ServerState { folder(try file().configuration) }
}

/// The server's side of the screen.
enum ServerScreen {
    /// `  ✓ label        text`, in the style of this person.
    static func row(_ sign: String, _ label: Text, _ text: Text, _ style: ScreenStyle) -> String {
        let color: ScreenStyle.Color = sign == "✓" ? .green : sign == "✗" ? .red : .yellow
        let word = Figures.padded(label.in(style.language), 12)
        return "  " + style.paint(style.spell(sign), color) + " " + style.spell(word + " " + text.in(style.language))
    }

    /// `  label        text`.
    static func fact(_ label: Text, _ text: Text, _ style: ScreenStyle) -> String {
        "  " + style.spell(Figures.padded(label.in(style.language), 12) + " " + text.in(style.language))
    }
}
