// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("The grid of NAT kinds")
struct LabGridTests {
    private static let isQuick: Bool = {
        var isDebug = false
        assert({ isDebug = true }() == ())
        return isDebug
    }()

    private func expectAgreement(_ grid: LabGrid, pairs: [Int]) throws {
        var tally = LabGrid.Tally()
        for pair in pairs { tally.add(try grid.play(pair: pair)) }
        for wrong in tally.disagreements {
            let pair = "adit lab nat \(wrong.a.text) \(wrong.b.text) --seed \(wrong.seed) --loss \(grid.loss * 100)"
            Issue.record("\(pair) (\(wrong.transport)): \(wrong.outlook), connected: \(wrong.isConnected)")
        }
        #expect(tally.disagreementCount == 0)
        #expect(tally.testedCount == tally.playCount)
        #expect(tally.connectedCount > 0 && tally.connectedCount < tally.playCount)
    }

    @Test("Every pair ends as the oracle says, with and without loss", arguments: [0, 0.05])
    func everyPair(loss: Double) throws {
        let grid = LabGrid(seeds: Self.isQuick ? 1...1 : 1...20, loss: loss)
        #expect(grid.pairCount == 1296)
        // Without optimization one pair in seven, which still visits every kind on both sides.
        let pairs = stride(from: 0, to: grid.pairCount, by: Self.isQuick ? 7 : 1)
        try expectAgreement(grid, pairs: Array(pairs))
    }

    @Test("Routers that refuse what nobody asked for change nothing", arguments: [0, 0.05])
    func refusing(loss: Double) throws {
        var grid = LabGrid(seeds: 100...101, loss: loss)
        grid.unsolicited = .reset
        try expectAgreement(grid, pairs: Array(stride(from: 3, to: grid.pairCount, by: Self.isQuick ? 23 : 1)))
    }

    @Test("Of a pair's plays with the same mapping and filtering, the allocation decides nothing")
    func allocation() throws {
        let grid = LabGrid(seeds: 1...1)
        for start in [0, 12, 24] {
            let tallies = try (0..<4).map { try grid.play(pair: (start + $0) * 36 + start + 8) }
            #expect(Set(tallies.map(\.connectedCount)).count == 1)
        }
    }
}

@Suite("The table of pairs")
struct LabMatrixTests {
    @Test(
        "The classic table has thirteen direct cells over each transport, and a reason for each other",
        arguments: PunchTransport.allCases
    )
    func classic(transport: PunchTransport) throws {
        let sites = try LabMatrix.classicTypes.map { text in try SiteSpecification(text) }
        let rows = try LabMatrix(sites, seedCount: 3).play(transport)
        let cells = rows.flatMap { $0 }
        #expect(cells.count(where: \.isDirect) == 13)
        for cell in cells {
            #expect(cell.isDirect == (cell.verdict.plain.outlook == .certain))
            #expect(cell.durations.isEmpty != cell.isDirect)
            #expect(cell.durations == cell.durations.sorted())
            if let median = cell.median { #expect(median < .milliseconds(250)) }
        }
    }
}
