// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal

/// What happens to the router's ports as lines: the address first, for people or for programs.
struct MapScreen: Sendable {
    let order: PortMapOrder
    let style: ScreenStyle
    let isJSON: Bool
    /// Why nothing is open and nothing will be; nil while something is.
    private(set) var problem: AditError?

    private var open: [String: PortMapping] = [:]
    private var failures: [String: AditError] = [:]

    init(order: PortMapOrder, style: ScreenStyle, isJSON: Bool) {
        self.order = order
        self.style = style
        self.isJSON = isJSON
    }

    /// The lines for one event.
    mutating func lines(_ event: PortMappingEvent, at time: ScreenTime) -> [String] {
        switch event {
        case .found, .withdrawn: return []
        case .mapped(let mapping):
            if let double = mapping.doubleNAT { return blocked(mapping, double) }
            let isFirst = open[mapping.wish.transportName]?.external != mapping.external
            open[mapping.wish.transportName] = mapping
            failures[mapping.wish.transportName] = nil
            if isJSON { return [json("mapped", mapping, time).text] }
            return isFirst ? introduce(mapping) : ["  " + verification(mapping)]
        case .renewed(let mapping):
            open[mapping.wish.transportName] = mapping
            if isJSON { return [json("renewed", mapping, time).text] }
            return [note("✓", .green, renewal(mapping), time)]
        case .lost(let mapping, let loss):
            open[mapping.wish.transportName] = nil
            if isJSON { return [json("lost", mapping, time, reason: loss.rawValue).text] }
            return [note("✗", .red, lossWords(mapping, loss), time)]
        case .doubleNAT: return []
        case .unavailable(let reason): return failed(reason, time)
        }
    }

    /// The lines for the end.
    func end(_ problem: AditError?, unconfirmed: [PortMapping], at time: ScreenTime) -> [String] {
        if isJSON {
            return [
                JSONLine([
                    "event": "ended", "time": .number(time.seconds),
                    "error": problem.map { .error($0, style.language) },
                    "unconfirmed": .strings(unconfirmed.map(\.external.description)),
                ]).text
            ]
        }
        if let left = unconfirmed.first {
            let words = Text(
                "the router did not confirm that \(left.external) is closed",
                zh: "路由器没有确认 \(left.external) 已关闭"
            )
            return [note("!", .yellow, words, time)]
        }
        guard !open.isEmpty else { return [] }
        return [note("✓", .green, Text("closed again at the router", zh: "已在路由器上关闭"), time)]
    }

    private mutating func blocked(_ mapping: PortMapping, _ double: PortMappingDoubleNAT) -> [String] {
        open[mapping.wish.transportName] = nil
        problem = PortMapProblem.error(double, port: order.port)
        return []
    }

    private mutating func failed(_ reason: PortMappingUnavailability, _ time: ScreenTime) -> [String] {
        let error = PortMapProblem.error(reason, port: order.port)
        var names = order.wishes.map(\.transportName)
        if case .refused(let wish, _) = reason { names = [wish.transportName] }
        for name in names { failures[name] = error }
        // What was open before comes back when the router does.
        if open.isEmpty, order.wishes.allSatisfy({ failures[$0.transportName] != nil }), !hadAny {
            problem = error
            return []
        }
        if isJSON {
            let line = JSONLine([
                "event": "unavailable", "time": .number(time.seconds), "error": .error(error, style.language),
            ])
            return [line.text]
        }
        return ErrorWords.lines(error, style)
    }

    private var hadAny = false

    // MARK: Words

    private mutating func introduce(_ mapping: PortMapping) -> [String] {
        hadAny = true
        let address = style.paint(mapping.external.description, .bold)
        let name = mapping.wish.transportName
        return [
            style.spell("\(address) → localhost:\(order.port)  \(name)"), "  " + verification(mapping),
            "  " + style.spell(router(mapping).in(style.language)),
        ]
    }

    private func router(_ mapping: PortMapping) -> Text {
        let name = mapping.protocol.name
        guard let lifetime = mapping.lifetime else {
            return Text(
                "router \(mapping.router) by \(name), until Ctrl-C",
                zh: "路由器 \(mapping.router)，\(name)，直到 Ctrl-C"
            )
        }
        let time = Figures.duration(lifetime)
        return Text(
            "router \(mapping.router) by \(name), for \(time) and renewed, until Ctrl-C",
            zh: "路由器 \(mapping.router)，\(name)，每次 \(time)，自动续期，直到 Ctrl-C"
        )
    }

