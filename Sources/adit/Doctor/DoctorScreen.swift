// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore

/// What `adit doctor` shows: the way as a picture, a row for each hop, and one remedy.
enum DoctorScreen {
    static func lines(_ report: DoctorReport, _ style: ScreenStyle) -> [String] {
        var lines: [String] = []
        let indent = style.isTerminal ? "  " : ""
        if report.server != nil { lines += [indent + picture(report, style), ""] }
        let shown = report.hops.filter { $0.state != .skipped || !$0.facts.isEmpty }
        let width = (shown.map { Figures.width(word($0.name).in(style.language)) }.max() ?? 0) + 3
        for hop in shown { lines += row(hop, width, style, indent) }
        lines.append("")
        if let fix = report.fix {
            let label = Text("fix:  ", zh: "解决：  ").in(style.language)
            lines.append(indent + style.spell(label + Foreign.clean(fix.in(style.language))))
            if let code = (report.firstBroken ?? report.hops.first { $0.error?.fix == fix })?.error?.code {
                lines.append(indent + style.paint("adit explain \(code)", .dim))
            }
        } else if report.firstBroken == nil, report.server != nil {
            let time = Figures.duration(report.time)
            let words = Text("all is well   \(time)", zh: "一切正常   \(time)").in(style.language)
            lines.append(indent + style.paint(style.spell("✓"), .green) + " " + style.spell(words))
        }
        return lines
    }

    /// `you ─✓─ DNS ─✓─ server ─✗─ TLS ─·─ session`
    private static func picture(_ report: DoctorReport, _ style: ScreenStyle) -> String {
        var text = style.spell(Text("you", zh: "本机").in(style.language))
        let computer = report.hop(.computer)
        for name in [DoctorHop.Name.dns, .server, .tls, .session, .http, .https, .tunnels] {
            guard var hop = report.hop(name) else { continue }
            if hop.state == .skipped, !name.isOnTheWay { continue }
            // Without a network nothing behind this computer was really looked at.
            if name == .dns, let computer, computer.state == .broken { hop.state = .broken }
            text += " " + style.spell("─") + sign(hop.state, style) + style.spell("─") + " "
            text += style.spell(word(name).in(style.language))
        }
        return text
    }

    private static func row(_ hop: DoctorHop, _ width: Int, _ style: ScreenStyle, _ indent: String) -> [String] {
        let label = Figures.padded(word(hop.name).in(style.language), width)
        var facts = hop.facts.map { Foreign.clean($0.in(style.language)) }
        if let time = hop.time, time > .zero, !facts.isEmpty { facts[0] += "   " + Figures.duration(time) }
        let first = indent + sign(hop.state, style) + " " + style.spell(label + (facts.first ?? ""))
        let gap = String(repeating: " ", count: indent.count + Figures.width(label) + 2)
        return [first] + facts.dropFirst().map { gap + style.spell($0) }
    }

    private static func sign(_ state: DoctorHop.State, _ style: ScreenStyle) -> String {
        switch state {
        case .good: style.paint(style.spell("✓"), .green)
        case .warning: style.paint("!", .yellow)
        case .broken: style.paint(style.spell("✗"), .red)
        case .skipped: style.paint(style.spell("·"), .dim)
        }
    }

    private static func word(_ name: DoctorHop.Name) -> Text {
        switch name {
        case .computer: Text("computer", zh: "本机")
        case .dns: "DNS"
        case .server: Text("server", zh: "服务器")
        case .tls: "TLS"
        case .session: Text("session", zh: "会话")
        case .clock: Text("clock", zh: "时钟")
        case .http: Text("names (http)", zh: "域名 (http)")
        case .https: Text("names (https)", zh: "域名 (https)")
        case .stunUDP: "STUN/UDP"
        case .stunTCP: "STUN/TCP"
        case .stunTLS: "STUN/TLS"
        case .turnUDP: Text("relay/UDP", zh: "中继/UDP")
        case .turnTCP: Text("relay/TCP", zh: "中继/TCP")
        case .turnTLS: Text("relay/TLS", zh: "中继/TLS")
        case .tunnels: Text("tunnels", zh: "隧道")
        }
    }
}
