// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal

/// The screen of `adit doctor nat`: facts in plain words with the terms of the RFCs, whom this network reaches directly, what
/// would be better, and what is uncertain.
enum NATDoctorScreen {
    static func lines(_ report: NATReport, _ style: ScreenStyle) -> [String] {
        var list = FactList(style)
        addAccess(report, &list)
        if report.udp.reach.value == true {
            addBehavior(report.udp, &list)
            if report.udp.kind.value != .open { addLifetime(report.udp.lifetime, &list) }
        } else if report.tcp.reach.value == true {
            addBehavior(report.tcp, &list)
        }
        if report.udp.reach.value == true || report.tcp.reach.value == true {
            addTCP(report, &list)
            addPath(report, &list)
            addDoors(report, &list)
            list.add(Text("direct chance", zh: "直连机会"), chance(report))
            addTable(report, style, &list)
        }
        addAdvice(report, style, &list)
        addDoubts(report, style, &list)
        return list.lines
    }

    // MARK: What passes

    private static func addAccess(_ report: NATReport, _ list: inout FactList) {
        let label = Text("UDP out", zh: "UDP 出站")
        switch report.udp.reach.value {
        case true?:
            let fastest = report.servers.filter { $0.answersUDP && $0.fault == nil }
                .min { ($0.roundTrip ?? .seconds(60)) < ($1.roundTrip ?? .seconds(60)) }
            let server = fastest.flatMap { server in server.roundTrip.map { (server.name, Figures.duration($0)) } }
            list.add(label, server.map { Text("✓ \($0.0) in \($0.1)", zh: "✓ \($0.0)，\($0.1)") } ?? "✓")
        case false?: list.add(label, Text("✗ no answer", zh: "✗ 没有应答"))
        case nil: list.add(label, Text("· not known", zh: "· 未知"))
        }
        if report.tcp.reach.value != report.udp.reach.value {
            let passes = report.tcp.reach.value
            let no = passes == nil ? Text("· not known", zh: "· 未知") : Text("✗ no answer", zh: "✗ 没有应答")
            list.add(Text("TCP out", zh: "TCP 出站"), passes == true ? "✓" : no)
        }
        switch report.access.value {
        case .full?, nil: break
        case let access?: list.add(Text("access", zh: "网络"), Text("✗ ", zh: "✗ ") + access.meaning)
        }
        if let portal = report.captivePortal.value ?? nil {
            let place = portal.location.map { ": \($0)" } ?? ""
            list.add(
                Text("sign-in", zh: "登录页面"),
                Text(
                    "a page answers in place of the web (\(portal.status)\(place))",
                    zh: "有页面代替网站应答（\(portal.status)\(place)）"
                )
            )
        }
        list.add("IPv6", ipv6(report))
        for server in report.servers.prefix(4) {
            guard let fault = server.fault else { continue }
            list.add(Text("server", zh: "服务器"), Text("! \(server.name): ", zh: "! \(server.name)：") + fault.meaning)
        }
    }

    private static func ipv6(_ report: NATReport) -> Text {
        let address = report.addressesV6.first
        switch (report.udpV6.reach.value, address) {
        case (true?, let address):
            let shown = (report.udpV6.externalAddresses.first ?? address).map { " \($0)" } ?? ""
            return Text(verbatim: "✓\(shown)")
        case (_, nil): return Text("✗ none", zh: "✗ 没有")
        case (nil, let address?):
            return Text("· \(address), not tried: the server has no IPv6", zh: "· \(address)，未试：服务器没有 IPv6")
        case (false?, let address?): return Text("✗ \(address), no answer", zh: "✗ \(address)，没有应答")
        }
    }

    // MARK: What the NAT does

