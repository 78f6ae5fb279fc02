// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditCrypto
import AditServer
import ArgumentParser

/// `adit server init [DOMAIN]`
struct ServerInitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Set the server up once: its key, its domain, and whether the world can reach it.",
        discussion: "Changes nothing outside the state folder. Run it again to change the domain; the key stays."
    )

    @Argument(help: "The domain of web names. Without one, each web tunnel gets a port of its own.")
    var domain: String?

    @OptionGroup var place: ServerPlace

    @Option(help: "The name or address by which devices and visitors reach this machine.")
    var host: String?

    func run() async throws {
        let style = ProcessFacts.style()
        let file = try place.file().configuration
        let state = place.folder(file)
        let domain = try Self.checked(domain)
        try state.prepare()
        let identity = try ServerIdentity.loadOrMake(in: state, at: UnixClock.system.now())
        let outward = await MachineAddress.outward()
        let publicHost = host?.lowercased() ?? domain ?? outward?.description ?? "localhost"
        let store = try Store(path: state.databaseFile)
        try store.save(ServerSettings(domain: domain, publicHost: publicHost))
        store.close()
        state.closeDatabaseFiles()
        StandardStream.line("\n  " + style.paint(style.spell("Adit server · \(publicHost)"), .bold) + "\n")
        for line in await checks(domain, file, identity, state, outward) {
            StandardStream.line(ServerScreen.row(line.sign, line.label, line.text, style))
            if let more = line.more { StandardStream.line("                 " + style.spell(more.in(style.language))) }
        }
        let open = Text("Open in your cloud firewall:", zh: "请在云防火墙放行：").in(style.language)
        StandardStream.line("\n  " + style.spell(open))
        for line in Self.firewallLines(file) { StandardStream.line("    " + style.spell(line)) }
        StandardStream.line(
            "  " + style.spell(Text("Start it:  adit server", zh: "启动：  adit server").in(style.language)) + "\n"
        )
        let life = Duration.seconds(1800)
        let invite = try await Invitation.make(state: state, file: file, host: publicHost, life: life, uses: 1)
        StandardStream.line(
            "  " + style.spell(Text("On the computer you want to share from:", zh: "在要分享的电脑上：").in(style.language))
        )
        StandardStream.line(
            "\n    adit join \(invite.code.text)        " + style.spell(invite.terms(1, life).in(style.language)) + "\n"
        )
    }

    private struct Check {
        var sign: String
        var label: Text
        var text: Text
        var more: Text?
    }

    /// The ports that visitors and devices come to, a line for each protocol.
    static func firewallLines(_ file: ServerConfiguration) -> [String] {
        var tcp = ["\(file.sessionPort)", "\(file.httpPort)", "\(file.httpsPort ?? ServerSetup.defaultHTTPSPort)"]
        var udp: [String] = []
        if file.stun.isOn {
            let port = file.stun.port ?? STUNSetup.standardPort
            let pair = ["\(port)", "\(file.stun.alternatePort ?? port &+ 1)"]
            tcp += pair + ["\(file.stun.tlsPort ?? STUNSetup.standardTLSPort)"]
            udp += pair
            if file.turn.isOn { udp.append("\(file.turn.ports.lowerBound)-\(file.turn.ports.upperBound)") }
        }
        tcp.append("\(file.publicPorts)")
        udp.append("\(file.publicPorts)")
        var seen: Set<String> = []
        return [
            "TCP  " + tcp.filter { seen.insert($0).inserted }.joined(separator: " "),
            "UDP  " + udp.joined(separator: " "),
        ]
    }

    private func checks(
        _ domain: String?,
        _ file: ServerConfiguration,
        _ identity: ServerIdentity,
        _ state: ServerState,
        _ outward: IPAddress?
    ) async -> [Check] {
        var checks: [Check] = []
        if let domain {
            checks += await names(domain, outward)
        } else {
            let text = Text("no domain: each web tunnel gets a port of its own", zh: "没有域名：每个网站隧道使用独立端口")
            let more = Text("with one, they get names:  adit server init DOMAIN", zh: "有域名即可使用名字：adit server init 域名")
            checks.append(Check(sign: "!", label: Text("name", zh: "域名"), text: text, more: more))
        }
        checks.append(await ports(file, state))
        let key = Text(verbatim: "\(identity.fingerprint) → \(state.path)")
        checks.append(Check(sign: "✓", label: Text("identity", zh: "身份"), text: key, more: nil))
        return checks
    }

    private func names(_ domain: String, _ outward: IPAddress?) async -> [Check] {
        let name = Text("name", zh: "域名")
        let own = MachineAddress.own()
        let found = await MachineAddress.resolve(domain)
        guard !found.isEmpty else {
            let record = outward.map { "\(domain)  A  \($0)" } ?? "\(domain)  A  ADDRESS"
            let text = Text("\(domain) has no address", zh: "\(domain) 没有解析记录")
            return [
                Check(sign: "✗", label: name, text: text, more: Text("add:  \(record)", zh: "请添加：  \(record)"))
            ]
        }
        let list = found.map(\.description).joined(separator: " ")
        let isHere = found.contains { own.contains($0) }
        let place =
            isHere
            ? Text("\(domain) → \(list) (this machine)", zh: "\(domain) → \(list)（本机）")
            : Text(
                "\(domain) → \(list), which is not an address of this machine itself",
                zh: "\(domain) → \(list)，不是本机网卡上的地址"
            )
        let more: Text? =
            isHere
            ? nil
            : Text(
                "right if a cloud or a router forwards that address to this machine",
                zh: "如果该地址由云平台或路由器转发到本机，则没有问题"
            )
        var checks = [Check(sign: isHere ? "✓" : "!", label: name, text: place, more: more)]
        let wildcard = Text("wildcard", zh: "泛解析")
        let probe = await MachineAddress.resolve("adit-check-7qk4." + domain)
        if !probe.isEmpty, Set(probe).isSubset(of: Set(found)) {
            checks.append(Check(sign: "✓", label: wildcard, text: Text(verbatim: "*.\(domain) → \(list)"), more: nil))
        } else {
            let text =
                probe.isEmpty
                ? Text("*.\(domain) has no record (needed for web names)", zh: "*.\(domain) 没有解析记录（网站名字需要它）")
                : Text("*.\(domain) leads elsewhere", zh: "*.\(domain) 指向别处")
            let record = "*.\(domain)  A  \(found.first?.description ?? "")"
            let more = Text("add:  \(record)        (ADIT-310)", zh: "请添加：  \(record)        （ADIT-310）")
            checks.append(Check(sign: "!", label: wildcard, text: text, more: more))
        }
        return checks
    }

    private func ports(_ file: ServerConfiguration, _ state: ServerState) async -> Check {
        let label = Text("ports", zh: "端口")
        if (try? await ControlClient(state).ask(.status)) != nil {
            let text = Text("a server runs already; restart it to take this up", zh: "服务器正在运行；重启后生效")
            return Check(sign: "!", label: label, text: text, more: nil)
        }
        var faults: [String] = []
        for port in [file.sessionPort, file.httpPort] where port != 0 {
            if let fault = await MachineAddress.portFault(port, on: file.listen) {
                faults.append("\(port)/tcp: \(fault)")
            }
        }
        let list = "\(file.sessionPort)/tcp \(file.httpPort)/tcp"
        guard !faults.isEmpty else {
            return Check(
                sign: "✓",
                label: label,
                text: Text("\(list) free on this machine", zh: "\(list) 在本机空闲"),
                more: nil
            )
        }
        let more = Text(
            "start with others:  adit server --port N --http-port N",
            zh: "可换端口启动：adit server --port N --http-port N"
        )
        return Check(sign: "✗", label: label, text: Text(verbatim: faults.joined(separator: "; ")), more: more)
    }

    private static func checked(_ text: String?) throws -> String? {
        guard let text else { return nil }
        guard let domain = ServerSettings.domain(reading: text) else {
            let shown = Foreign.clean(text, limit: 80)
            throw AditError(
                .usage,
                Text("\"\(shown)\" is not a domain", zh: "\"\(shown)\" 不是域名"),
                fix: Text(
                    "write it without scheme, port and *:  tunnel.example.com",
                    zh: "不要写协议、端口和 *：tunnel.example.com"
                )
            )
        }
        return domain
    }
}
