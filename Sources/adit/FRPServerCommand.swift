// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditServer
import ArgumentParser
import Logging

/// `adit frps`, and the program itself when it is called through a link named `frps`.
struct FRPServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "frps",
        abstract: "The server with frp's own files, flags and log.",
        subcommands: [FRPServerRunCommand.self, FRPServerVerifyCommand.self],
        defaultSubcommand: FRPServerRunCommand.self
    )
}

/// `adit frps verify -c FILE`
struct FRPServerVerifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "verify", abstract: "Check a configuration file.")

    @OptionGroup var source: FRPServerSource

    func run() async throws {
        guard let path = source.config else {
            StandardStream.line("no config file is specified")
            return
        }
        _ = try source.load(path)
        StandardStream.line("frps: the configuration file \(path) syntax is ok")
    }
}

/// `adit frps [-c FILE | flags]`
struct FRPServerRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "run", abstract: "Run it.")

    @OptionGroup var source: FRPServerSource
    @OptionGroup var flags: FRPServerFlags

    @Flag(name: [.customShort("v"), .long], help: "Print frp's version.")
    var version = false

    func run() async throws {
        if version { return StandardStream.line(VersionCommand.frpVersion) }
        let loaded: FRPServerSource.Loaded =
            try source.config.map { try source.load($0) } ?? (try flags.configuration(), flags.warnings)
        let outward = await MachineAddress.outward()
        let setup = try source.setup(loaded.configuration, outward)
        let file = loaded.configuration.log
        guard
            let output = file.to == "console" || file.to.isEmpty
                ? .standardOutput() : LogOutput.file(file.to, maxDays: file.maxDays)
        else { throw FRPServerSource.failure("the log file \(file.to) cannot be opened") }
        defer { output.flush() }
        output.level = Logger.Level(setup.logLevel)
        let log = Logger(label: "frps") { LineLogHandler(label: $0, style: .frp, output: output) }
        if let path = source.config {
            log.info("frps uses config file: \(path)")
        } else {
            log.info("frps uses command line arguments for config")
        }
        for warning in loaded.warnings { log.warning("\(warning)") }
        if setup.allowsEmptyToken {
            log.warning("no token is set: whoever reaches port \(setup.sessionPort) may open tunnels")
        }
        let process = ServerProcess(
            setup: setup,
            state: nil,
            log: log,
            output: output,
            version: VersionCommand.frpVersion
        ) {
            guard let path = source.config else { return setup }
            return try source.setup(source.load(path).configuration, outward)
        }
        do {
            try await process.run(signals: ProcessSignal.watch()) { server in
                log.info(
                    "frps tcp listen on \(PublicAddress.endpoint(host: setup.listen.description, port: server.sessionPort))"
                )
                if server.httpPort != 0 {
                    log.info(
                        "http service listen on \(PublicAddress.endpoint(host: setup.tunnelListen.description, port: server.httpPort))"
                    )
                }
                if server.httpsPort != 0 {
                    log.info(
                        "https service listen on \(PublicAddress.endpoint(host: setup.tunnelListen.description, port: server.httpsPort))"
                    )
                }
                log.info("frps started successfully")
            }
        } catch let error as AditError {
            log.error("\(error)")
            throw ExitCode(1)
        }
    }
}

/// Where the configuration of frps comes from, and how strictly it is read.
struct FRPServerSource: ParsableArguments {
    @Option(name: [.customShort("c"), .long], help: "The configuration file: TOML, YAML, JSON or INI.")
    var config: String?

    @Option(name: .customLong("strict-config"), help: "Whether an unknown key is an error (true).")
    var isStrict = true

    @Option(name: .customLong("allow-unsafe"), help: "Unsafe features to allow, with commas: TokenSourceExec.")
    var allowUnsafe = ""

    typealias Loaded = (configuration: FRPServerConfiguration, warnings: [String])

    /// Reads and checks a file; what is wrong goes to standard error, and the exit status is 1.
    func load(_ path: String) throws -> Loaded {
        do {
            guard let bytes = try PrivateFile.read(path) else {
                throw Self.failure("open \(path): no such file or directory")
            }
            let loaded = try ConfigurationFile.loadFRPServer(
                bytes: bytes,
                fileName: path,
                environment: ProcessFacts.environment(),
                isStrict: isStrict
            )
            let missing = loaded.configuration.unsupportedFeatures
            let essential = missing.filter(\.isEssential)
            guard essential.isEmpty else {
                throw Self.failure(essential.map { Self.words($0, path) }.joined(separator: "\n"))
            }
            let warnings = loaded.warnings.map(\.description) + missing.map { Self.words($0, path) }
            if case .exec = loaded.configuration.auth.tokenSource, !allows("TokenSourceExec") {
                throw Self.failure("unsafe feature \"TokenSourceExec\" is not enabled")
            }
            return (loaded.configuration, warnings)
        } catch let faults as ConfigurationFaults {
            throw Self.failure(faults.listing)
        } catch let error as AditError {
            throw Self.failure(error.description)
        }
    }

