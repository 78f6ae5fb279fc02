// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab

/// What a run of the grid of paths cost and showed.
struct PathGridFigures: Sendable {
    var tally: PathGrid.Tally
    var seconds: Double
    var threads: Int
}

/// The grid of paths, as lines and for programs.
enum PathGridScreen {
    static func lines(_ figures: PathGridFigures, _ style: ScreenStyle) -> [String] {
        let tally = figures.tally
        let seconds = Int(figures.seconds.rounded())
        var lines = [
            Text(
                "\(tally.playCount) plays, \(tally.directCount) direct, \(tally.relayedCount) relayed; \(seconds) s on "
                    + "\(figures.threads) threads",
                zh: "\(tally.playCount) 次模拟，\(tally.directCount) 次直连，\(tally.relayedCount) 次中继；"
                    + "\(figures.threads) 线程用时 \(seconds) 秒"
            ).in(style.language)
        ]
        if tally.searchCount > 0 {
            lines.append(
                Text(
                    "\(tally.foundCount) of \(tally.searchCount) searches succeeded, theory expects "
                        + "\(Int(tally.expectedCount.rounded()))",
                    zh: "\(tally.searchCount) 次搜索中 \(tally.foundCount) 次成功，理论预期 \(Int(tally.expectedCount.rounded())) 次"
                ).in(style.language)
            )
        }
        let times = tally.plainTimes.sorted()
        if let most = times.last {
            let middle = times[times.count / 2]
            lines.append(
                Text(
                    "plain direct paths without loss: \(middle / 1000) ms, at most \(most / 1000) ms",
                    zh: "无丢包时的普通直连：中位 \(middle / 1000) ms，最长 \(most / 1000) ms"
                ).in(style.language)
            )
        }
        for finding in tally.findings {
            lines.append(
                style.paint("✗", .red)
                    + " \(finding.fault.rawValue): A=\(finding.a) B=\(finding.b), seed \(finding.seed), "
                    + "\(Int((finding.loss * 100).rounded())) % lost: \(finding.what)"
            )
        }
        let sign = tally.faultCount == 0 ? style.paint("✓", .green) : style.paint("✗", .red)
        let words = Text(
            "\(tally.faultCount) of \(tally.playCount) plays end otherwise than theory says",
            zh: "\(tally.playCount) 次中有 \(tally.faultCount) 次与理论不符"
        )
        lines.append("\(sign) \(words.in(style.language))")
        return lines.map(style.spell)
    }

    static func json(_ figures: PathGridFigures) -> JSONLine {
        let tally = figures.tally
        let times = tally.plainTimes.sorted()
        return JSONLine([
            "plays": .number(Int64(tally.playCount)),
            "direct": .number(Int64(tally.directCount)),
            "relayed": .number(Int64(tally.relayedCount)),
            "searches": .number(Int64(tally.searchCount)),
            "found": .number(Int64(tally.foundCount)),
            "expected": .number(Int64(tally.expectedCount.rounded())),
            "faults": .number(Int64(tally.faultCount)),
            "plainMedian": times.isEmpty ? nil : .number(times[times.count / 2]),
            "plainMost": times.last.map { .number($0) },
            "threads": .number(Int64(figures.threads)),
            "wall": .number(Int64(figures.seconds * 1_000_000)),
        ])
    }
}
