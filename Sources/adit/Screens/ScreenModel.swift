// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal

/// What is written where.
enum ScreenOutput: Sendable, Equatable {
    /// A line of standard output.
    case line(String)
    /// A line of standard error.
    case aside(String)
    /// The line below all others on a terminal, replaced by the next one; nil takes it away.
    case status(String?)
}

/// How much of what happens is shown, and in which shape.
enum ScreenMode: Sendable, Equatable {
    /// Lines for people.
    case people
    /// One JSON object a line.
    case json
    /// The addresses, and errors beside them.
    case quiet
    /// The addresses alone on standard output.
    case addressOnly
}

/// A moment as a screen shows it.
struct ScreenTime: Sendable, Equatable {
    /// Seconds since 1970.
    var seconds: Int64
    /// The time of day here, `14:02:11`.
    var clock: String
}

/// Turns what happens to a device into lines; the same for a terminal, a log and a program that reads JSON.
struct ScreenModel: Sendable {
    let style: ScreenStyle
    let mode: ScreenMode
    var orders: [TunnelOrder]
    var services: [ServiceOrder] = []
    var visits: [VisitOrder] = []

    private var health: [String: TargetHealth] = [:]
    private var addresses: [String: [String]] = [:]
    private var facts: SessionFacts?
    private var shownError: AditError?
    private var lastRefusal: AditError?
    private var retryAt: Int64?
    private var isAway = false
    private var hasBeenUp = false
    private var pathKinds: [PathPeerID: PathKind] = [:]

    init(style: ScreenStyle, mode: ScreenMode, orders: [TunnelOrder]) {
        self.style = style
        self.mode = mode
        self.orders = orders
    }

    /// Lines for one event.
    mutating func handle(_ event: DeviceEvent, at time: ScreenTime) -> [ScreenOutput] {
        if mode == .json { return json(event, at: time) }
        var output: [ScreenOutput]
        switch event {
        case .connected(let facts): output = connected(facts, at: time)
        case .waiting(let error, let retryIn): output = waiting(error, retryIn, at: time)
        case .opened(let tunnel): output = opened(tunnel, at: time)
        case .refused(let name, let error, let retryIn):
            lastRefusal = error
            output = lines(for: error, of: name)
            if let retryIn { output += notes([retryNote(retryIn)]) }
        case .closed(let name, let error):
            addresses[name] = nil
            lastRefusal = error
            output = lines(for: error, of: name)
        case .health(let name, let now): output = healthChanged(name, now)
        case .hostRewritten(let name, let error): output = lines(for: error, of: name)
        case .request(let name, let row):
            output = rows(omittedRow(row.omitted, at: time) + [requestRow(row, of: name, at: time)])
        case .visitorCame(let name, let visitor):
            output = rows(["\(time.clock)  + \(Figures.padded(Foreign.clean(visitor), 22)) \(tag(name))"])
        case .visitorLeft(let name, let visitor, let visit):
            output = rows([visitRow(visitor, visit, of: name, at: time)])
        case .datagramVisitorCame(let name, let visitor):
            output = rows(["\(time.clock)  + \(Figures.padded(Foreign.clean(visitor), 22)) \(tag(name, "UDP"))"])
        case .datagramVisitorLeft(let name, let visit):
            output = rows([datagramRow(visit, of: name, at: time)])
        case .turnedAway(let name, let turnedAway):
            output = rows([turnedAwayRow(turnedAway, of: name, at: time)])
        case .turnOffered: output = []
        case .path(let news): output = path(news, at: time)
        case .service(let news): output = service(news, at: time)
        case .visiting(let place, let endpoint): output = visiting(place, endpoint)
        case .visit(let news): output = visit(news, at: time)
        case .draining(let delay): output = notes([draining(delay)])
        case .ended(let error): output = ended(error)
        }
        return output
    }

    /// Lines because time passed: the countdown to the next try.
    mutating func tick(at time: ScreenTime) -> [ScreenOutput] {
        guard let retryAt, style.isTerminal, mode == .people else { return [] }
        let left = max(0, retryAt - time.seconds)
        return [.status(style.spell("    " + retryNote(.seconds(left)).in(style.language)))]
    }

    // MARK: The session

    private mutating func connected(_ facts: SessionFacts, at time: ScreenTime) -> [ScreenOutput] {
        self.facts = facts
        retryAt = nil
        let wasAway = isAway
        let isFirst = !hasBeenUp
        hasBeenUp = true
        isAway = false
        shownError = nil
        if orders.isEmpty { return up(facts, isFirst: isFirst, wasAway: wasAway, at: time) }
        guard wasAway, mode == .people, !addresses.isEmpty else { return style.isTerminal ? [.status(nil)] : [] }
        return mark("✓", .green, Text("connected again", zh: "已重新连接"), at: time)
    }

