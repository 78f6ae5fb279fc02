// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import ArgumentParser
import Glibc

/// `adit lab day`
struct LabDayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "day",
        abstract: "A day of many devices: whether any stream breaks, whatever happens to their homes.",
        discussion: """
            Each device is in a home of its own behind one of ten kinds of NAT. Streams between them are opened in the first
            two minutes and talk all day, while routers lose their power, get other addresses, lines fail both ways or one
            way, devices sleep or go to the mobile network, and the server starts anew every six hours. Paths, QUIC and
            streams are those of the product; time is virtual. Exit code 1 when a stream broke, or a byte did not arrive.
            """
    )

    @Option(help: "How many devices there are.")
    var devices = 100

    @Option(help: "How many pairs of them are connected. (2 for each device)")
    var pairs: Int?

    @Option(help: "How many streams there are between all of them.")
    var streams = 1000

    @Option(help: "How many hours it takes.")
    var hours = 24

    @Option(help: "How often something happens to each home in 24 hours.")
    var troubles = 6

    @Option(help: "How many messages each end of a stream sends in an hour.")
    var messages = 4

    @Option(help: "What decides everything that is random.")
    var seed: UInt64 = 1

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        var day = LabDay()
        day.devices = try LabFlags.number(devices, "--devices", 2...8000)
        let most = day.devices * (day.devices - 1) / 2
        day.pairs = try LabFlags.number(pairs ?? min(2 * day.devices, most), "--pairs", 1...most)
        day.streams = try LabFlags.number(streams, "--streams", 1...day.pairs * 1000)
        day.length = .seconds(3600 * (try LabFlags.number(hours, "--hours", 1...240)))
        day.troubles = Double(try LabFlags.number(troubles, "--troubles", 0...1000))
        day.messages = Double(try LabFlags.number(messages, "--messages", 1...3600))
        let start = ContinuousClock.now
        let isWatched = isatty(STDERR_FILENO) == 1
        var tally: LabDayTally
        do {
            var told = 0
            tally = try day.run(seed: LabSeed(seed)) { share in
                let percent = Int(share * 100)
                if isWatched {
                    StandardStream.write("\r\(percent) %", to: STDERR_FILENO)
                } else if percent >= told + 10 {
                    told = percent / 10 * 10
                    StandardStream.write("\(told) %\n", to: STDERR_FILENO)
                }
            }
        } catch let failure as LabFailure {
            throw LabFlags.failure(failure)
        }
        if isWatched { StandardStream.write("\r", to: STDERR_FILENO) }
        tally.sort()
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        let figures = LabDayFigures(
            tally: tally,
            seconds: (ContinuousClock.now - start).inSeconds,
            memory: usage.ru_maxrss * 1024
        )
        if json {
            StandardStream.line(LabDayScreen.json(figures).text)
        } else {
            for line in LabDayScreen.lines(figures, ProcessFacts.style()) { StandardStream.line(line) }
        }
        if tally.findingCount > 0 { throw ExitCode(1) }
    }
}