    private func verification(_ mapping: PortMapping) -> String {
        let words: Text
        let isGood: Bool
        switch mapping.verification {
        case .verified(let server, _):
            isGood = true
            words = Text("verified from outside by \(server)", zh: "已由 \(server) 从外部验证")
        case .failed(let server):
            isGood = false
            words = Text(
                "not reachable: what \(server) sent did not arrive",
                zh: "无法到达：\(server) 发来的数据包没有到达"
            )
        case .notChecked(let doubt):
            isGood = false
            let why = Self.doubt(doubt)
            words = Text("not verified: \(why.english)", zh: "未验证：\(why.chinese)")
        }
        let sign = style.paint(style.spell(isGood ? "✓" : "!"), isGood ? .green : .yellow)
        return sign + " " + style.spell(words.in(style.language))
    }

    private static func doubt(_ doubt: PortMappingDoubt) -> Text {
        switch doubt {
        case .noServer: Text("no STUN server is known (--stun HOST)", zh: "没有可用的 STUN 服务器（--stun 主机）")
        case .serverSilent: Text("the STUN server does not answer", zh: "STUN 服务器没有回应")
        case .serverUnable:
            Text("the STUN server cannot answer to another port", zh: "STUN 服务器不能向其他端口回应")
        case .portInUse: Text("a program here uses the port already", zh: "本机已有程序在使用该端口")
        case .tcp: Text("the server cannot try this TCP port", zh: "服务器无法尝试这个 TCP 端口")
        }
    }

    private func renewal(_ mapping: PortMapping) -> Text {
        let time = mapping.lifetime.map(Figures.duration) ?? ""
        let name = mapping.wish.transportName
        return Text(
            "\(mapping.external) \(name) renewed for \(time) (\(mapping.renewals) so far)",
            zh: "\(mapping.external) \(name) 已续期 \(time)（共 \(mapping.renewals) 次）"
        )
    }

    private func lossWords(_ mapping: PortMapping, _ loss: PortMappingLoss) -> Text {
        let words =
            switch loss {
            case .expired: Text("the router did not renew it", zh: "路由器没有续期")
            case .routerRestarted: Text("the router restarted", zh: "路由器重启了")
            case .takenAway: Text("the router gave it up", zh: "路由器收回了它")
            case .networkChanged: Text("this computer's network changed", zh: "本机的网络变了")
            case .unreachable: Text("packets from outside no longer arrive", zh: "外部的数据包不再到达")
            }
        let name = mapping.wish.transportName
        return Text(
            "\(mapping.external) \(name) is gone: \(words.english); asking again",
            zh: "\(mapping.external) \(name) 已失效：\(words.chinese)；正在重新申请"
        )
    }

    private func note(_ sign: String, _ color: ScreenStyle.Color, _ words: Text, _ time: ScreenTime) -> String {
        "  \(time.clock)  " + style.paint(style.spell(sign), color) + " " + style.spell(words.in(style.language))
    }

    private func json(_ event: String, _ mapping: PortMapping, _ time: ScreenTime, reason: String? = nil) -> JSONLine {
        var outcome = "verified"
        var server: String?
        var doubt: String?
        switch mapping.verification {
        case .verified(let by, _): server = by.description
        case .failed(let by):
            outcome = "failed"
            server = by.description
        case .notChecked(let why):
            outcome = "notChecked"
            doubt = why.rawValue
        }
        return JSONLine([
            "event": .string(event), "time": .number(time.seconds),
            "address": .string(mapping.external.description), "target": .string("localhost:\(order.port)"),
            "transport": .string(mapping.wish.transportName), "protocol": .string(mapping.protocol.rawValue),
            "router": .string(mapping.router.description), "inside": .string(mapping.inside.description),
            "lifetimeSeconds": mapping.lifetime.map { .number($0.components.seconds) },
            "renewals": .number(Int64(mapping.renewals)), "verified": .boolean(mapping.isVerified),
            "verification": .string(outcome), "verifiedBy": server.map { .string($0) },
            "doubt": doubt.map { .string($0) }, "reason": reason.map { .string($0) },
        ])
    }
}
