// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import AditServer
import ArgumentParser

/// `adit frpc`, and the program itself when it is called through a link named `frpc`.
struct FRPClientCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frpc",
        abstract: "The client with frp's own files, flags and log: proxies and visitors.",
        subcommands: [
            FRPClientRunCommand.self, FRPClientVerifyCommand.self, FRPClientTCPCommand.self,
            FRPClientUDPCommand.self, FRPClientHTTPCommand.self, FRPClientHTTPSCommand.self,
        ],
        defaultSubcommand: FRPClientRunCommand.self
    )
}

/// `adit frpc -c FILE`
struct FRPClientRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Run it.")

    @OptionGroup var source: FRPClientSource

    @Flag(name: [.customShort("v"), .long], help: "Print frp's version.")
    var version = false

    func run() async throws {
        if version { return StandardStream.line(VersionCommand.frpVersion) }
        let loaded = try source.load()
        try await FRPClientRun(configuration: loaded.configuration, warnings: loaded.warnings, source: source).run(
            beginning: "start frpc service for config file [\(source.config)]"
        )
    }
}

/// `adit frpc verify -c FILE`
struct FRPClientVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "verify", abstract: "Check a configuration file.")

    @OptionGroup var source: FRPClientSource

    func run() throws {
        _ = try source.load()
        StandardStream.line("frpc: the configuration file \(source.config) syntax is ok")
    }
}

/// Where the configuration of frpc comes from, and how strictly it is read.
struct FRPClientSource: ParsableArguments {
    @Option(name: [.customShort("c"), .long], help: "The configuration file: TOML, YAML, JSON or INI.")
    var config = "./frpc.ini"

    @Option(name: .customLong("strict-config"), help: "Whether an unknown key is an error (true).")
    var isStrict = true

    @Option(name: .customLong("allow-unsafe"), help: "Unsafe features to allow, with commas: TokenSourceExec.")
    var allowUnsafe = ""

    /// Reads and checks the file and those that it includes; what is wrong goes to standard error, and the exit
    /// status is 1.
    func load() throws -> (configuration: FRPClientConfiguration, warnings: [String]) {
        let environment = ProcessFacts.environment()
        do {
            let loaded = try ConfigurationFile.loadFRPClient(
                bytes: Self.bytes(config),
                fileName: config,
                environment: environment,
                isStrict: isStrict
            )
            var file = loaded.configuration
            var warnings = loaded.warnings
            for path in try FRPIncludes.paths(file.includes, of: config) {
                let part = try ConfigurationFile.loadFRPInclude(
                    bytes: Self.bytes(path),
                    fileName: path,
                    environment: environment,
                    isStrict: isStrict
                )
                file.proxies += part.configuration.proxies
                file.visitors += part.configuration.visitors
                file.unsupportedFeatures += part.configuration.unsupportedFeatures
                warnings += part.warnings
            }
            try check(file)
            let notes = FRPClientSetup.warnings(file).map { "\(config): \($0)" }
            return (file, warnings.map(\.description) + notes)
        } catch let faults as ConfigurationFaults {
            throw Self.failure(faults.listing)
        }
    }

    /// The token, wherever the configuration has it.
    func token(_ auth: FRPAuthConfiguration) throws -> String {
        switch auth.tokenSource {
        case .file(let path)?:
            guard let text = SmallFile.text(at: path, limit: 1 << 20) else {
                throw Self.failure("the token cannot be read from \(path)")
            }
            return Self.trimmed(text)
        case .exec(let command, let arguments, let environment)?:
            do {
                return Self.trimmed(try TokenProgram.output(of: command, arguments, environment: environment))
            } catch {
                throw Self.failure("the token program \(command) failed: \(error)")
            }
        case nil: return auth.token
        }
    }

    private func check(_ file: FRPClientConfiguration) throws {
        let refusals = FRPClientSetup.refusals(file)
        guard refusals.isEmpty else {
            throw Self.failure(refusals.map { "\(config): \($0)" }.joined(separator: "\n"))
        }
        let isAllowed = allowUnsafe.split(separator: ",").contains("TokenSourceExec")
        if case .exec = file.auth.tokenSource, !isAllowed {
            throw Self.failure("unsafe feature \"TokenSourceExec\" is not enabled")
        }
        var names: Set<String> = []
        for name in file.proxies.map(\.name) where !names.insert(name).inserted {
            throw Self.failure("proxy name [\(name)] is duplicated")
        }
        names = []
        for name in file.visitors.map(\.name) where !names.insert(name).inserted {
            throw Self.failure("visitor name [\(name)] is duplicated")
        }
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        do {
            return try SmallFile.bytes(at: path, limit: 4 << 20)
        } catch {
            throw failure("open \(path): \(error.reason.lowercased())")
        }
    }

    /// Says what is wrong on standard error; frp's exit status for everything is 1.
    static func failure(_ text: String) -> ExitCode {
        for line in text.split(separator: "\n") { StandardStream.aside(LineLogHandler.printable(String(line))) }
        return ExitCode(1)
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        while text.first?.isWhitespace == true { text.removeFirst() }
        return String(text)
    }
}
