// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import ArgumentParser
import Glibc

/// `adit lab matrix`
struct LabMatrixCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "matrix",
        abstract: "The sixteen pairs of the four classic NAT types: which become direct, how fast, and why not.",
        discussion: """
            Two devices look for a path with everything Adit has, over UDP, and over TCP where neither network lets UDP out. \
            Other sites may be named: `adit lab matrix port fw seq port,cgn=sym`.
            """
    )

    @Argument(help: "The sites of the rows and columns; without them full addr port sym.")
    var sites: [String] = []

    @Flag(help: "UDP alone.")
    var udp = false

    @Flag(help: "TCP alone.")
    var tcp = false

    @Option(help: "How many seeds each pair is played with.")
    var seeds = 3

    @Option(help: "The first seed.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("Packets lost on the way between any two places.", valueName: "percent"))
    var loss = 0.0

    @Option(help: "Only one tactic beside the relay: plain, tcp, seven-steps, prediction, window, birthday, block …")
    var tactic: String?

    @Flag(help: "The lab's bare punches without relay, signalling and searches.")
    var punch = false

    @Flag(help: "In this computer's kernel instead (Linux, root, a checkout of Adit's source).")
    var kernel = false

    @Flag(help: "One JSON object; one for each scene with --kernel.")
    var json = false

    func run() throws {
        if kernel { return try runKernel() }
        let names = sites.isEmpty ? LabMatrix.classicTypes : sites
        _ = try LabFlags.number(names.count, "SITES", 1...16)
        let places = try names.enumerated().map { number, text in try LabFlags.site(text, String(number + 1)) }
        let seedCount = try LabFlags.number(seeds, "--seeds", 1...1000)
        let share = try LabFlags.loss(loss)
        do {
            if punch {
                try playPunches(LabMatrix(places, seedCount: seedCount, firstSeed: seed, loss: share))
            } else {
                let only = try tactic.map(Self.tactic)
                try playPaths(
                    PathMatrix(places, seedCount: seedCount, firstSeed: seed, loss: share, tactic: only)
                )
            }
        } catch let failure as LabFailure {
            throw LabFlags.failure(failure)
        }
    }

    private var transports: [PunchTransport] { udp == tcp ? PunchTransport.allCases : udp ? [.udp] : [.tcp] }

    private func playPaths(_ matrix: PathMatrix) throws {
        let style = ProcessFacts.style()
        let tables = try transports.map { ($0, try matrix.play($0)) }
        if json { return StandardStream.line(PathMatrixScreen.json(tables, style.language).text) }
        for (number, (transport, rows)) in tables.enumerated() {
            if number > 0 { StandardStream.line("") }
            for line in PathMatrixScreen.lines(rows, transport, style) { StandardStream.line(line) }
        }
    }

    private func playPunches(_ matrix: LabMatrix) throws {
        let style = ProcessFacts.style()
        let tables = try transports.map { ($0, try matrix.play($0)) }
        if json { return StandardStream.line(LabJSON.matrix(tables, style.language).text) }
        for (number, (transport, rows)) in tables.enumerated() {
            if number > 0 { StandardStream.line("") }
            for line in LabWords.matrix(rows, transport, style) { StandardStream.line(line) }
        }
    }

    private static func tactic(_ word: String) throws(AditError) -> PathTactic {
        guard let tactic = PathTactic(rawValue: word) else {
            let list = PathTactic.allCases.map(\.rawValue).joined(separator: ", ")
            throw AditError(.usage, Text("--tactic is one of \(list)", zh: "--tactic 可用：\(list)"))
        }
        return tactic
    }

    /// The same table by the source tree's test of real devices behind the kernel's NATs, in whose place this process goes on.
    private func runKernel() throws {
        guard sites.isEmpty, tactic == nil, !punch else {
            throw AditError(
                .usage,
                Text(
                    "--kernel plays the sixteen classic pairs, without SITES, --tactic and --punch",
                    zh: "--kernel 只运行十六种经典组合，不接受 SITES、--tactic 和 --punch"
                )
            )
        }
        guard let package = KernelLabPackage.find(above: KernelLabPackage.places()),
            let slash = package.lastIndex(of: "/")
        else { throw LabKernelCommand.notFound }
        guard geteuid() == 0 else { throw LabKernelCommand.needsRoot("sudo adit lab matrix --kernel") }
        if let own = KernelLabPackage.program() { setenv("ADIT", own, 0) }
        var words = ["python3", "\(package[..<slash])/path_kernel.py", "--matrix"]
        if udp { words.append("--udp") }
        if tcp { words.append("--tcp") }
        if json { words.append("--json") }
        throw LabKernelCommand.become(words)
    }
}
