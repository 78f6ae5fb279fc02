// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What a day cost.
struct LabDayFigures: Sendable {
    var tally: LabDayTally
    var seconds: Double
    /// The most memory that the process had, in bytes.
    var memory: Int
}

/// A day, as lines and for programs.
enum LabDayScreen {
    static func lines(_ figures: LabDayFigures, _ style: ScreenStyle) -> [String] {
        let tally = figures.tally
        let day = tally.day
        let language = style.language
        let hours = Int(day.length / .seconds(3600))
        var lines = [
            Text(
                "\(day.devices) devices, \(day.streams) streams, \(hours) h of virtual time in "
                    + "\(Int(figures.seconds.rounded())) s; seed \(tally.seed)",
                zh: "\(day.devices) 台设备，\(day.streams) 条流，虚拟时间 \(hours) 小时，用时 "
                    + "\(Int(figures.seconds.rounded())) 秒；种子 \(tally.seed)"
            ).in(language),
            Text(
                "\(tally.messageCount) messages, \(Figures.bytes(UInt64(tally.byteCount))); \(tally.packets) packets, "
                    + "\(tally.signals) signals",
                zh: "\(tally.messageCount) 条消息，\(Figures.bytes(UInt64(tally.byteCount)))；\(tally.packets) 个数据包，"
                    + "\(tally.signals) 条信令"
            ).in(language),
            Text(
                "paths: \(percent(tally.share("direct"))) of the time direct, \(percent(tally.share("relayed"))) relayed, "
                    + "\(percent(tally.share("none"))) none",
                zh: "路径：直连 \(percent(tally.share("direct")))，中继 \(percent(tally.share("relayed")))，"
                    + "无 \(percent(tally.share("none")))"
            ).in(language),
            Text(
                "messages took \(time(tally.delay(at: 0.5))); 1 of 100 more than \(time(tally.delay(at: 0.99))), "
                    + "the slowest \(time(tally.delay(at: 1)))",
                zh: "消息用时 \(time(tally.delay(at: 0.5)))；百分之一超过 \(time(tally.delay(at: 0.99)))，"
                    + "最慢 \(time(tally.delay(at: 1)))"
            ).in(language),
        ]
        let troubles = tally.troubles.sorted { $0.key < $1.key }.map { "\($0.value) × \($0.key)" }
        lines.append(troubles.joined(separator: ", "))
        for finding in tally.findings {
            lines.append(style.paint("✗", .red) + " stream \(finding.stream), \(finding.words)")
        }
        let isGood = tally.findingCount == 0
        let words = Text(
            isGood
                ? "every stream lasted, and every byte arrived once and in order"
                : "\(tally.findingCount) of \(day.streams) streams are not as they should be",
            zh: isGood ? "所有流全程不断，每个字节都按序到达且只到一次" : "\(day.streams) 条流中有 \(tally.findingCount) 条不正常"
        )
        lines.append("\(isGood ? style.paint("✓", .green) : style.paint("✗", .red)) \(words.in(language))")
        return lines.map(style.spell)
    }

    static func json(_ figures: LabDayFigures) -> JSONLine {
        let tally = figures.tally
        return JSONLine([
            "devices": .number(Int64(tally.day.devices)),
            "streams": .number(Int64(tally.day.streams)),
            "messages": .number(Int64(tally.messageCount)),
            "bytes": .number(Int64(tally.byteCount)),
            "packets": .number(Int64(tally.packets)),
            "signals": .number(Int64(tally.signals)),
            "events": .number(Int64(tally.events)),
            "connections": .number(Int64(tally.connectionCount)),
            "faults": .number(Int64(tally.findingCount)),
            "direct": .number(Int64(tally.share("direct") * 1_000_000)),
            "relayed": .number(Int64(tally.share("relayed") * 1_000_000)),
            "delayMedian": .number(tally.delay(at: 0.5).wholeNanoseconds / 1000),
            "delayMost": .number(tally.delay(at: 1).wholeNanoseconds / 1000),
            "memory": .number(Int64(figures.memory)),
            "wall": .number(Int64(figures.seconds * 1_000_000)),
        ])
    }

    private static func percent(_ share: Double) -> String {
        let tenths = Int((share * 1000).rounded())
        return "\(tenths / 10).\(tenths % 10) %"
    }

    private static func time(_ duration: Duration) -> String { Figures.duration(duration) }
}