    private mutating func waiting(_ error: AditError, _ retryIn: Duration, at time: ScreenTime) -> [ScreenOutput] {
        isAway = true
        retryAt = time.seconds + Int64(retryIn.inSeconds.rounded(.up))
        var output: [ScreenOutput] = []
        if shownError != error {
            shownError = error
            output += lines(for: error, of: nil)
        }
        if style.isTerminal { return output + tick(at: time) }
        return output + notes([retryNote(retryIn)])
    }

    private mutating func ended(_ error: AditError?) -> [ScreenOutput] {
        retryAt = nil
        let clear: [ScreenOutput] = style.isTerminal ? [.status(nil)] : []
        // The reason was shown when the last tunnel was refused.
        if let error { return clear + (error == lastRefusal ? [] : lines(for: error, of: nil)) }
        guard mode == .people, !addresses.isEmpty else { return clear }
        let words = Text("closed. The address stays yours: run the same command again.", zh: "已关闭。地址为你保留：再次运行同一命令即可恢复。")
        return clear + [.line(indent + style.spell(words.in(style.language)))]
    }

    private func retryNote(_ delay: Duration) -> Text {
        let seconds = Int(delay.inSeconds.rounded(.up))
        if seconds == 0 { return Text("trying again …", zh: "正在重试 …") }
        let figure = "\(seconds) s"
        return Text("retrying in \(figure) …", zh: "\(figure) 后重试 …")
    }

    private func draining(_ delay: Duration) -> Text {
        let figure = Figures.duration(delay)
        return Text("the server is restarting; back in about \(figure)", zh: "服务器正在重启，约 \(figure) 后恢复")
    }

    // MARK: Paths

    /// The first line of a process without tunnels: the name by which others reach it.
    private func up(_ facts: SessionFacts, isFirst: Bool, wasAway: Bool, at time: ScreenTime) -> [ScreenOutput] {
        let clear: [ScreenOutput] = style.isTerminal ? [.status(nil)] : []
        let name = Foreign.clean(facts.deviceName, limit: 64)
        if isFirst, !services.isEmpty { return clear + exposed(facts) }
        // The first line of visits is the local port.
        if isFirst, !visits.isEmpty { return clear }
        guard isFirst else {
            guard wasAway, mode == .people else { return clear }
            return mark("✓", .green, Text("connected again", zh: "已重新连接"), at: time)
        }
        guard mode == .people else { return clear + [.line(name)] }
        let server = facts.server.port == 7000 ? facts.server.host : facts.server.description
        let words = Text("\(name) is up at \(server)", zh: "\(name) 已在 \(server) 上线")
        let hint = Text("your other devices reach it:  adit ping \(name)", zh: "其他设备可以：  adit ping \(name)")
        return mark("✓", .green, words, at: nil) + [.line(indent + "  " + style.spell(hint.in(style.language)))]
    }

    private mutating func path(_ news: PathNews, at time: ScreenTime) -> [ScreenOutput] {
        let name = Foreign.clean(news.peer, limit: 64)
        switch news {
        case .changed(let peer, let report), .roundTrip(let peer, _, let report):
            guard report.kind.isUsable, pathKinds[peer.id] != report.kind else { return [] }
            if pathKinds[peer.id] == nil, pathKinds.count >= 1024 { pathKinds = [:] }
            pathKinds[peer.id] = report.kind
            let kind = PathWords.kind(report.kind).in(style.language)
            let trip = report.roundTrip.map { "   " + PathWords.trip($0) } ?? ""
            return rows(["\(time.clock)  ↔ \(Figures.padded(name, 22)) \(kind)\(trip)"])
        case .ended(let peer, _):
            guard pathKinds.removeValue(forKey: peer.id) != nil else { return [] }
            let words = Text("no path any more", zh: "路径已结束").in(style.language)
            return rows(["\(time.clock)  ↔ \(Figures.padded(name, 22)) \(words)"])
        case .problem(_, let error):
            return error.code == .deviceKeyChanged ? lines(for: error, of: nil) : []
        case .opened, .received, .trace: return []
        }
    }

    // MARK: Tunnels

