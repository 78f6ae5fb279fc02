// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import ArgumentParser

/// `adit lab rates`
struct LabRatesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rates",
        abstract: "How often searches for ports succeed, played many times, beside what theory says.",
        discussion: "A is symmetric and B port-restricted, or both are symmetric; see docs/lab.md."
    )

    @Option(help: "How often each story is played.")
    var plays = 40

    @Option(help: "The first seed.")
    var seed: UInt64 = 1

    @Option(help: "How many threads play.")
    var threads = 2

    @Option(help: "Only one kind: birthday, prediction, window or block.")
    var only: String?

    @Flag(help: "One JSON object.")
    var json = false

    func run() async throws {
        let rates = LabRates(playCount: try LabFlags.number(plays, "--plays", 1...10_000), firstSeed: seed)
        var rows = LabRates.usual
        if let only {
            guard let kind = LabRates.Kind(rawValue: only) else {
                let list = LabRates.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                throw AditError(.usage, Text("--only is one of \(list)", zh: "--only 可用：\(list)"))
            }
            rows.removeAll { $0.kind != kind }
        }
        let workers = try LabFlags.number(threads, "--threads", 1...64)
        let results: [LabRates.Result]
        do {
            results = try await Self.play(rates, rows, threads: workers)
        } catch let failure as LabFailure {
            throw LabFlags.failure(failure)
        }
        if json { return StandardStream.line(LabRatesScreen.json(results).text) }
        for line in LabRatesScreen.lines(results, ProcessFacts.style()) { StandardStream.line(line) }
    }

    private static func play(
        _ rates: LabRates,
        _ rows: [LabRates.Row],
        threads: Int
    ) async throws -> [LabRates.Result] {
        try await withThrowingTaskGroup(of: [(Int, LabRates.Result)].self) { group in
            for worker in 0..<threads {
                group.addTask {
                    var done: [(Int, LabRates.Result)] = []
                    for index in stride(from: worker, to: rows.count, by: threads) {
                        if let result = try rates.play(rows[index]) { done.append((index, result)) }
                    }
                    return done
                }
            }
            var all: [(Int, LabRates.Result)] = []
            for try await some in group { all += some }
            return all.sorted { $0.0 < $1.0 }.map(\.1)
        }
    }
}

/// What `adit lab rates` says.
enum LabRatesScreen {
    static func lines(_ results: [LabRates.Result], _ style: ScreenStyle) -> [String] {
        var lines: [String] = []
        var kind: LabRates.Kind?
        for result in results {
            let row = result.row
            if kind != row.kind || lines.isEmpty {
                if !lines.isEmpty { lines.append("") }
                lines.append(style.paint(row.tactic.words.in(style.language), .bold))
                kind = row.kind
            }
            let story = Figures.padded("  \(row.transport.name)  \(row.a) \(row.b)  ", 58)
            lines.append(story + Figures.padded(words(row).in(style.language), 44) + figures(result, style.language))
        }
        return lines.map(style.spell)
    }

    private static func words(_ row: LabRates.Row) -> Text {
        let options = row.options
        var english: [String] = []
        var chinese: [String] = []
        func note(_ first: String, _ second: String) {
            english.append(first)
            chinese.append(second)
        }
        switch row.kind {
        case .birthday: note("\(options.sockets) sockets", "\(options.sockets) 个套接字")
        case .prediction:
            note("\(min(options.window, options.probes)) at once", "一次 \(min(options.window, options.probes)) 个")
        case .window: note("\(options.window) sockets a side", "每侧 \(options.window) 个套接字")
        case .block: note("\(options.probes) tries", "尝试 \(options.probes) 次")
        }
        if row.kind == .prediction, options.probes > options.window { note("then on", "随后继续") }
        if row.flows > 0 { note("\(row.flows) foreign flows/s", "他人每秒 \(row.flows) 条流") }
        if row.lateness > .zero {
            let late = Figures.duration(row.lateness)
            note(
                "B \(late) late" + (row.holdsBack ? ", made up for" : ""),
                "B 迟 \(late)" + (row.holdsBack ? "，已补偿" : "")
            )
        }
        return Text(english.joined(separator: ", "), zh: chinese.joined(separator: "，"))
    }

    private static func figures(_ result: LabRates.Result, _ language: Language) -> String {
        let marks = result.row.marks
        var parts = zip(marks, result.successes).map { "\($0): \(share($1, result.playCount))" }
        if marks.isEmpty { parts = [share(result.successes.last ?? 0, result.playCount)] }
        var line = parts.joined(separator: "  ")
        if let theory = result.row.theory {
            line += Text(", theory \(hundredths(theory))", zh: "，理论 \(hundredths(theory))").in(language)
        }
        if let median = result.median, let slowest = result.durations.last {
            let (middle, last) = (
                LabWords.milliseconds(median, fraction: false), LabWords.milliseconds(slowest, fraction: false)
            )
            line += Text(", median \(middle), slowest \(last)", zh: "，中位 \(middle)，最慢 \(last)").in(language)
        }
        return line
    }

    private static func share(_ count: Int, _ all: Int) -> String {
        hundredths(Double(count) / Double(max(1, all)))
    }

    private static func hundredths(_ value: Double) -> String {
        let whole = Int((value * 100).rounded())
        return whole >= 100 ? "1.00" : ".\(whole < 10 ? "0" : "")\(whole)"
    }

    static func json(_ results: [LabRates.Result]) -> JSONLine {
        JSONLine([
            "rates": .array(
                results.map { result in
                    let row = result.row
                    return .object(
                        JSONLine([
                            "kind": .string(row.kind.rawValue), "transport": .string(row.transport.rawValue),
                            "a": .string(row.a), "b": .string(row.b), "flows": .number(Int64(row.flows)),
                            "window": .number(Int64(row.options.window)),
                            "sockets": .number(Int64(row.options.sockets)),
                            "probes": .number(Int64(row.options.probes)),
                            "plays": .number(Int64(result.playCount)),
                            "marks": .array(row.marks.map { .number(Int64($0)) }),
                            "successes": .array(result.successes.map { .number(Int64($0)) }),
                            "theory": row.theory.map { .number(Int64(($0 * 1000).rounded())) },
                            "median": result.median.map { .number($0.wholeNanoseconds / 1000) },
                            "slowest": result.durations.last.map { .number($0.wholeNanoseconds / 1000) },
                            "packets": .number(Int64(result.mostPackets)),
                        ])
                    )
                }
            )
        ])
    }
}
