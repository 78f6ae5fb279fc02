// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import ArgumentParser
import Glibc

/// `adit lab grid`
struct LabGridCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grid",
        abstract:
            "Play every pair of 36 kinds of NAT and compare with theory: how fast the lab is, and whether it is right.",
        discussion: "Exit code 1 when a play does not end as theory says."
    )

    @Option(help: "How many seeds each pair is played with.")
    var seeds = 20

    @Option(help: "The first seed.")
    var seed: UInt64 = 1

    @Option(help: "How many threads play.")
    var threads = 2

    @Option(help: ArgumentHelp("Packets lost on the way between any two places.", valueName: "percent"))
    var loss = 0.0

    @Flag(
        help:
            "Devices that look for paths with everything Adit has, instead of bare punches, over losses of 0 to 5 percent."
    )
    var paths = false

    @Option(help: "How many of the seeds pairs are played with that need a search, with --paths.")
    var searchSeeds = 4

    @Option(help: "Only every n-th pair, with --paths.")
    var every = 1

    @Flag(help: "UDP alone.")
    var udp = false

    @Flag(help: "TCP alone.")
    var tcp = false

    @Flag(help: "One JSON object.")
    var json = false

    func run() async throws {
        let count = try LabFlags.number(seeds, "--seeds", 1...10_000)
        guard let last = Optional(seed.addingReportingOverflow(UInt64(count - 1))), !last.overflow else {
            throw AditError(.usage, Text("--seed is too large", zh: "--seed 太大"))
        }
        if paths { return try await runPaths(seeds: seed...last.partialValue) }
        var grid = LabGrid(seeds: seed...last.partialValue, loss: try LabFlags.loss(loss))
        if udp != tcp { grid.transports = udp ? [.udp] : [.tcp] }
        let workers = try LabFlags.number(threads, "--threads", 1...64)
        let start = ContinuousClock.now
        let cpuStart = Self.processorSeconds()
        let tally: LabGrid.Tally
        do {
            tally = try await Self.play(grid, threads: workers)
        } catch let failure as LabFailure {
            throw LabFlags.failure(failure)
        }
        let figures = LabGridFigures(
            tally: tally,
            seconds: (ContinuousClock.now - start).inSeconds,
            processorSeconds: Self.processorSeconds() - cpuStart,
            threads: workers,
            lossPercent: loss
        )
        if json {
            StandardStream.line(LabJSON.grid(figures).text)
        } else {
            for line in LabWords.grid(figures, ProcessFacts.style()) { StandardStream.line(line) }
        }
        if tally.disagreementCount > 0 { throw ExitCode(1) }
    }

    private func runPaths(seeds: ClosedRange<UInt64>) async throws {
        var grid = PathGrid(
            seeds: seeds,
            searchSeedCount: try LabFlags.number(searchSeeds, "--search-seeds", 1...10_000)
        )
        if loss > 0 { grid.losses = [try LabFlags.loss(loss)] }
        let workers = try LabFlags.number(threads, "--threads", 1...64)
        let step = try LabFlags.number(every, "--every", 1...grid.pairCount)
        let start = ContinuousClock.now
        let tally: PathGrid.Tally
        do {
            tally = try await Self.play(grid, every: step, threads: workers)
        } catch let failure as LabFailure {
            throw LabFlags.failure(failure)
        }
        let figures = PathGridFigures(tally: tally, seconds: (ContinuousClock.now - start).inSeconds, threads: workers)
        if json {
            StandardStream.line(PathGridScreen.json(figures).text)
        } else {
            for line in PathGridScreen.lines(figures, ProcessFacts.style()) { StandardStream.line(line) }
        }
        if tally.faultCount > 0 || !PathGrid.isFair(tally) { throw ExitCode(1) }
    }

    private static func play(_ grid: PathGrid, every step: Int, threads: Int) async throws -> PathGrid.Tally {
        try await withThrowingTaskGroup(of: PathGrid.Tally.self) { group in
            for worker in 0..<threads {
                group.addTask {
                    var tally = PathGrid.Tally()
                    for pair in stride(from: worker * step, to: grid.pairCount, by: threads * step) {
                        tally.add(try grid.play(pair: pair))
                    }
                    return tally
                }
            }
            var all = PathGrid.Tally()
            for try await tally in group { all.add(tally) }
            return all
        }
    }

    /// Plays all pairs; each thread takes every n-th, because neighbours in the grid cost alike.
    private static func play(_ grid: LabGrid, threads: Int) async throws -> LabGrid.Tally {
        try await withThrowingTaskGroup(of: LabGrid.Tally.self) { group in
            for worker in 0..<threads {
                group.addTask {
                    var tally = LabGrid.Tally()
                    for pair in stride(from: worker, to: grid.pairCount, by: threads) {
                        tally.add(try grid.play(pair: pair))
                    }
                    return tally
                }
            }
            var all = LabGrid.Tally()
            for try await tally in group { all.add(tally) }
            return all
        }
    }

    private static func processorSeconds() -> Double {
        var time = timespec()
        guard clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 else { return 0 }
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}

/// What a run of the grid cost and showed.
struct LabGridFigures: Sendable {
    var tally: LabGrid.Tally
    var seconds: Double
    var processorSeconds: Double
    var threads: Int
    var lossPercent: Double
}
