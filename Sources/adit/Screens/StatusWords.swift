// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore

/// What `adit status` shows.
enum StatusWords {
    /// The joined servers, then each process with its tunnels.
    static func lines(
        _ servers: [JoinedServer],
        _ processes: [DeviceStatus],
        key: String? = nil,
        now: Int64,
        _ style: ScreenStyle
    ) -> [String] {
        var lines: [String] = []
        func add(_ text: Text) { lines.append(style.spell(text.in(style.language))) }
        if servers.isEmpty {
            add(
                Text(
                    "not joined to a server        adit join INVITE",
                    zh: "尚未加入服务器        adit join 邀请"
                )
            )
        }
        for (index, server) in servers.enumerated() {
            let name = Foreign.clean(server.deviceName, limit: 80)
            let mark = index == 0 && servers.count > 1 ? Text("   (default)", zh: "   （默认）") : ""
            let since = age(server.joinedAt, now)
            add(
                Text(
                    "joined  \(server.shownPlace)   as \"\(name)\", \(since) ago\(mark.english)",
                    zh: "已加入  \(server.shownPlace)   名称 “\(name)”，\(since)前\(mark.chinese)"
                )
            )
        }
        if let key { add(Text("key     \(key)", zh: "密钥    \(key)")) }
        if processes.isEmpty {
            add(Text("nothing runs        adit http 3000", zh: "没有运行中的隧道        adit http 3000"))
        }
        for process in processes {
            lines.append("")
            lines.append(style.spell(head(process, now).in(style.language)))
            let widest = process.tunnels.map { Figures.width($0.addresses.first ?? "-") }.max() ?? 0
            for tunnel in process.tunnels { lines += row(tunnel, min(widest, 60), style) }
            for service in process.services ?? [] { lines += row(service, style) }
            for visit in process.visits ?? [] { lines += row(visit, style) }
            for path in process.paths ?? [] { lines += self.path(path, now, style) }
        }
        return lines
    }

    private static func head(_ process: DeviceStatus, _ now: Int64) -> Text {
        let runs = age(process.startedAt, now)
        let trip = process.roundTripMs.map { ", \($0) ms" } ?? ""
        let server = Foreign.clean(process.server)
        if process.isConnected, let since = process.connectedAt {
            let connected = age(since, now)
            return Text(
                "✓ pid \(process.pid)   \(server)   connected for \(connected)\(trip)   runs for \(runs)",
                zh: "✓ 进程 \(process.pid)   \(server)   已连接 \(connected)\(trip)   已运行 \(runs)"
            )
        }
        let why = process.problem.map { "   " + Foreign.clean($0, limit: 200) } ?? ""
        return Text(
            "✗ pid \(process.pid)   \(server)   not connected   runs for \(runs)\(why)",
            zh: "✗ 进程 \(process.pid)   \(server)   未连接   已运行 \(runs)\(why)"
        )
    }

    private static func path(_ path: DeviceStatus.Path, _ now: Int64, _ style: ScreenStyle) -> [String] {
        let name = Foreign.clean(path.peer, limit: 64)
        let kind = PathWords.kind(path.kind, path.transport).in(style.language)
        let trip = path.roundTripMs.map { "   " + PathWords.trip(.microseconds(Int64($0 * 1000))) } ?? ""
        let since = age(path.since, now)
        let ended = path.endedAt.map { age($0, now) }
        let words = (ended.map { Text("ended \($0) ago", zh: "\($0)前结束") } ?? Text("for \(since)", zh: "已 \(since)"))
            .in(style.language)
        func clean(_ words: DeviceStatus.Path.Words) -> String {
            Foreign.clean(style.language == .chinese ? words.zh : words.en, limit: 400)
        }
        let sign = path.endedAt != nil ? "·" : path.kind == "none" ? "!" : "↔"
        var lines = ["  \(sign) \(name)   \(kind)\(trip)   \(words)", "      " + clean(path.reason)]
        if let local = path.localNAT, let remote = path.remoteNAT {
            let here = Text("here", zh: "本机").in(style.language)
            let width = max(Figures.width(here), Figures.width(name))
            lines.append("      " + Figures.padded(here, width) + "   " + clean(local))
            lines.append("      " + Figures.padded(name, width) + "   " + clean(remote))
        }
        return lines.map(style.spell)
    }