    private static func addBehavior(_ report: NATBehaviorReport, _ list: inout FactList) {
        let addresses = report.externalAddresses.prefix(4).map(\.description).joined(separator: ", ")
        if !addresses.isEmpty { list.add(Text("seen as", zh: "外部地址"), Text(verbatim: addresses)) }
        if report.pooling.value == .arbitrary {
            list.add(
                Text("addresses", zh: "地址池"),
                AddressPooling.arbitrary.meaning,
                more: ["IP address pooling, RFC 4787"]
            )
        }
        if let kind = report.kind.value {
            list.add(Text("type", zh: "类型"), kind.name + Text(": ", zh: "：") + kind.meaning)
        }
        let mapping = Text("mapping", zh: "映射")
        if report.isTranslated.value == false {
            list.add(mapping, Text("no NAT: the address is this computer's own", zh: "无 NAT：就是本机自己的地址"))
        } else if let value = report.mapping.value {
            let worth =
                value == .endpointIndependent
                ? Text("  (good for direct)", zh: "  （利于直连）") : Text("  (bad for direct)", zh: "  （不利于直连）")
            list.add(mapping, value.meaning + worth, more: [Text(verbatim: value.term + ", RFC 4787")])
        } else {
            list.add(mapping, unknown(report.mapping))
        }
        let filtering = Text("filtering", zh: "过滤")
        if let value = report.filtering.value {
            list.add(filtering, value.meaning, more: [Text(verbatim: value.term + ", RFC 4787")])
        } else {
            list.add(filtering, unknown(report.filtering))
        }
        if let allocation = report.allocation.value {
            list.add(Text("ports", zh: "端口分配"), allocation.meaning)
        }
        if let hairpin = report.hairpin.value {
            list.add(
                Text("hairpin", zh: "回环"),
                hairpin
                    ? Text("yes, devices in here meet at the public address", zh: "支持：内网设备可经公网地址互访")
                    : Text("no, devices in here do not meet at the public address", zh: "不支持：内网设备不能经公网地址互访")
            )
        }
    }

    private static func unknown<Value>(_ finding: NATFinding<Value>) -> Text {
        Text("not known: ", zh: "未知：") + (finding.doubt ?? .notMeasured).reason
    }

    private static func addLifetime(_ finding: NATFinding<MappingLifetime>, _ list: inout FactList) {
        let label = Text("lifetime", zh: "存活时间")
        guard let lifetime = finding.value else {
            if finding.doubt == .notMeasured {
                list.add(label, Text("not measured: adit doctor nat --lifetime", zh: "未测量：adit doctor nat --lifetime"))
            } else if finding.doubt != .notApplicable {
                list.add(label, unknown(finding))
            }
            return
        }
        let alive = Figures.duration(lifetime.alive)
        let keep = Figures.duration(lifetime.keepalive)
        guard let dead = lifetime.dead.map(Figures.duration) else {
            return list.add(label, Text("more than \(alive)", zh: "超过 \(alive)"))
        }
        list.add(
            label,
            lifetime.alive > .zero
                ? Text("\(alive) to \(dead) → keepalive every \(keep)", zh: "\(alive) 至 \(dead) → 每 \(keep) 保活一次")
                : Text("less than \(dead) → keepalive every \(keep)", zh: "不足 \(dead) → 每 \(keep) 保活一次")
        )
    }

    /// TCP in one line where it differs, because many a router treats it otherwise.
    private static func addTCP(_ report: NATReport, _ list: inout FactList) {
        guard report.udp.reach.value == true, report.tcp.reach.value == true else { return }
        let (udp, tcp) = (report.udp, report.tcp)
        if tcp.mapping.value == nil, tcp.kind.value == nil { return }
        let isSame = tcp.mapping.value == udp.mapping.value && tcp.kind.value == udp.kind.value
        if isSame, tcp.allocation.value == nil || tcp.allocation.value == udp.allocation.value {
            return list.add("TCP", Text("like UDP", zh: "与 UDP 相同"))
        }
        let unsure = Text("not known", zh: "未知")
        let kind = tcp.kind.value?.name ?? unsure
        let mapping = tcp.isTranslated.value == false ? nil : tcp.mapping.value?.meaning
        var words = kind
        for part in [mapping, tcp.filtering.value?.meaning, tcp.allocation.value?.meaning] {
            if let part { words = words + " · " + part }
        }
        list.add("TCP", words, more: terms(tcp))
    }

    private static func terms(_ report: NATBehaviorReport) -> [Text] {
        let mapping = report.isTranslated.value == false ? nil : report.mapping.value?.term
        let terms = [mapping, report.filtering.value?.term].compactMap { $0 }
        return terms.isEmpty ? [] : [Text(verbatim: terms.joined(separator: ", ") + ", RFC 5382")]
    }

    // MARK: The way

    private static func addPath(_ report: NATReport, _ list: inout FactList) {
        var parts: [Text] = report.hops.prefix(8).map { hop in
            guard let address = hop.address, let kind = hop.kind else { return "?" }
            return kind == .public ? Text(verbatim: "\(address)") : Text(verbatim: "\(address) ") + kind.name
        }
        let outside = (report.udp.externalAddresses.first ?? report.tcp.externalAddresses.first)?.description
        if let outside, parts.last?.english != outside, report.natCount.value != 0 {
            parts.append(Text(verbatim: outside))
        }
        if let first = parts.first, parts.count > 1 {
            list.add(Text("hops", zh: "路径"), parts.dropFirst().reduce(first) { $0 + " → " + $1 })
        }
        let isCarrier = report.isCarrierGrade.value == true
        switch report.natCount.value {
        case nil, 0?: break
        case 1?:
            list.add(
                "NAT",
                isCarrier
                    ? Text("1, the carrier's (CGN, RFC 6598)", zh: "1 层，属于运营商（CGN，RFC 6598）") : Text("1", zh: "1 层")
            )
        case let count?:
            list.add(
                "NAT",
                isCarrier
                    ? Text(
                        "\(count) in a row, one is the carrier's (CGN, RFC 6598)",
                        zh: "\(count) 层，其中有运营商的（CGN，RFC 6598）"
                    )
                    : Text("\(count) in a row (double NAT)", zh: "\(count) 层（双重 NAT）")
            )
        }
    }

