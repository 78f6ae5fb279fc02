// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditServer
import ArgumentParser
import Logging
import NIOCore

/// `adit server [run]`
struct ServerRunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the server until it is stopped.",
        discussion: "Runs on defaults. Flags go before the file, the file before what  adit server init  settled."
    )

    @OptionGroup var place: ServerPlace
    @OptionGroup var flags: ServerFlags
    @OptionGroup(title: "STUN") var stun: STUNFlags
    @OptionGroup(title: "TURN") var turn: TURNFlags

    func run() async throws {
        let style = ProcessFacts.style()
        let (file, warnings) = try place.file()
        let state = place.folder(file)
        try state.prepare()
        let outward = await MachineAddress.outward()
        let setup = try flags.setup(turn.apply(to: stun.apply(to: file)), state, outward)
        let output = LogOutput.standardOutput()
        output.level = Logger.Level(setup.logLevel)
        let log = Logger(label: "server") { LineLogHandler(label: $0, style: .adit, output: output) }
        for warning in warnings { log.warning("\(warning)") }
        let place = self.place
        let flags = self.flags
        let stun = self.stun
        let turn = self.turn
        let process = ServerProcess(
            setup: setup,
            state: state,
            log: log,
            output: output,
            version: VersionCommand.version
        ) {
            try flags.setup(turn.apply(to: stun.apply(to: place.file().configuration)), state, outward)
        }
        defer { output.flush() }
        try await process.run(signals: ProcessSignal.watch()) { server in
            guard style.isTerminal else {
                log.notice("the server runs", metadata: Self.facts(server, setup))
                return
            }
            for line in Self.screen(server, setup, state, style) { output.write(line) }
        }
    }

    private static func facts(_ server: AditServer, _ setup: ServerSetup) -> Logger.Metadata {
        [
            "sessions": "\(server.sessionPort)", "names": "\(server.httpPort)", "tls": "\(server.httpsPort)",
            "ports": "\(setup.publicPorts)", "stun": "\(server.stunStatus?.port ?? 0)",
            "turn": "\(server.turnStatus?.port ?? 0)",
            "domain": "\(setup.domain ?? "-")", "host": "\(setup.publicHost)", "key": "\(server.fingerprint)",
        ]
    }

    private static func screen(
        _ server: AditServer,
        _ setup: ServerSetup,
        _ state: ServerState,
        _ style: ScreenStyle
    ) -> [String] {
        let fact = { (label: Text, text: Text) in ServerScreen.fact(label, text, style) }
        let address = PublicAddress.endpoint(host: setup.publicHost, port: server.sessionPort)
        var lines = [
            "", "  " + style.paint(style.spell("Adit server · \(address)"), .bold), "",
            fact(
                Text("devices", zh: "设备"),
                Text("join on \(server.sessionPort)/tcp", zh: "在 \(server.sessionPort)/tcp 加入")
            ),
        ]
        if let domain = setup.domain, server.httpPort != 0 {
            let example = PublicAddress.web(host: "NAME." + domain, port: server.httpPort)
            lines.append(fact(Text("web names", zh: "网站名字"), Text(verbatim: example)))
        }
        if server.httpsPort != 0 {
            let port = server.httpsPort
            let words =
                setup.certificates.isEmpty
                ? Text("\(port)/tcp, for tls tunnels; no certificate", zh: "\(port)/tcp，供 tls 隧道使用；没有证书")
                : Text(
                    "\(port)/tcp, with \(setup.certificates.count) certificate(s)",
                    zh: "\(port)/tcp，\(setup.certificates.count) 个证书"
                )
            lines.append(fact("https", words))
        }
        lines.append(
            fact(
                Text("ports", zh: "端口"),
                Text("\(setup.publicPorts)/tcp, for tunnels", zh: "\(setup.publicPorts)/tcp，供隧道使用")
            )
        )
        if let stun = server.stunStatus { lines.append(fact("STUN", STUNWords.place(stun))) }
        if let turn = server.turnStatus { lines.append(fact("TURN", TURNWords.place(turn))) }
        lines.append(fact(Text("key", zh: "密钥"), Text(verbatim: "\(server.fingerprint) → \(state.path)")))
        let frp =
            setup.allowsFRP && setup.token != nil
            ? Text("clients of frp may log in with the token", zh: "frp 客户端可凭令牌登录")
            : Text("off", zh: "未开放")
        lines.append(fact("frp", frp))
        lines += [
            "",
            "  "
                + style.spell(
                    Text(
                        "To share from a computer, make an invite here:   adit server invite",
                        zh: "要从某台电脑分享，请先在这里生成邀请：   adit server invite"
                    ).in(style.language)
                ),
        ]
        if setup.domain == "localhost" {
            let hint = Text(
                "Names under localhost open on this machine only; for a domain:   adit server init DOMAIN",
                zh: "localhost 下的名字只能在本机打开；要使用域名：   adit server init 域名"
            )
            lines.append("  " + style.spell(hint.in(style.language)))
        }
        return lines + [""]
    }
}

