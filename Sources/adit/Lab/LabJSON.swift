// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab

/// What the lab showed, for programs: times in whole microseconds, chances in parts of a thousand.
enum LabJSON {
    /// One play.
    static func play(_ outcome: PlayOutcome, _ verdict: OracleVerdict, _ language: Language) -> JSONLine {
        JSONLine([
            "a": .string(outcome.scenario.a.description),
            "b": .string(outcome.scenario.b.description),
            "transport": .string(outcome.transport.rawValue),
            "tactic": .string(outcome.tactic.rawValue),
            "seed": .string(outcome.seed.description),
            "loss": .number(Int64((outcome.scenario.loss * 1000).rounded())),
            "latency": .number(microseconds(outcome.scenario.latency)),
            "oracle": .object(oracle(verdict, language)),
            "direct": .boolean(outcome.isConnected),
            "duration": outcome.duration.map { .number(microseconds($0)) },
            "sides": .array(
                SiteName.allCases.map { .object(side(outcome.sides[$0] ?? PlaySide(), $0, language)) }
            ),
            "reasons": .strings(outcome.reasons.map { $0.in(language) }),
            "steps": .array(
                outcome.steps.map { step in
                    .object(
                        JSONLine([
                            "at": .number(microseconds(step.at)), "drop": .boolean(step.isDrop),
                            "what": .string(step.words.in(language)),
                        ])
                    )
                }
            ),
        ])
    }

    private static func side(_ side: PlaySide, _ name: SiteName, _ language: Language) -> JSONLine {
        JSONLine([
            "site": .string(name.rawValue),
            "local": side.local.map { .string($0.description) },
            "seen": side.seen.map { .string($0.description) },
            "path": side.path.map { .string($0.description) },
            "connected": side.connectedAt.map { .number(microseconds($0)) },
            "packets": .number(Int64(side.packetCount)),
            "failure": side.failure.map { .string($0.words.in(language)) },
        ])
    }

    private static func oracle(_ verdict: OracleVerdict, _ language: Language) -> JSONLine {
        let forecasts = [verdict.plain] + verdict.others
        return JSONLine([
            "best": .string(verdict.best.tactic.word),
            "tactics": .array(
                forecasts.map { forecast in
                    .object(
                        JSONLine([
                            "tactic": .string(forecast.tactic.word),
                            "outlook": .string(forecast.outlook.word),
                            "chance": forecast.outlook.probability.map { .number(Int64(($0 * 1000).rounded())) },
                            "packets": .number(Int64(forecast.packets)),
                            "why": .string(forecast.reason.in(language)),
                        ])
                    )
                }
            ),
        ])
    }

    /// Tables of plays.
    static func matrix(_ tables: [(PunchTransport, [[LabMatrix.Cell]])], _ language: Language) -> JSONLine {
        JSONLine([
            "tables": .array(
                tables.map { transport, rows in
                    .object(
                        JSONLine([
                            "transport": .string(transport.rawValue),
                            "direct": .number(Int64(rows.joined().count(where: \.isDirect))),
                            "cells": .array(rows.joined().map { .object(cell($0, language)) }),
                        ])
                    )
                }
            )
        ])
    }

    private static func cell(_ cell: LabMatrix.Cell, _ language: Language) -> JSONLine {
        JSONLine([
            "a": .string(cell.a.description),
            "b": .string(cell.b.description),
            "plays": .number(Int64(cell.playCount)),
            "direct": .number(Int64(cell.durations.count)),
            "median": cell.median.map { .number(microseconds($0)) },
            "outlook": .string(cell.verdict.plain.outlook.word),
            "best": .string(cell.verdict.best.tactic.word),
            "why": .string(cell.verdict.plain.reason.in(language)),
        ])
    }

    /// What the grid cost and showed.
    static func grid(_ figures: LabGridFigures) -> JSONLine {
        JSONLine([
            "plays": .number(Int64(figures.tally.playCount)),
            "direct": .number(Int64(figures.tally.connectedCount)),
            "tested": .number(Int64(figures.tally.testedCount)),
            "disagreements": .number(Int64(figures.tally.disagreementCount)),
            "threads": .number(Int64(figures.threads)),
            "wall": .number(Int64(figures.seconds * 1_000_000)),
            "cpu": .number(Int64(figures.processorSeconds * 1_000_000)),
        ])
    }

    private static func microseconds(_ duration: Duration) -> Int64 {
        duration.wholeNanoseconds / 1000
    }
}
