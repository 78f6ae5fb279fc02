// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import ArgumentParser

/// `adit lab matrix`
struct LabMatrixCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "matrix",
        abstract: "Which of the sixteen pairs of the four classic NAT types reach each other directly.",
        discussion: "Other sites may be named: `adit lab matrix port fw seq port,cgn=sym`."
    )

    @Argument(help: "The sites of the rows and columns; without them full addr port sym.")
    var sites: [String] = []

    @Flag(help: "UDP alone.")
    var udp = false

    @Flag(help: "TCP alone.")
    var tcp = false

    @Option(help: "How many seeds each pair is played with.")
    var seeds = 5

    @Option(help: "The first seed.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("Packets lost on the way between any two places.", valueName: "percent"))
    var loss = 0.0

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        let names = sites.isEmpty ? LabMatrix.classicTypes : sites
        _ = try LabFlags.number(names.count, "SITES", 1...16)
        let matrix = LabMatrix(
            try names.enumerated().map { number, text in try LabFlags.site(text, String(number + 1)) },
            seedCount: try LabFlags.number(seeds, "--seeds", 1...1000),
            firstSeed: seed,
            loss: try LabFlags.loss(loss)
        )
        let style = ProcessFacts.style()
        var tables: [(PunchTransport, [[LabMatrix.Cell]])] = []
        for transport in udp == tcp ? PunchTransport.allCases : udp ? [.udp] : [.tcp] {
            do throws(LabFailure) {
                tables.append((transport, try matrix.play(transport)))
            } catch {
                throw LabFlags.failure(error)
            }
        }
        if json { return StandardStream.line(LabJSON.matrix(tables, style.language).text) }
        for (number, (transport, rows)) in tables.enumerated() {
            if number > 0 { StandardStream.line("") }
            for line in LabWords.matrix(rows, transport, style) { StandardStream.line(line) }
        }
    }
}