/// The flags of a server that runs.
struct ServerFlags: ParsableArguments {
    @Option(help: "The address to listen on; without it, every address of this machine.")
    var listen: String?

    @Option(help: "The port of devices (7000).")
    var port: UInt16?

    @Option(help: "The port of web names (8080).")
    var httpPort: UInt16?

    @Option(help: "The port of web names with TLS, and of tls tunnels (8443).")
    var httpsPort: UInt16?

    @Option(
        help: ArgumentHelp(
            "A certificate chain in PEM for https; may be repeated, each with its --key.",
            valueName: "file"
        )
    )
    var certificate: [String] = []

    @Option(help: ArgumentHelp("The private key of the certificate, in PEM.", valueName: "file"))
    var key: [String] = []

    @Flag(
        name: .customLong("redirect-to-https"),
        inversion: .prefixedNo,
        help: "Send visitors of http to https, for names with a certificate (on)."
    )
    var redirectToHTTPS: Bool?

    @Option(help: "The ports for tunnels (20000-20999).")
    var publicPorts: String?

    @Option(help: "The domain of web names.")
    var domain: String?

    @Option(help: "The name or address by which devices and visitors reach this machine.")
    var host: String?

    @Option(
        help: "A shared secret for devices without an invite and for frp clients. ADIT_TOKEN does the same, unseen."
    )
    var token: String?

    @Flag(help: "Let no frp client in.")
    var noFrp = false

    @Flag(help: "Relay nothing between devices, neither by TURN nor through their sessions.")
    var noRelay = false

    @Option(help: "error, warn, info, debug or trace.")
    var logLevel: LogLevel?

    /// The whole setup: flags before file before what init settled.
    func setup(_ file: ServerConfiguration, _ state: ServerState, _ outward: IPAddress?) throws -> ServerSetup {
        let settings = try Self.settings(of: state)
        var file = file
        if let listen {
            guard let address = IPAddress(listen) else {
                throw Self.misuse("--listen", listen, "an IP address", zh: "IP 地址")
            }
            file.listen = address
        }
        if let port { file.sessionPort = port }
        if let httpPort { file.httpPort = httpPort }
        if let httpsPort { file.httpsPort = httpsPort }
        guard certificate.count == key.count else {
            throw AditError(
                .usage,
                Text("each --certificate needs its --key", zh: "每个 --certificate 都需要对应的 --key"),
                fix: Text(verbatim: "adit server --certificate fullchain.pem --key key.pem")
            )
        }
        if !certificate.isEmpty {
            file.certificates = zip(certificate, key).map { .init(certificate: $0, key: $1) }
        }
        if let redirectToHTTPS { file.redirectToHTTPS = redirectToHTTPS }
        if let publicPorts {
            do {
                file.publicPorts = try PortRangeList(parsing: publicPorts)
            } catch {
                throw AditError(.usage, error.what)
            }
        }
        if let domain { file.domain = domain.lowercased() }
        if let token = token ?? ServerState.variable("ADIT_TOKEN") {
            guard !token.isEmpty else {
                throw AditError(
                    .tokenRefused,
                    Text("an empty token lets everybody in", zh: "空令牌等于对所有人开放"),
                    fix: Text("give a secret, or leave out  --token", zh: "请给出密钥，或去掉 --token")
                )
            }
            file.token = token
        }
        if noFrp { file.allowFRP = false }
        if noRelay { file.relay = false }
        if let logLevel { file.logLevel = logLevel }
        var setup = ServerSetup(file, settings: settings)
        if let path = file.custom404Page { setup.notFoundPage = try Self.page(path) }
        let isKnown = file.domain != nil || settings.domain != nil || settings.publicHost != nil
        if let host {
            setup.publicHost = host.lowercased()
        } else if !isKnown {
            setup.publicHost = Self.host(listen: file.listen, outward: outward)
        }
        return setup
    }

    /// The name by which a server that nobody set up is reached: nothing better is known than its own address.
    private static func host(listen: IPAddress, outward: IPAddress?) -> String {
        if listen.isLoopback { return "localhost" }
        if !listen.isUnspecified { return listen.description }
        return outward?.description ?? "localhost"
    }

    private static func settings(of state: ServerState) throws -> ServerSettings {
        let store = try Store(path: state.databaseFile)
        defer { store.close() }
        return try store.settings()
    }

    static func page(_ path: String) throws -> [UInt8] {
        guard let page = try PrivateFile.read(path) else {
            throw AditError(
                .configuration,
                Text("there is no file \(Foreign.clean(path))", zh: "没有文件 \(Foreign.clean(path))")
            )
        }
        return page
    }

    private static func misuse(_ flag: String, _ value: String, _ wanted: String, zh: String) -> AditError {
        let shown = Foreign.clean(value, limit: 80)
        return AditError(
            .usage,
            Text("\(flag) needs \(wanted), not \"\(shown)\"", zh: "\(flag) 需要\(zh)，而不是 \"\(shown)\"")
        )
    }
}

extension LogLevel: ExpressibleByArgument {}