    private mutating func opened(_ tunnel: OpenTunnel, at time: ScreenTime) -> [ScreenOutput] {
        let shown = tunnel.addresses.map { Foreign.clean($0) }
        let before = addresses[tunnel.name]
        addresses[tunnel.name] = shown
        guard let best = shown.first, before != shown else { return [] }
        let order = orders.first { $0.name == tunnel.name }
        let clear: [ScreenOutput] = style.isTerminal ? [.status(nil)] : []
        guard mode == .people else { return clear + [.line(best)] }
        let note = before == nil ? nil : Text("the address changed", zh: "地址已改变")
        let bold = style.paint(style.spell(best), .bold)
        guard let order else { return clear + [.line(indent + bold)] }
        if orders.count > 1 { return clear + [.line(indent + compact(order, bold, note))] }
        let both = order.kind == .game ? Text("TCP and UDP, same port", zh: "TCP 与 UDP，同一端口") : nil
        var text: [String] = [bold + (both.map { "        " + style.spell($0.in(style.language)) } ?? "") + held(order)]
        text += shown.dropFirst().map { style.spell($0) }
        if style.isTerminal { text.append("") }
        text += factLines(order, tunnel)
        if let note { text.append(style.spell(note.in(style.language))) }
        if style.isTerminal { text.append("") }
        return clear + text.map { .line($0.isEmpty ? "" : indent + $0) }
    }

    private func held(_ order: TunnelOrder) -> String {
        guard case .fails? = health[order.name] else { return "" }
        return "   " + style.spell(holding(order).in(style.language))
    }

    private func holding(_ order: TunnelOrder) -> Text {
        let port = order.target.port
        return Text("held; opens when port \(port) answers …", zh: "已保留；端口 \(port) 有应答后开放 …")
    }

    private func compact(_ order: TunnelOrder, _ address: String, _ note: Text?) -> String {
        var text = Figures.padded(order.name, 14) + " " + address + style.spell("  →  ") + order.target.description
        if let note { text += "  " + style.spell(note.in(style.language)) }
        return text + held(order)
    }

    private func factLines(_ order: TunnelOrder, _ tunnel: OpenTunnel) -> [String] {
        var facts: [(Text, String)] = []
        var target = order.target.description
        if case .answers(let status, let after)? = health[order.name] {
            target += (order.kind == .game ? "   TCP " : "   ") + answers(status, after).in(style.language)
        }
        if order.kind.hasDatagrams {
            let silence = DatagramFigures.words(datagramsIn: 0, datagramsOut: 0, drops: 0)
            target += "   UDP " + silence.in(style.language)
        }
        facts.append((Text("to", zh: "目标"), target))
        facts.append((Text("open", zh: "访问"), AccessWords.access(order, tunnel, self.style.language)))
        if let session = self.facts {
            let server = session.server.port == 7000 ? session.server.host : session.server.description
            let trip = session.roundTrip.map { Text(", \(Figures.duration($0))", zh: "，\(Figures.duration($0))") }
            let words = Text("TLS to \(server)", zh: "经 TLS 到 \(server)").in(style.language)
            facts.append((Text("path", zh: "链路"), words + (trip?.in(style.language) ?? "")))
        }
        let width = style.isTerminal ? 7 : 0
        return facts.map { label, value in
            style.spell(Figures.padded(label.in(style.language), width) + (width == 0 ? " " : "") + value)
        }
    }

    private func answers(_ status: Int?, _ after: Duration) -> Text {
        let time = Figures.duration(after)
        guard let status else { return Text("answers in \(time)", zh: "\(time) 内应答") }
        return Text("answers \(status) in \(time)", zh: "\(time) 内应答 \(status)")
    }

    private mutating func healthChanged(_ name: String, _ now: TargetHealth) -> [ScreenOutput] {
        let before = health[name] ?? .unknown
        health[name] = now
        guard mode == .people || mode == .quiet, let order = orders.first(where: { $0.name == name }) else { return [] }
        switch now {
        case .unknown: return []
        case .fails(let error):
            if before == now { return [] }
            return lines(for: error, of: name) + (addresses[name] == nil ? [] : notes([holding(order)]))
        case .answers(let status, let after):
            guard mode == .people, addresses[name] != nil, before != .unknown || style.isTerminal == false else {
                return []
            }
            if case .answers = before { return [] }
            let words = answers(status, after)
            return mark(
                "✓",
                .green,
                Text("\(order.target) \(words.english)", zh: "\(order.target) \(words.chinese)"),
                at: nil
            )
        }
    }

    // MARK: Rows