    private static func addDoors(_ report: NATReport, _ list: inout FactList) {
        guard !report.portMappings.isEmpty else { return }
        let doors = report.portMappings.map { answer in
            let mark = answer.isAvailable ? "✓" : "✗"
            let outside = answer.externalAddress.map { $0.isUnspecified ? "" : " \($0)" } ?? ""
            return "\(name(answer.door)) \(mark)\(answer.isAvailable ? outside : "")"
        }
        list.add(Text("port mapping", zh: "端口映射"), Text(verbatim: doors.joined(separator: "  ")))
    }

    private static func name(_ door: NATPortMappingAnswer.Door) -> String {
        switch door {
        case .pcp: "PCP"
        case .natPMP: "NAT-PMP"
        case .upnp: "UPnP"
        }
    }

    private static func chance(_ report: NATReport) -> Text {
        if let door = report.usablePortMapping {
            return Text(
                "good with everybody, with a port from the router (\(name(door)))",
                zh: "用路由器开的端口（\(name(door))），与任何网络都好"
            )
        }
        let isUnclear = report.udp.kind.value == nil && report.tcp.kind.value == nil
        return isUnclear ? Text("not known", zh: "未知") : report.chanceSummary
    }

    // MARK: The table

    private static func addTable(_ report: NATReport, _ style: ScreenStyle, _ list: inout FactList) {
        let language = style.language
        let noUDP = Text("a network that lets no UDP out", zh: "不放行 UDP 的网络")
        let rows = report.directPaths.map { path in
            ((path.peer?.name ?? noUDP).in(language), cell(path.udp).in(language), cell(path.tcp).in(language))
        }
        let head = Text("reaches directly, if the other side has", zh: "对方处于下列网络时能否直连").in(language)
        let first = ([head] + rows.map(\.0)).map { Figures.width(style.spell($0)) }.max() ?? 0
        let second = rows.map { Figures.width(style.spell($0.1)) }.max() ?? 0
        list.addLine("")
        for (index, row) in ([(head, "UDP", "TCP")] + rows).enumerated() {
            let cells = [(row.1, second), (row.2, 0)].map { text, width in
                let padded = Figures.padded(style.spell(text), width)
                return index == 0 ? padded : painted(padded, style)
            }
            list.addLine(Figures.padded(style.spell(row.0), first) + "  " + cells.joined(separator: "  "))
        }
    }

    private static func cell(_ chance: NATChance?) -> Text {
        switch chance {
        case .direct?: Text("✓ direct", zh: "✓ 直连")
        case .good?: Text("~ mostly", zh: "~ 多半")
        case .poor?: Text("~ rarely", zh: "~ 少有")
        case .relay?: Text("✗ relayed", zh: "✗ 中继")
        case nil: Text("? not known", zh: "? 未知")
        }
    }

    private static func painted(_ cell: String, _ style: ScreenStyle) -> String {
        switch cell.first {
        case "✓": style.paint(cell, .green)
        case "✗": style.paint(cell, .red)
        default: style.paint(cell, .yellow)
        }
    }

    // MARK: What follows

    private static func addAdvice(_ report: NATReport, _ style: ScreenStyle, _ list: inout FactList) {
        let advice = report.advice
        guard !advice.isEmpty else { return }
        list.addLine("")
        list.addLine(Text("better:", zh: "改进：").in(style.language))
        for item in advice { list.addItem(item.text) }
    }

    private static func addDoubts(_ report: NATReport, _ style: ScreenStyle, _ list: inout FactList) {
        let doubts = report.doubts
        guard !doubts.isEmpty else { return }
        list.addLine("")
        list.addLine(Text("uncertain:", zh: "不确定：").in(style.language))
        for doubt in doubts { list.addItem(doubt.what + Text(": ", zh: "：") + doubt.why.reason) }
    }
}

extension Text {
    /// One text after the other.
    fileprivate static func + (left: Text, right: Text) -> Text {
        Text(left.english + right.english, zh: left.chinese + right.chinese)
    }
}