    /// The setup for a configuration, with the token from where it is kept and the page for unknown names.
    func setup(_ file: FRPServerConfiguration, _ outward: IPAddress?) throws -> ServerSetup {
        var token = file.auth.token
        switch file.auth.tokenSource {
        case .file(let path)?:
            guard let bytes = try? PrivateFile.read(path) else {
                throw Self.failure("the token cannot be read from \(path)")
            }
            token = Self.trimmed(String(decoding: bytes, as: UTF8.self))
        case .exec(let command, let arguments, let environment)?:
            do {
                token = Self.trimmed(try TokenProgram.output(of: command, arguments, environment: environment))
            } catch {
                throw Self.failure("the token program \(command) failed: \(error)")
            }
        case nil: break
        }
        for (key, text) in [("bindAddr", file.bindAddr), ("proxyBindAddr", file.proxyBindAddr)] {
            guard ServerSetup.address(text) != nil else {
                throw Self.failure("\(key) = \"\(text)\" is not an IP address")
            }
        }
        var setup = ServerSetup(file, token: token)
        if setup.publicHost.isEmpty { setup.publicHost = outward?.description ?? "localhost" }
        if !file.custom404Page.isEmpty {
            do {
                setup.notFoundPage = try ServerFlags.page(file.custom404Page)
            } catch let error as AditError {
                throw Self.failure(error.description)
            }
        }
        return setup
    }

    private func allows(_ feature: String) -> Bool {
        allowUnsafe.split(separator: ",").contains { $0 == feature }
    }

    /// Says what is wrong on standard error; frp's exit status for everything is 1.
    static func failure(_ text: String) -> ExitCode {
        for line in text.split(separator: "\n") { StandardStream.aside(LineLogHandler.printable(String(line))) }
        return ExitCode(1)
    }

    private static func words(_ feature: UnsupportedFeature, _ path: String) -> String {
        let value = feature.value.isEmpty ? "" : " = \(feature.value)"
        return "\(path):\(feature.position): \(feature.keyPath)\(value) is not offered by this version"
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.last?.isWhitespace == true { text.removeLast() }
        while text.first?.isWhitespace == true { text.removeFirst() }
        return String(text)
    }
}

/// The flags of frps without a file.
struct FRPServerFlags: ParsableArguments {
    @Option var bindAddr = "0.0.0.0"
    @Option(name: [.customShort("p"), .long]) var bindPort: UInt16 = 7000
    @Option var proxyBindAddr: String?
    @Option var vhostHttpPort: UInt16 = 0
    @Option var vhostHttpsPort: UInt16 = 0
    @Option var vhostHttpTimeout = 60
    @Option(name: [.customShort("t"), .long]) var token = ""
    @Option var subdomainHost = ""
    @Option var allowPorts = ""
    @Option var maxPortsPerClient = 0
    @Option var tlsOnly = false
    @Option var logFile = "console"
    @Option var logLevel = LogLevel.info
    @Option var logMaxDays = 3
    @Option var disableLogColor = false
    @Option(help: .hidden) var kcpBindPort: UInt16 = 0
    @Option(help: .hidden) var quicBindPort: UInt16 = 0
    @Option(help: .hidden) var dashboardAddr: String?
    @Option(help: .hidden) var dashboardPort: UInt16 = 0
    @Option(help: .hidden) var dashboardUser: String?
    @Option(help: .hidden) var dashboardPwd: String?
    @Option(help: .hidden) var dashboardTlsMode = false
    @Option(help: .hidden) var dashboardTlsCertFile: String?
    @Option(help: .hidden) var dashboardTlsKeyFile: String?
    @Option(help: .hidden) var enablePrometheus = false

    /// A word for each flag that is known from frps and does nothing here.
    var warnings: [String] {
        let given = [
            ("dashboard_addr", dashboardAddr != nil), ("dashboard_user", dashboardUser != nil),
            ("dashboard_pwd", dashboardPwd != nil), ("dashboard_tls_mode", dashboardTlsMode),
            ("dashboard_tls_cert_file", dashboardTlsCertFile != nil),
            ("dashboard_tls_key_file", dashboardTlsKeyFile != nil), ("enable_prometheus", enablePrometheus),
        ]
        return given.filter(\.1).map { "--\($0.0) is not offered by this version and does nothing" }
    }

    /// The configuration that the flags make.
    func configuration() throws -> FRPServerConfiguration {
        let listeners = [
            ("kcp_bind_port", kcpBindPort), ("quic_bind_port", quicBindPort),
            ("dashboard_port", dashboardPort),
        ]
        if let missing = listeners.first(where: { $0.1 != 0 }) {
            throw FRPServerSource.failure("--\(missing.0) \(missing.1) is not offered by this version")
        }
        var file = FRPServerConfiguration()
        file.bindAddr = bindAddr
        file.bindPort = bindPort
        file.proxyBindAddr = proxyBindAddr ?? bindAddr
        file.vhostHTTPPort = vhostHttpPort
        file.vhostHTTPSPort = vhostHttpsPort
        file.vhostHTTPTimeout = vhostHttpTimeout
        file.auth.token = token
        file.subDomainHost = subdomainHost
        file.maxPortsPerClient = maxPortsPerClient
        file.transport.tlsForce = tlsOnly
        file.log.to = logFile
        file.log.level = logLevel
        file.log.maxDays = logMaxDays
        if !allowPorts.isEmpty {
            do {
                file.allowPorts = try PortRangeList(parsing: allowPorts)
            } catch {
                throw FRPServerSource.failure("--allow_ports: \(error.what.english)")
            }
        }
        return file
    }
}
