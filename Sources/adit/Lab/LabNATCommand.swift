// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import ArgumentParser

/// `adit lab nat A B`
struct LabNATCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nat",
        abstract: "Do two sites reach each other directly? Played in a simulated internet, with the reason.",
        discussion: """
            `adit lab --help` has the words for a site. The same seed gives the same play.

            Tactics: plain; tcp, both connect at once; seven-steps, one after the other, and seven-steps-kept, with the socket
            of step 4 kept; prediction, window, birthday and block search the ports of NATs whose next port is not known.

              adit lab nat addr port --tactic seven-steps
              adit lab nat sym port --tactic birthday
            """
    )

    @Argument(help: "The first site, such as port or sym,unsol=rst.")
    var a: String

    @Argument(help: "The second site.")
    var b: String

    @Flag(help: "Over TCP instead of UDP.")
    var tcp = false

    @Option(help: "The number that decides everything random.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("Packets lost on the way between any two places.", valueName: "percent"))
    var loss = 0.0

    @Option(help: ArgumentHelp("The time from any place to any other.", valueName: "ms"))
    var latency = 20

    @Option(help: ArgumentHelp("How much later B begins.", valueName: "ms"))
    var late = 0

    @Option(help: ArgumentHelp("Flows that other people open at each site's NAT.", valueName: "per second"))
    var flows = 0

    @Flag(name: .customLong("same-carrier"), help: "Both homes are behind one carrier's NAT, that of A's cgn=.")
    var sameCarrier = false

    @Flag(name: .customLong("same-home"), help: "Both hosts are in the home of A.")
    var sameHome = false

    @Option(
        help: ArgumentHelp(
            "How the hosts try: \(PlayTactic.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "tactic"
        )
    )
    var tactic = PlayTactic.plain.rawValue

    @Flag(help: "Every packet on every line.")
    var trace = false

    @Option(help: ArgumentHelp("Write what the internet's lines carried, for Wireshark.", valueName: "file"))
    var pcap: String?

    @Option(help: ArgumentHelp("Write a sequence diagram.", valueName: "file"))
    var mermaid: String?

    @Flag(help: "One JSON object.")
    var json = false

    func run() throws {
        let scenario = try scenario()
        let play = PunchPlay(scenario, tcp ? .tcp : .udp, try LabFlags.tactic(tactic))
        let transport = play.transport
        let verdict = Oracle(scenario).verdict(transport)
        var captured = LabCapture()
        let outcome: PlayOutcome
        do throws(LabFailure) {
            outcome = try play.run(seed: LabSeed(seed)) { lab, isOver in
                if isOver {
                    captured.take(lab, trace: trace, pcap: pcap != nil, mermaid: mermaid != nil)
                } else if trace || pcap != nil || mermaid != nil {
                    lab.record()
                }
            }
        } catch {
            throw LabFlags.failure(error)
        }
        if let pcap { try LabFile.write(captured.pcap, to: pcap) }
        if let mermaid { try LabFile.write(Array(captured.mermaid.utf8), to: mermaid) }
        if json {
            return StandardStream.line(LabJSON.play(outcome, verdict, ProcessFacts.style().language).text)
        }
        for line in LabWords.play(outcome, verdict, ProcessFacts.style()) { StandardStream.line(line) }
        if trace {
            StandardStream.line("")
            for line in captured.lines { StandardStream.line("  " + line) }
        }
    }

    /// What is to be played.
    func scenario() throws(AditError) -> LabScenario {
        if sameCarrier, sameHome {
            throw AditError(
                .usage,
                Text("--same-carrier and --same-home exclude each other", zh: "--same-carrier 与 --same-home 不能同时使用")
            )
        }
        var scenario = LabScenario(try LabFlags.site(a, "A"), try LabFlags.site(b, "B"))
        scenario.loss = try LabFlags.loss(loss)
        scenario.latency = .milliseconds(try LabFlags.number(latency, "--latency", 1...2000))
        scenario.jitter = scenario.latency / 10
        scenario.lateness = .milliseconds(try LabFlags.number(late, "--late", 0...10_000))
        scenario.foreignFlows = Double(try LabFlags.number(flows, "--flows", 0...100_000))
        if sameCarrier { scenario.neighbourhood = .sameCarrier }
        if sameHome { scenario.neighbourhood = .sameRouter }
        return scenario
    }
}
