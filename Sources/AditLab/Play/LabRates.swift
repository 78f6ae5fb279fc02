// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
package import AditTraversal

/// How often searches succeed, played many times: prediction, window, birthday and block against the NATs for which they are.
package struct LabRates: Sendable {
    /// One story that is played many times.
    package struct Row: Sendable, Hashable {
        /// Which kind of search; rows of one kind stand together.
        package var kind: Kind
        /// Site A.
        package var a: String
        /// Site B.
        package var b: String
        /// The transport.
        package var transport: PunchTransport
        /// The tactic.
        package var tactic: PlayTactic
        /// How ports are searched.
        package var options: SearchOptions
        /// How many flows other people open at each site's NAT, per second.
        package var flows = 0
        /// Whether the late side's word to begin is made up for.
        package var holdsBack = false
        /// How much later B is told to begin.
        package var lateness = Duration.zero
        /// Numbers of packets of the side that tries, by which success is asked for; empty for any.
        package var marks: [Int] = []
    }

    /// The kinds of search.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case birthday
        case prediction
        case window
        case block
    }

    /// What came of a row.
    package struct Result: Sendable, Hashable {
        /// The row.
        package var row: Row
        /// How often it was played.
        package var playCount: Int
        /// The successes within each mark, or all of them.
        package var successes: [Int]
        /// How long the successful ones took, shortest first.
        package var durations: [Duration]
        /// The most packets that a side spent.
        package var mostPackets: Int

        /// The middle one of the durations; nil when there is none.
        package var median: Duration? { durations.isEmpty ? nil : durations[durations.count / 2] }
        /// The share of plays that succeeded within the last mark, 0 to 1.
        package var rate: Double { playCount == 0 ? 0 : Double(successes.last ?? 0) / Double(playCount) }
    }

    /// How often each row is played.
    package var playCount: Int
    /// The first seed.
    package var firstSeed: UInt64

    /// Makes rates.
    package init(playCount: Int, firstSeed: UInt64 = 1) {
        self.playCount = max(1, playCount)
        self.firstSeed = firstSeed
    }

    /// Plays one row.
    package func play(_ row: Row) throws(LabFailure) -> Result? {
        guard let scenario = row.scenario else { return nil }
        var play = PunchPlay(scenario, row.transport, row.tactic)
        play.options = row.options
        play.options.allowsBlock = true
        play.holdsBack = row.holdsBack
        play.tellsSteps = false
        let marks = row.marks.isEmpty ? [Int.max] : row.marks
        var result = Result(
            row: row,
            playCount: playCount,
            successes: marks.map { _ in 0 },
            durations: [],
            mostPackets: 0
        )
        for number in 0..<playCount {
            let outcome = try play.run(seed: LabSeed(firstSeed &+ UInt64(number)))
            let packets = outcome.sides.values.map(\.packetCount)
            result.mostPackets = max(result.mostPackets, packets.max() ?? 0)
            guard let duration = outcome.duration else { continue }
            result.durations.append(duration)
            // The side that tries is the one that has no sockets to open.
            let tried = outcome.sides[.b]?.packetCount ?? 0
            for (index, mark) in marks.enumerated() where tried <= mark { result.successes[index] += 1 }
        }
        result.durations.sort()
        return result
    }

    /// The rows that are usually played: every tactic over the transports for which it is, with others' flows at the NATs.
    package static var usual: [Row] {
        birthdays + predictions(.udp) + windows(.udp) + blocks + predictions(.tcp) + windows(.tcp) + refused
    }

    private static func options(_ change: (inout SearchOptions) -> Void) -> SearchOptions {
        var options = SearchOptions()
        change(&options)
        return options
    }

    private static var birthdays: [Row] {
        var rows: [Row] = []
        for sockets in [128, 256] {
            for refusing in ["", ",unsol=rst"] where refusing.isEmpty || sockets == 256 {
                let options = options { ($0.sockets, $0.waitsForOpener) = (sockets, true) }
                var row = Row(
                    kind: .birthday,
                    a: "sym" + refusing,
                    b: "port" + refusing,
                    transport: .udp,
                    tactic: .birthday,
                    options: options
                )
                row.marks = [64, 128, 174, 256, 512, 1024]
                rows.append(row)
            }
        }
        rows.append(
            Row(kind: .birthday, a: "sym", b: "port", transport: .udp, tactic: .birthday, options: SearchOptions())
        )
        var tcp = Row(
            kind: .birthday,
            a: "sym",
            b: "port",
            transport: .tcp,
            tactic: .birthday,
            options: SearchOptions()
        )
        tcp.marks = [256, 1024]
        return rows + [tcp]
    }

    private static func predictions(_ transport: PunchTransport) -> [Row] {
        var rows: [Row] = []
        for flows in transport == .udp ? [0, 20, 100, 300] : [0, 20, 100] {
            for window in transport == .udp ? [1, 5, 20, 60] : [5, 20, 60] {
                // No port beyond the window is tried.
                let options = options { ($0.window, $0.probes) = (window, window) }
                var row = Row(
                    kind: .prediction,
                    a: "seq",
                    b: "port",
                    transport: transport,
                    tactic: .prediction,
                    options: options
                )
                row.flows = flows
                rows.append(row)
            }
            var whole = Row(
                kind: .prediction,
                a: "seq",
                b: "port",
                transport: transport,
                tactic: .prediction,
                options: SearchOptions()
            )
            whole.flows = flows
            rows.append(whole)
        }
        return rows
    }

    private static func windows(_ transport: PunchTransport) -> [Row] {
        var rows: [Row] = []
        for flows in [0, 20, 100] {
            for sockets in transport == .udp ? [5, 20, 60] : [10, 40, 60] {
                let options = options { $0.window = sockets }
                var row = Row(
                    kind: .window,
                    a: "seq",
                    b: "seq",
                    transport: transport,
                    tactic: .window,
                    options: options
                )
                row.flows = flows
                rows.append(row)
            }
        }
        guard transport == .udp else { return rows }
        var twos = Row(kind: .window, a: "seq2", b: "seq2", transport: .udp, tactic: .window, options: SearchOptions())
        rows.append(twos)
        twos.flows = 20
        return rows + [twos]
    }

    private static var blocks: [Row] {
        [(2048, [256, 512, 1024]), (512, [256, 512])].flatMap { size, counts in
            counts.map { count in
                let site = "sym,block=20000-\(19_999 + size)"
                return Row(
                    kind: .block,
                    a: site,
                    b: site,
                    transport: .udp,
                    tactic: .block,
                    options: options { $0.probes = count }
                )
            }
        }
    }

    /// Connections through routers that refuse, where both bursts have to leave within one way between the sites.
    private static var refused: [Row] {
        [("seq", "port", PlayTactic.prediction, Kind.prediction), ("seq", "seq", .window, .window)].flatMap {
            a,
            b,
            tactic,
            kind in
            [false, true].map { holdsBack in
                var row = Row(
                    kind: kind,
                    a: a + ",unsol=rst",
                    b: b + ",unsol=rst",
                    transport: .tcp,
                    tactic: tactic,
                    options: SearchOptions()
                )
                row.lateness = .milliseconds(100)
                row.holdsBack = holdsBack
                return row
            }
        }
    }
}

extension LabRates.Row {
    /// What is played; nil when a site's words are wrong.
    var scenario: LabScenario? {
        guard var scenario = try? LabScenario(a, b) else { return nil }
        scenario.foreignFlows = Double(flows)
        scenario.lateness = lateness
        return scenario
    }

    /// What theory expects of the last mark, 0 to 1; nil where it depends on times.
    package var theory: Double? {
        guard lateness == .zero, let scenario else { return nil }
        // From the burst of samples to the punch: the answers, the exchange, and over TCP the handshake before.
        let delay = scenario.latency.inSeconds * (transport == .udp ? 4 : 6)
        switch kind {
        case .birthday:
            return Chances.birthday(
                sockets: options.sockets,
                probes: marks.last ?? options.probes,
                ports: Chances.allPorts
            )
        case .prediction:
            return Chances.prediction(window: options.probes, rate: Double(flows), delay: delay)
        case .window:
            let rates = (Double(flows), Double(flows))
            return Chances.sequenceWindow(sockets: options.window, rates: rates, delay: delay)
        case .block:
            let size = SiteTheory(scenario.boxes(of: .a), transport).portCount
            return Chances.mutualBirthday(sockets: options.probes, ports: size, otherPorts: size)
        }
    }
}
