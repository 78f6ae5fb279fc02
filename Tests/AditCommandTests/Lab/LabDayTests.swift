// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import Testing

@testable import adit

@Suite("adit lab day") struct LabDayTests {
    @Test("Streams outlive whatever happens to homes, and every byte arrives once and in order")
    func streamsLast() throws {
        var day = LabDay()
        day.devices = 2
        day.pairs = 1
        day.streams = 4
        day.length = .seconds(3600)
        day.troubles = 120
        day.messages = 30
        let tally = try day.run(seed: LabSeed(2))
        #expect(tally.findings.map(\.words).isEmpty)
        #expect(tally.messageCount > 50)
        #expect(tally.troubles.values.reduce(0, +) > 3)
        // One connection lasts all day: each end took it once.
        #expect(tally.connectionCount == 2)
        #expect(tally.share("direct") > 0.3)
    }

    @Test("A stream that breaks, or lacks a byte, is a finding")
    func findings() {
        let whole = LabDayStream(0, 0, 1)
        let short = LabDayStream(1, 0, 1)
        short.send(100, from: 0, at: .zero)
        let broken = LabDayStream(2, 0, 1)
        broken.breakOff("it was closed")
        var tally = LabDayTally(LabDay(), seed: LabSeed(1))
        for stream in [whole, short, broken] { tally.add(stream) }
        #expect(tally.findingCount == 2)
        #expect(tally.findings.map(\.stream) == [1, 2])
        let figures = LabDayFigures(tally: tally, seconds: 1, memory: 1)
        #expect(LabDayScreen.lines(figures, ScreenStyle()).contains { $0.contains("0 of 100 bytes of d0 arrived") })
    }
}
