// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditWire

/// Private services and visits in words.
enum ServiceWords {
    /// `private: every device of tunnel.example.com can reach it`, or which.
    static func access(_ order: ServiceOrder, server: String) -> Text {
        let secret = order.secret.isEmpty ? Text("", zh: "") : Text(" that know the secret", zh: "（需知道密钥）")
        guard !order.allow.isEmpty else {
            return Text(
                "private: every device of \(server)\(secret.english) can reach it",
                zh: "私有：\(server) 的所有设备均可访问\(secret.chinese)"
            )
        }
        let names = order.allow.map { Foreign.clean($0, limit: 64) }
        return Text(
            "private: only \(names.joined(separator: ", "))\(secret.english)",
            zh: "私有：仅限 \(names.joined(separator: "、"))\(secret.chinese)"
        )
    }

    /// How another device reaches a service.
    static func command(_ order: ServiceOrder, device: String) -> String {
        let place = "\(device)/\(order.name)"
        switch order.kind {
        case .game: return "adit play \(place)"
        case .udp: return "adit connect \(place) --udp"
        case .tcp:
            let isSSH = order.name == "ssh" && order.secret.isEmpty
            return isSSH ? "adit ssh \(device)" : "adit connect \(place)"
        }
    }

    /// `TCP`, `UDP`.
    static func transport(_ visitor: ServiceVisitor) -> String { visitor.kind == .tcp ? "TCP" : "UDP" }
}

extension ScreenModel {
    /// The first lines of a process that offers services and has no tunnels.
    func exposed(_ facts: SessionFacts) -> [ScreenOutput] {
        let device = Foreign.clean(facts.deviceName, limit: 64)
        guard mode == .people else { return services.map { .line("\(device)/\($0.name)") } }
        let server = facts.server.port == 7000 ? facts.server.host : facts.server.description
        let width = services.map { Figures.width("\(device)/\($0.name)") }.max() ?? 0
        var output: [ScreenOutput] = []
        for order in services {
            let place = Figures.padded("\(device)/\(order.name)", width)
            let words = ServiceWords.access(order, server: server).in(style.language)
            output.append(.line(indent + style.paint(place, .bold) + "   " + style.spell(words)))
        }
        let tips = services.map { ServiceWords.command($0, device: device) }
        let label = Text("on your other devices:", zh: "在其他设备上：").in(style.language)
        return output + tips.prefix(8).map { .line(indent + "  " + style.spell("\(label)  \($0)")) }
    }

    /// A local port has come to lead somewhere.
    func visiting(_ place: ServicePlace, _ endpoint: IPEndpoint) -> [ScreenOutput] {
        guard mode == .people else { return [.line(endpoint.description)] }
        let name = Foreign.clean(place.description, limit: 200)
        let words = Text("leads to \(name)", zh: "通向 \(name)").in(style.language)
        return [.line(indent + style.paint(endpoint.description, .bold) + "   " + style.spell(words))]
    }

    /// Lines for what happens at a service of this device.
    func service(_ news: ServiceNews, at time: ScreenTime) -> [ScreenOutput] {
        switch news {
        case .came(let visitor): return rows([row("+", visitor, time)])
        case .left(let visitor, let figures): return rows([row("-", visitor, time) + tail(figures)])
        case .refused(let visitor):
            let name = Foreign.clean(visitor.service, limit: 64)
            let words = Text("refused: \(name)", zh: "已拒绝：\(name)").in(style.language)
            return rows(["\(time.clock)  ! \(Figures.padded(Foreign.clean(visitor.device, limit: 64), 22)) \(words)"])
        case .targetFailed(let name, let failure):
            let target = services.first { $0.name == name }?.target.description ?? ""
            return lines(for: ServiceProblem.target(failure, target), of: nil)
        case .targetAnswers(let name):
            let words = Text("\(name) answers again", zh: "\(name) 已恢复应答")
            return mark("✓", .green, words, at: time)
        }
    }

    /// Lines for what happens at a visit of this device.
    func visit(_ news: VisitNews, at time: ScreenTime) -> [ScreenOutput] {
        switch news {
        case .came(let visitor): rows([row("+", visitor, time)])
        case .left(let visitor, let figures): rows([row("-", visitor, time) + tail(figures)])
        case .fellBack: []
        case .failed(_, let error): lines(for: error, of: nil)
        }
    }

    private func row(_ sign: String, _ visitor: ServiceVisitor, _ time: ScreenTime) -> String {
        let name = Figures.padded(Foreign.clean(visitor.device, limit: 64), 22)
        return
            "\(time.clock)  \(sign) \(name) \(ServiceWords.transport(visitor))   \(Foreign.clean(visitor.service, limit: 64))"
    }

    private func tail(_ figures: ServiceFigures) -> String {
        "   \(Figures.duration(figures.duration))   ↓ \(Figures.bytes(figures.bytesIn)) ↑ \(Figures.bytes(figures.bytesOut))"
    }
}

/// Services and visits as JSON objects; members are only ever added.
enum ServiceJSON {
    static func object(_ news: ServiceNews, _ now: JSONLine.Value, _ language: Language) -> JSONLine {
        var line = JSONLine(["event": "service", "time": now])
        switch news {
        case .came(let visitor): line.add(members(visitor, "came"))
        case .left(let visitor, let figures):
            line.add(members(visitor, "left"))
            line.add(self.figures(figures))
        case .refused(let visitor): line.add(members(visitor, "refused"))
        case .targetFailed(let name, let failure):
            line.add("service", .string(name))
            line.add("state", "down")
            line.add("error", .error(ServiceProblem.target(failure, name), language))
        case .targetAnswers(let name):
            line.add("service", .string(name))
            line.add("state", "answers")
        }
        return line
    }

    static func object(_ news: VisitNews, _ now: JSONLine.Value, _ language: Language) -> JSONLine {
        var line = JSONLine(["event": "visit", "time": now])
        switch news {
        case .came(let visitor): line.add(members(visitor, "came"))
        case .left(let visitor, let figures):
            line.add(members(visitor, "left"))
            line.add(self.figures(figures))
        case .fellBack(let place):
            line.add(JSONLine(["service": .string(place.service), "state": "fell-back"]))
        case .failed(let place, let error):
            line.add(JSONLine(["device": .string(place.device), "service": .string(place.service), "state": "failed"]))
            line.add("error", .error(error, language))
        }
        return line
    }

    private static func members(_ visitor: ServiceVisitor, _ state: String) -> JSONLine {
        JSONLine([
            "device": .string(visitor.device), "service": .string(visitor.service),
            "transport": .string(visitor.kind == .tcp ? "tcp" : "udp"), "state": .string(state),
        ])
    }

    private static func figures(_ figures: ServiceFigures) -> JSONLine {
        func number(_ value: UInt64) -> JSONLine.Value { .number(Int64(clamping: value)) }
        return JSONLine([
            "durationMs": .number(figures.duration.wholeNanoseconds / 1_000_000),
            "bytesIn": number(figures.bytesIn), "bytesOut": number(figures.bytesOut),
            "datagramsIn": number(figures.datagramsIn), "datagramsOut": number(figures.datagramsOut),
            "dropped": number(figures.drops),
        ])
    }
}
