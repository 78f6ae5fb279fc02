// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab

/// Tables of plays of paths, as lines and for programs.
enum PathMatrixScreen {
    /// A table: for each pair whether it became direct, when the first byte came, when the direct path, and the packets.
    static func lines(_ rows: [[PathMatrix.Cell]], _ transport: PunchTransport, _ style: ScreenStyle) -> [String] {
        let language = style.language
        let names = rows.first?.map(\.b.description) ?? []
        let first = (names.map(Figures.width).max() ?? 0) + 2
        let cells = rows.map { $0.map(text) }
        let width = max(first, (cells.joined().map { Figures.width($0) }.max() ?? 0) + 2)
        var lines = [
            Text(
                "\(transport.name): rows are A, columns are B; time to the first byte → to the direct path, packets of both",
                zh: "\(transport.name)：行为 A，列为 B；首字节时间 → 直连时间，双方发出的包数"
            ).in(language),
            "",
            "  " + Figures.padded("A \\ B", first) + names.map { Figures.padded($0, width) }.joined(),
        ]
        for (row, texts) in zip(rows, cells) {
            guard let a = row.first?.a else { continue }
            var line = "  " + Figures.padded(a.description, first)
            for (cell, text) in zip(row, texts) {
                let color: ScreenStyle.Color = cell.isDirect ? .green : cell.connectedCount == 0 ? .red : .yellow
                line += style.paint(Figures.padded(text, width), color)
            }
            lines.append(line)
        }
        lines = lines.map { line in
            var line = line
            while line.last == " " { line.removeLast() }
            return line
        }
        let all = Array(rows.joined())
        let connected = all.count { $0.connectedCount == $0.outcomes.count }
        let direct = all.count(where: \.isDirect)
        lines.append("")
        lines.append(
            Text(
                "\(connected) of \(all.count) connected, \(direct) direct",
                zh: "\(all.count) 格中 \(connected) 格连通，\(direct) 格直连"
            ).in(language)
        )
        for cell in all where !(cell.isDirect && cell.forecast.isPlain) {
            let sentence = cell.sentence ?? Text("no path", zh: "没有路径")
            lines.append("  A=\(cell.a) B=\(cell.b): \(sentence.in(language))")
        }
        return lines.map(style.spell)
    }

    /// `✓ 148 → 134 ms, 36`, or `~ 211 ms, 120` for a relayed one.
    private static func text(_ cell: PathMatrix.Cell) -> String {
        guard cell.connectedCount > 0 else { return "✗" }
        let byte = cell.timeToFirstByte.map(number) ?? "?"
        guard let direct = cell.timeToDirect.map(number) else { return "~ \(byte) ms, \(cell.packetCount)" }
        let share = cell.isDirect ? "" : " \(cell.directCount)/\(cell.outcomes.count)"
        return "✓\(share) \(byte) → \(direct) ms, \(cell.packetCount)"
    }

    private static func number(_ time: Duration) -> String { String((time.wholeNanoseconds + 500_000) / 1_000_000) }

    /// Tables for programs: times in whole microseconds.
    static func json(_ tables: [(PunchTransport, [[PathMatrix.Cell]])], _ language: Language) -> JSONLine {
        JSONLine([
            "tables": .array(
                tables.map { transport, rows in
                    let all = Array(rows.joined())
                    return .object(
                        JSONLine([
                            "transport": .string(transport.rawValue),
                            "connected": .number(Int64(all.count { $0.connectedCount == $0.outcomes.count })),
                            "direct": .number(Int64(all.count(where: \.isDirect))),
                            "cells": .array(all.map { .object(cell($0, language)) }),
                        ])
                    )
                }
            )
        ])
    }

    private static func cell(_ cell: PathMatrix.Cell, _ language: Language) -> JSONLine {
        JSONLine([
            "a": .string(cell.a.description),
            "b": .string(cell.b.description),
            "plays": .number(Int64(cell.outcomes.count)),
            "connected": .number(Int64(cell.connectedCount)),
            "direct": .number(Int64(cell.directCount)),
            "firstByte": cell.timeToFirstByte.map { .number($0.wholeNanoseconds / 1000) },
            "timeToDirect": cell.timeToDirect.map { .number($0.wholeNanoseconds / 1000) },
            "packets": .number(Int64(cell.packetCount)),
            "chance": cell.forecast.chance.map { .number(Int64(($0 * 1000).rounded())) },
            "reason": cell.word.map { .string($0) },
            "sentence": cell.sentence.map { .string($0.in(language)) },
        ])
    }
}
