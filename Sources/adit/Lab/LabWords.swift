// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab

/// What the lab showed, as lines.
enum LabWords {
    /// One play: both sites, what theory says, what happened, and how it ended.
    static func play(_ outcome: PlayOutcome, _ verdict: OracleVerdict, _ style: ScreenStyle) -> [String] {
        let language = style.language
        let scenario = outcome.scenario
        var lines: [String] = []
        for (name, site) in [("A", scenario.a), ("B", scenario.b)] {
            // In one home only the first site counts.
            if name == "B", scenario.neighbourhood == .sameRouter { continue }
            lines.append("\(style.paint(name, .bold))  \(site)")
            lines += site.words.map { "   " + $0.in(language) }
        }
        switch scenario.neighbourhood {
        case .apart: break
        case .sameCarrier: lines.append(Text("both behind one carrier's NAT", zh: "双方在同一运营商 NAT 之后").in(language))
        case .sameRouter: lines.append(Text("B is in the same home", zh: "B 在同一家庭网络").in(language))
        }
        lines.append("")
        lines += theory(verdict, language)
        lines.append("")
        lines.append(heading(outcome).in(language))
        for step in outcome.steps {
            let time = Figures.rightAligned(milliseconds(step.at), 12)
            let line = "\(time)  \(step.isDrop ? "✗" : " ") \(step.words.in(language))"
            lines.append(step.isDrop ? style.paint(line, .dim) : line)
        }
        lines.append("")
        lines += result(outcome, style)
        if let remark = outcome.tactic.remark { lines += ["", remark.in(language)] }
        return lines.map(style.spell)
    }

    private static func heading(_ outcome: PlayOutcome) -> Text {
        let scenario = outcome.scenario
        let latency = Figures.duration(scenario.latency)
        let loss =
            scenario.loss > 0 ? Text(", \(percent(scenario.loss)) lost", zh: "，丢包 \(percent(scenario.loss))") : ""
        let tactic =
            outcome.tactic == .plain
            ? Text("", zh: "")
            : Text(", \(outcome.tactic.words.english)", zh: "，\(outcome.tactic.words.chinese)")
        return Text(
            "Played over \(outcome.transport.name)\(tactic.english), \(latency) one way\(loss.english),"
                + " seed \(outcome.seed):",
            zh: "模拟 \(outcome.transport.name)\(tactic.chinese)，单程 \(latency)\(loss.chinese)，种子 \(outcome.seed)："
        )
    }

    private static func theory(_ verdict: OracleVerdict, _ language: Language) -> [String] {
        let plain = verdict.plain
        let name = verdict.transport.name
        var lines = [
            Text(
                "In theory over \(name): \(plain.outlook.words.english) (\(plain.tactic.words.english))",
                zh: "理论上，\(name)：\(plain.outlook.words.chinese)（\(plain.tactic.words.chinese)）"
            ).in(language),
            "   " + plain.reason.in(language),
        ]
        for other in verdict.others where other.tactic != .relay && other.outlook != .never {
            lines.append("   " + forecast(other).in(language))
        }
        return lines
    }

    private static func forecast(_ forecast: TacticForecast) -> Text {
        let (tactic, outlook) = (forecast.tactic.words, forecast.outlook.words)
        guard forecast.tactic != .portMapping else {
            return Text(
                "else \(tactic.english): \(forecast.reason.english)",
                zh: "或\(tactic.chinese)：\(forecast.reason.chinese)"
            )
        }
        return Text(
            "else \(tactic.english): \(outlook.english), about \(forecast.packets) packets",
            zh: "或\(tactic.chinese)：\(outlook.chinese)，约 \(forecast.packets) 个包"
        )
    }

    private static func result(_ outcome: PlayOutcome, _ style: ScreenStyle) -> [String] {
        let language = style.language
        guard let duration = outcome.duration, let trips = outcome.roundTrips else {
            let words = Text("no direct path over \(outcome.transport.name)", zh: "\(outcome.transport.name) 没有直连通路")
            return [style.paint("✗", .red) + " " + words.in(language)]
                + outcome.reasons.map { "  " + $0.in(language) }
        }
        let tenths = Int((trips * 10).rounded())
        let figure = "\(tenths / 10).\(tenths % 10)"
        let words = Text(
            "direct after \(milliseconds(duration)), \(figure) round trips, counted from the first packet to the peer",
            zh: "\(milliseconds(duration)) 后直连，合 \(figure) 个往返，自发往对端的第一个包起算"
        )
        var lines = [style.paint("✓", .green) + " " + words.in(language)]
        for site in SiteName.allCases {
            guard let side = outcome.sides[site], let path = side.path else { continue }
            let cost =
                outcome.tactic.isSearch
                ? Text(", \(side.packetCount) packets", zh: "，\(side.packetCount) 个包") : Text("", zh: "")
            lines.append("  \(site.rawValue) → \(path)\(cost.in(language))")
        }
        return lines
    }

