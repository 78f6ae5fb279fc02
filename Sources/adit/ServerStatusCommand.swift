// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import ArgumentParser

/// `adit server status`
struct ServerStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "What the running server does: devices, tunnels, visitors."
    )

    @OptionGroup var place: ServerPlace

    @Flag(help: "One JSON object.")
    var json = false

    func run() async throws {
        let state = try place.folder()
        guard let status = try await ControlClient(state).ask(.status).status else {
            throw ControlClient.notRunning(state)
        }
        if json { return StandardStream.line(try status.json()) }
        let style = ProcessFacts.style()
        for line in Self.lines(status, style, now: UnixClock.system.now()) { StandardStream.line(line) }
    }

    static func lines(_ status: ServerStatus, _ style: ScreenStyle, now: UnixTime) -> [String] {
        let fact = { (label: Text, text: Text) in ServerScreen.fact(label, text, style) }
        let age = { (seconds: Int64) in Figures.duration(now - UnixTime(seconds: seconds)) }
        let address = PublicAddress.endpoint(host: status.host, port: status.sessionPort)
        var lines = ["  " + style.paint(style.spell("Adit server · \(address)"), .bold), ""]
        let running = Text(
            "since \(age(status.since)), process \(status.process), version \(status.version)",
            zh: "已运行 \(age(status.since))，进程 \(status.process)，版本 \(status.version)"
        )
        lines.append(fact(Text("runs", zh: "运行"), running))
        if status.isStopping { lines.append(fact(Text("stopping", zh: "正在停止"), "…")) }
        lines.append(fact(Text("key", zh: "密钥"), Text(verbatim: status.fingerprint)))
        if let domain = status.domain, let port = status.httpPort {
            let example = PublicAddress.web(host: "NAME." + domain, port: port)
            lines.append(fact(Text("web names", zh: "网站名字"), Text(verbatim: example)))
        }
        if let port = status.httpsPort, status.certificates == nil {
            lines.append(
                fact("https", Text("\(port)/tcp, for tls tunnels; no certificate", zh: "\(port)/tcp，供 tls 隧道使用；没有证书"))
            )
        }
        if let stun = status.stun {
            lines += [fact("STUN", STUNWords.place(stun)), fact("", Self.figures(stun))]
        }
        if let turn = status.turn {
            lines += [fact("TURN", TURNWords.place(turn)), fact("", TURNWords.figures(turn))]
        }
        for certificate in status.certificates ?? [] { lines += rows(certificate, style, now) }
        lines.append(fact(Text("ports", zh: "端口"), Text(verbatim: status.publicPorts)))
        let online = status.clients.filter(\.isOnline).count
        let count = Text("\(online) of \(status.clients.count) online", zh: "\(status.clients.count) 台中 \(online) 台在线")
        lines += [fact(Text("devices", zh: "设备"), count), ""]
        for client in status.clients { lines += rows(client, style, age) }
        if status.clients.isEmpty {
            lines.append(
                "  "
                    + style.spell(
                        Text("no device has joined:  adit server invite", zh: "还没有设备加入：adit server invite").in(
                            style.language
                        )
                    )
            )
        }
        return lines
    }

    /// What STUN did.
    private static func figures(_ stun: ServerStatus.STUN) -> Text {
        Text(
            "requests \(stun.requests), answered \(stun.answered), refused \(stun.refused), limited \(stun.limited)",
            zh: "请求 \(stun.requests)，已应答 \(stun.answered)，拒绝 \(stun.refused)，限流 \(stun.limited)"
        )
    }

    private static func rows(
        _ certificate: ServerStatus.Certificate,
        _ style: ScreenStyle,
        _ now: UnixTime
    ) -> [String] {
        let names = certificate.names.map { Foreign.clean($0) }.joined(separator: " ")
        let left = UnixTime(seconds: certificate.expires) - now
        let figure = Figures.duration(left > .zero ? left : .zero - left)
        let words =
            left > .zero
            ? Text("\(names), valid for \(figure)", zh: "\(names)，有效期还剩 \(figure)")
            : Text("\(names), expired \(figure) ago", zh: "\(names)，已过期 \(figure)")
        return [ServerScreen.fact(Text("certificate", zh: "证书"), words, style)]
            + certificate.remarks.map { remark in
                "      " + style.spell("! " + Foreign.clean(Text(remark.en, zh: remark.zh).in(style.language)))
            }
    }

    private static func rows(
        _ client: ServerStatus.Client,
        _ style: ScreenStyle,
        _ age: (Int64) -> String
    ) -> [String] {
        let name = Foreign.clean(client.name)
        let shown = name.isEmpty ? "frp" : client.kind == "frp" ? "\(name) (frp)" : name
        let place =
            client.isOnline
            ? Text(verbatim: client.addresses.joined(separator: ", "))
            : Text("offline since \(age(client.lastSeen ?? 0))", zh: "已离线 \(age(client.lastSeen ?? 0))")
        let sign = client.isOnline ? style.paint(style.spell("✓"), .green) : style.spell("·")
        var rows = ["  \(sign) " + Figures.padded(shown, 20) + " " + style.spell(place.in(style.language))]
        for tunnel in client.tunnels {
            let target = tunnel.target.isEmpty ? "" : " → " + Foreign.clean(tunnel.target)
            let figures = Text(
                "visitors \(tunnel.visitors), now \(tunnel.openVisitors)",
                zh: "访客 \(tunnel.visitors)，当前 \(tunnel.openVisitors)"
            )
            let bytes =
                "↓ \(Figures.bytes(UInt64(max(0, tunnel.bytesIn)))) ↑ \(Figures.bytes(UInt64(max(0, tunnel.bytesOut))))"
            rows.append(
                "      " + style.spell(tunnel.addresses.map { Foreign.clean($0) }.joined(separator: " ") + target)
            )
            rows.append("        " + style.spell(figures.in(style.language) + "  " + bytes))
            if let count = tunnel.datagramsIn {
                let words = DatagramFigures.words(
                    datagramsIn: UInt64(max(0, count)),
                    datagramsOut: UInt64(max(0, tunnel.datagramsOut ?? 0)),
                    drops: UInt64(max(0, tunnel.droppedDatagrams ?? 0))
                )
                rows.append("        " + style.spell("UDP " + words.in(style.language)))
            }
            if !tunnel.lastError.isEmpty {
                rows.append("        " + style.spell("! " + Foreign.clean(tunnel.lastError)))
            }
        }
        return rows
    }
}