    private static func row(_ tunnel: DeviceStatus.Tunnel, _ width: Int, _ style: ScreenStyle) -> [String] {
        let sign = tunnel.state == .open ? "✓" : tunnel.state == .held || tunnel.state == .waiting ? "!" : "✗"
        let address = Foreign.clean(tunnel.addresses.first ?? "-")
        let visitors = Text(
            "\(count(tunnel.visitorsTotal)), \(tunnel.visitorsNow) now",
            zh: "\(tunnel.visitorsTotal) 次访问，当前 \(tunnel.visitorsNow)"
        )
        let bytes = "↓ \(Figures.bytes(tunnel.bytesIn)) ↑ \(Figures.bytes(tunnel.bytesOut))"
        let text =
            "  \(sign) \(Figures.padded(address, width))  →  \(Foreign.clean(tunnel.target))   "
            + "\(stateWord(tunnel.state).in(style.language))   \(visitors.in(style.language))   \(bytes)"
        var lines = [style.spell(text)]
        if let count = tunnel.datagramsIn {
            let words = DatagramFigures.words(
                datagramsIn: count,
                datagramsOut: tunnel.datagramsOut ?? 0,
                drops: tunnel.droppedDatagrams ?? 0
            )
            lines.append(style.spell("      UDP " + words.in(style.language)))
        }
        guard let problem = tunnel.problem else { return lines }
        return lines + [style.spell("      " + Foreign.clean(problem, limit: 300))]
    }

    private static func row(_ service: DeviceStatus.Service, _ style: ScreenStyle) -> [String] {
        let who =
            service.allow.isEmpty
            ? Text("every device of the server", zh: "服务器的所有设备")
            : Text(
                "only \(service.allow.map { Foreign.clean($0, limit: 64) }.joined(separator: ", "))",
                zh: "仅限 \(service.allow.map { Foreign.clean($0, limit: 64) }.joined(separator: "、"))"
            )
        let now = service.devices.keys.sorted().prefix(8).map { Foreign.clean($0, limit: 64) }.joined(separator: ", ")
        let streams = Text(
            "\(count(service.streamsTotal)), \(service.streamsNow) now\(now.isEmpty ? "" : " (\(now))")",
            zh: "\(service.streamsTotal) 次访问，当前 \(service.streamsNow)\(now.isEmpty ? "" : "（\(now)）")"
        )
        let text =
            "  \(service.problem == nil ? "✓" : "!") \(Foreign.clean(service.name, limit: 64))  →  "
            + "\(Foreign.clean(service.target))   \(who.in(style.language))   \(streams.in(style.language))   "
            + "↓ \(Figures.bytes(service.traffic.bytesIn)) ↑ \(Figures.bytes(service.traffic.bytesOut))"
        return lines(text, service.problem, style)
    }

    private static func row(_ visit: DeviceStatus.Visit, _ style: ScreenStyle) -> [String] {
        let place = Foreign.clean("\(visit.device)/\(visit.service)", limit: 200)
        let streams = Text(
            "\(count(visit.streamsTotal)), \(visit.streamsNow) now",
            zh: "\(visit.streamsTotal) 次访问，当前 \(visit.streamsNow)"
        )
        let text =
            "  \(visit.problem == nil ? "✓" : "!") \(visit.local ?? "-")  →  \(place)   \(streams.in(style.language))   "
            + "↓ \(Figures.bytes(visit.traffic.bytesIn)) ↑ \(Figures.bytes(visit.traffic.bytesOut))"
        return lines(text, visit.problem, style)
    }

    private static func count(_ visits: some BinaryInteger) -> String { visits == 1 ? "1 visit" : "\(visits) visits" }

    private static func lines(_ text: String, _ problem: String?, _ style: ScreenStyle) -> [String] {
        [style.spell(text)] + (problem.map { [style.spell("      " + Foreign.clean($0, limit: 300))] } ?? [])
    }

    private static func stateWord(_ state: DeviceStatus.Tunnel.State) -> Text {
        switch state {
        case .open: Text("open", zh: "开放")
        case .held: Text("held", zh: "保留")
        case .waiting: Text("waiting", zh: "等待")
        case .refused: Text("refused", zh: "被拒绝")
        case .closed: Text("closed", zh: "已关闭")
        }
    }

    private static func age(_ since: Int64, _ now: Int64) -> String {
        Figures.duration(.seconds(max(0, now - since)))
    }
}