    /// A table of plays, and why the missing cells are missing.
    static func matrix(_ rows: [[LabMatrix.Cell]], _ transport: PunchTransport, _ style: ScreenStyle) -> [String] {
        let language = style.language
        let names = rows.first?.map(\.b.description) ?? []
        let count = rows.first?.first?.playCount ?? 0
        let first = (names.map(Figures.width).max() ?? 0) + 2
        let width = max(first, 11 + 2 * String(count).utf8.count)
        var lines = [
            Text(
                "\(transport.name): rows are A, columns are B; direct of \(count) plays, and the median time",
                zh: "\(transport.name)：行为 A，列为 B；\(count) 次中的直连次数与时间中位数"
            ).in(language),
            "",
            "  " + Figures.padded("A \\ B", first) + names.map { Figures.padded($0, width) }.joined(),
        ]
        var missing: [String] = []
        var directCount = 0
        for row in rows {
            guard let a = row.first?.a else { continue }
            var line = "  " + Figures.padded(a.description, first)
            for cell in row {
                let sign = cell.isDirect ? "✓" : cell.durations.isEmpty ? "✗" : "!"
                let median = cell.median.map { " " + milliseconds($0, fraction: false) } ?? ""
                let text = Figures.padded("\(sign) \(cell.durations.count)/\(count)\(median)", width)
                line += style.paint(text, cell.isDirect ? .green : cell.durations.isEmpty ? .red : .yellow)
                if cell.isDirect { directCount += 1 } else { missing.append("  " + reason(cell).in(language)) }
            }
            lines.append(line)
        }
        // Colours end a cell, so that only plain tables have blanks to lose.
        lines = lines.map { line in
            var line = line
            while line.last == " " { line.removeLast() }
            return line
        }
        let all = rows.reduce(0) { $0 + $1.count }
        lines += ["", Text("\(directCount) of \(all) direct", zh: "\(all) 格中 \(directCount) 格直连").in(language)]
        return (lines + missing).map(style.spell)
    }

    private static func reason(_ cell: LabMatrix.Cell) -> Text {
        let pair = "A=\(cell.a) B=\(cell.b)"
        let best = cell.verdict.best
        let other =
            best.tactic == .plain
            ? Text("", zh: "")
            : best.tactic == .relay
                ? Text("; \(best.tactic.words.english)", zh: "；\(best.tactic.words.chinese)")
                : Text(
                    "; \(best.tactic.words.english): \(best.outlook.words.english)",
                    zh: "；\(best.tactic.words.chinese)，\(best.outlook.words.chinese)"
                )
        let why = cell.verdict.plain.reason
        return Text("\(pair): \(why.english)\(other.english)", zh: "\(pair)：\(why.chinese)\(other.chinese)")
    }

    /// What the grid cost and showed.
    static func grid(_ figures: LabGridFigures, _ style: ScreenStyle) -> [String] {
        let tally = figures.tally
        let rate = Int(Double(tally.playCount) / max(figures.seconds, 1e-9))
        var lines = [
            Text(
                "\(tally.playCount) plays, \(tally.connectedCount) direct; \(seconds(figures.seconds)) s on"
                    + " \(figures.threads) threads, \(seconds(figures.processorSeconds)) CPU seconds, \(rate) plays/s",
                zh:
                    "\(tally.playCount) 次模拟，\(tally.connectedCount) 次直连；\(figures.threads) 线程用时 \(seconds(figures.seconds)) 秒，"
                    + "CPU \(seconds(figures.processorSeconds)) 秒，每秒 \(rate) 次"
            ).in(style.language)
        ]
        for wrong in tally.disagreements {
            let command =
                "adit lab nat \(wrong.a.text) \(wrong.b.text) --seed \(wrong.seed)"
                + (wrong.transport == .tcp ? " --tcp" : "")
                + (figures.lossPercent > 0 ? " --loss \(figures.lossPercent)" : "")
            lines.append(style.paint("✗", .red) + " \(wrong.outlook.words.in(style.language)): \(command)")
        }
        let sign = tally.disagreementCount == 0 ? style.paint("✓", .green) : style.paint("✗", .red)
        let words = Text(
            "\(tally.disagreementCount) of \(tally.testedCount) plays disagree with theory",
            zh: "\(tally.testedCount) 次中有 \(tally.disagreementCount) 次与理论不符"
        )
        lines.append("\(sign) \(words.in(style.language))")
        return lines.map(style.spell)
    }

    // MARK: Figures

    /// `41.5 ms`, or `41 ms`.
    static func milliseconds(_ duration: Duration, fraction: Bool = true) -> String {
        let tenths = duration.wholeNanoseconds / 100_000
        guard fraction, tenths < 100_000 else { return "\((tenths + 5) / 10) ms" }
        return "\(tenths / 10).\(tenths % 10) ms"
    }

    private static func seconds(_ value: Double) -> String {
        let tenths = Int((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }

    private static func percent(_ share: Double) -> String {
        let tenths = Int((share * 1000).rounded())
        return tenths.isMultiple(of: 10) ? "\(tenths / 10) %" : "\(tenths / 10).\(tenths % 10) %"
    }
}
