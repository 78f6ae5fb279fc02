// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

@Suite("Trouble while a path is looked for")
struct PathTroubleTests {
    /// Gives A's device another address of its network.
    private func move(_ stage: PathStage) throws {
        let host = try #require(stage.world.hosts[.a])
        guard case .v4(let number)? = host.address() else { throw LabTrouble.noAddress }
        host.changeAddresses([InterfaceAddress(.v4(number + 7), prefixLength: 24)])
    }

    private enum LabTrouble: Error {
        case noAddress
    }

    @Test(
        "A path is found although the server passes nothing on for seconds, whenever that begins",
        arguments: [0, 50, 90, 150, 400],
        ["port", "sym"]
    )
    func outage(milliseconds: Int, peer: String) throws {
        var scenario = try PathScenario("port", peer)
        let start = PathPlay.preparation + .milliseconds(milliseconds)
        scenario.outages = [start..<start + .seconds(4)]
        let outcome = try PathPlay(scenario).run(seed: LabSeed(2))
        #expect(outcome.kind == .direct(.udp), "\(outcome.sentences.map(\.english))")
        #expect(outcome.isAgreed, "\(outcome.sentences.map(\.english))")
    }

    @Test("Another network in the middle of it begins the search anew", arguments: [20, 60, 100, 140, 200])
    func movedEarly(milliseconds: Int) throws {
        let outcome = try PathPlay(try PathScenario("port", "port")).run(seed: LabSeed(3)) { stage, isOver in
            guard !isOver else { return }
            stage.lab.after(PathPlay.preparation + .milliseconds(milliseconds)) { try? move(stage) }
        }
        #expect(outcome.kind == .direct(.udp), "\(outcome.sentences.map(\.english))")
        #expect(outcome.isAgreed, "\(outcome.sentences.map(\.english))")
    }

    @Test(
        "Two other networks in short succession are followed by a direct path too",
        arguments: [200, 500, 1200, 1900]
    )
    func movedTwice(milliseconds: Int) throws {
        for (a, b) in [("port", "addr"), ("addr", "port"), ("full", "full")] {
            var play = PathPlay(try PathScenario(a, b))
            play.linger = .seconds(25)
            let moment = PathPlay.preparation + .seconds(5)
            let later = moment + .milliseconds(milliseconds)
            _ = try play.run(seed: LabSeed(4)) { stage, isOver in
                guard isOver else {
                    stage.lab.after(moment) { try? move(stage) }
                    return stage.lab.after(later) { try? move(stage) }
                }
                for site in SiteName.allCases {
                    let report = stage.finders[site]?.machine.report(of: PathStage.device(site.other))
                    #expect(report?.kind == .direct(.udp), "\(a) with \(b): \(site)")
                    #expect(report?.since ?? .zero > .zero + later, "\(a) with \(b): \(site)")
                }
            }
        }
    }

    @Test("Another network under a direct path is followed by a direct path from there", arguments: ["port", "addr"])
    func movedLate(peer: String) throws {
        var play = PathPlay(try PathScenario("port", peer))
        play.linger = .seconds(25)
        let moment = PathPlay.preparation + .seconds(5)
        var reports: [PathReport] = []
        _ = try play.run(seed: LabSeed(4)) { stage, isOver in
            guard isOver else { return stage.lab.after(moment) { try? move(stage) } }
            for site in SiteName.allCases {
                guard let finder = stage.finders[site]?.machine else { continue }
                if let report = finder.report(of: PathStage.device(site.other)) { reports.append(report) }
            }
        }
        #expect(reports.count == 2)
        for report in reports {
            #expect(report.kind == .direct(.udp))
            #expect(report.since > .zero + moment)
        }
    }
}