    private func requestRow(_ row: RequestRow, of name: String, at time: ScreenTime) -> String {
        let status = row.isUpgraded ? "\(row.status) ws" : String(row.status)
        let color: ScreenStyle.Color? = row.status >= 500 ? .red : row.status >= 400 ? .yellow : nil
        let shown = Figures.padded(status, 6)
        return "\(time.clock)  \(Figures.padded(Foreign.clean(row.method, limit: 16), 6))"
            + Figures.padded(Foreign.clean(row.path, limit: 60), 24) + " "
            + (color.map { style.paint(shown, $0) } ?? shown)
            + Figures.rightAligned(Figures.duration(row.duration), 8) + "   " + Foreign.clean(row.visitor)
            + (orders.count > 1 ? "   \(name)" : "")
    }

    private func omittedRow(_ count: Int, at time: ScreenTime) -> [String] {
        guard count > 0 else { return [] }
        let words = Text(
            "\(count == 1 ? "1 more request" : "\(count) more requests"), too fast to show one by one",
            zh: "另有 \(count) 个请求，太快而未逐条显示"
        )
        return ["\(time.clock)  · \(words.in(style.language))"]
    }

    private func visitRow(_ visitor: String, _ visit: VisitStatistics, of name: String, at time: ScreenTime) -> String {
        "\(time.clock)  - \(Figures.padded(Foreign.clean(visitor), 22)) \(tag(name))   "
            + "\(Figures.duration(visit.duration))   ↓ \(Figures.bytes(visit.bytesIn)) ↑ \(Figures.bytes(visit.bytesOut))"
    }

    private func turnedAwayRow(_ turned: TurnedAway, of name: String, at time: ScreenTime) -> String {
        let count = turned.count
        let period = Figures.duration(turned.period)
        let reason = RefusalWords.reason(turned)
        let words = Text(
            "turned away \(count == 1 ? "1 visitor" : "\(count) visitors") in the last \(period): \(reason.english)",
            zh: "最近 \(period) 内拒绝了 \(count) 个访客：\(reason.chinese)"
        )
        return "\(time.clock)  ! \(words.in(style.language))" + (orders.count > 1 ? "   \(name)" : "")
    }

    private func datagramRow(_ visit: DatagramVisit, of name: String, at time: ScreenTime) -> String {
        let words = DatagramFigures.words(
            datagramsIn: UInt64(max(0, visit.datagramsIn)),
            datagramsOut: UInt64(max(0, visit.datagramsOut)),
            drops: UInt64(max(0, visit.drops))
        )
        return "\(time.clock)  - \(Figures.padded(Foreign.clean(visit.visitor.address.description), 22)) "
            + "\(tag(name, "UDP"))   \(Figures.duration(visit.duration))   \(words.in(style.language))"
    }

    private func tag(_ name: String, _ transport: String = "TCP") -> String {
        orders.count > 1 ? "\(transport)   \(name)" : transport
    }

    // MARK: Shapes

    var indent: String { style.isTerminal && mode == .people ? "  " : "" }

    func rows(_ texts: [String]) -> [ScreenOutput] {
        mode == .people ? texts.map { .line(indent + style.spell($0)) } : []
    }

    private func notes(_ texts: [Text]) -> [ScreenOutput] {
        guard mode == .people else { return [] }
        return texts.map { .aside((style.isTerminal ? "    " : "") + style.spell($0.in(style.language))) }
    }

    func mark(_ sign: String, _ color: ScreenStyle.Color, _ text: Text, at time: ScreenTime?) -> [ScreenOutput] {
        let clear: [ScreenOutput] = style.isTerminal ? [.status(nil)] : []
        let clock = time.map { $0.clock + "  " } ?? ""
        return clear + [
            .line(indent + clock + style.paint(style.spell(sign), color) + " " + style.spell(text.in(style.language)))
        ]
    }

    func lines(for error: AditError, of name: String?) -> [ScreenOutput] {
        let clear: [ScreenOutput] = style.isTerminal ? [.status(nil)] : []
        let prefix = orders.count > 1 ? name.map { "\($0): " } ?? "" : ""
        return clear + ErrorWords.lines(error, style, prefix: prefix).map { .aside($0) }
    }

    // MARK: JSON

    private mutating func json(_ event: DeviceEvent, at time: ScreenTime) -> [ScreenOutput] {
        if case .opened(let tunnel) = event { addresses[tunnel.name] = tunnel.addresses }
        if case .health(let name, let now) = event { health[name] = now }
        if case .connected(let facts) = event { self.facts = facts }
        let object = EventJSON.object(
            event,
            at: time,
            orders: orders,
            health: health,
            own: facts?.deviceName ?? "",
            language: style.language
        )
        // The first line of standard output is the one with the address, whatever happened before it.
        return [addresses.isEmpty && !orders.isEmpty ? .aside(object.text) : .line(object.text)]
    }
}
