// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import ArgumentParser
import Foundation
import Testing

@testable import adit

@Suite("adit lab") struct LabCommandTests {
    private let plain = ScreenStyle()

    private func play(_ a: String, _ b: String, _ style: ScreenStyle) throws -> [String] {
        let scenario = try LabScenario(a, b)
        let outcome = try PunchPlay(scenario, .udp).run(seed: LabSeed(1))
        return LabWords.play(outcome, Oracle(scenario).verdict(.udp), style)
    }

    @Test("A play that works tells both sites, theory, the steps and the time")
    func works() throws {
        let lines = try play("port", "addr,unsol=rst", plain)
        #expect(
            lines.prefix(5) == [
                "A  port", "   router: port-restricted cone (EIM/APDF), keeps the port where it can",
                "B  addr,unsol=rst",
                "   router: address-restricted cone (EIM/ADF), keeps the port where it can",
                "   router: refuses unsolicited packets (RST, ICMP)",
            ]
        )
        #expect(lines.contains("In theory over UDP: certain (plain punch, both send at the same time)"))
        #expect(lines.contains("Played over UDP, 20 ms one way, seed 1:"))
        #expect(lines.contains { $0.hasPrefix("✓ direct after ") && $0.hasSuffix("from the first packet to the peer") })
        #expect(!lines.contains { $0.contains("  else ") })
    }

    @Test("A play that fails tells what was dropped, why, and what else there is")
    func fails() throws {
        let lines = try play("sym", "port", plain)
        #expect(lines.contains("✗ no direct path over UDP"))
        #expect(lines.contains { $0.contains("✗ B's router drops 198.51.100.2:") })
        #expect(
            lines.contains {
                $0.hasPrefix("  B's router does not let 198.51.100.2:") && $0.contains("B has sent only to")
            }
        )
        #expect(lines.contains("   else birthday with 256 open ports and 1024 tries: 98 % likely, about 1280 packets"))
    }

    @Test("Everything is said in Chinese too, and in ASCII where that is all there is")
    func languages() throws {
        let chinese = try play("sym", "port", ScreenStyle(language: .chinese))
        #expect(chinese.contains { $0.hasPrefix("理论上，UDP：") })
        #expect(chinese.contains("✗ UDP 没有直连通路"))
        for line in chinese where line.contains("router") {
            #expect(line.contains("router A") || line.contains("router B"))
        }
        let ascii = try play("port", "port", ScreenStyle(isUnicode: false))
        #expect(ascii.allSatisfy { $0.utf8.allSatisfy { $0 < 128 } })
        #expect(!ascii.contains { $0.contains("?") })
    }

    @Test("The table has a row and a column for each type, and a reason for each missing cell")
    func matrix() throws {
        let sites = try LabMatrix.classicTypes.map { text in try SiteSpecification(text) }
        let rows = try LabMatrix(sites, seedCount: 2).play(.tcp)
        let lines = LabWords.matrix(rows, .tcp, plain)
        #expect(lines[2].split(separator: " ").suffix(4) == ["full", "addr", "port", "sym"])
        #expect(lines.contains("13 of 16 direct"))
        #expect(lines.count(where: { $0.hasPrefix("  A=") }) == 3)
        #expect(lines.filter { $0.contains("✗ 0/2") }.count == 2)
    }

    @Test("The table of paths has a cell for each pair, and a sentence for each that is not plainly direct")
    func paths() throws {
        let sites = try ["full", "sym"].map { text in try SiteSpecification(text) }
        let rows = try PathMatrix(sites, seedCount: 1).play(.udp)
        let lines = PathMatrixScreen.lines(rows, .udp, plain)
        #expect(lines.contains("4 of 4 connected, 3 direct"))
        #expect(lines.count(where: { $0.hasPrefix("  A=sym B=sym: relayed: ") }) == 1)
        let table = PathMatrixScreen.json([(.udp, rows)], .english).text
        #expect(try JSONSerialization.jsonObject(with: Data(table.utf8)) is [String: Any])
        #expect(table.contains("\"reason\":\"both-symmetric\""))
    }

    @Test("JSON is valid and has what programs need", arguments: [("port", "port", true), ("sym", "port", false)])
    func json(a: String, b: String, works: Bool) throws {
        let scenario = try LabScenario(a, b)
        let outcome = try PunchPlay(scenario, .tcp).run(seed: LabSeed(2))
        let text = LabJSON.play(outcome, Oracle(scenario).verdict(.tcp), .english).text
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(object["direct"] as? Bool == works)
        #expect((object["duration"] as? Int != nil) == works)
        #expect((object["reasons"] as? [String])?.isEmpty == works)
        #expect((object["sides"] as? [[String: Any]])?.count == 2)
        let oracle = try #require(object["oracle"] as? [String: Any])
        #expect(oracle["best"] as? String == (works ? "plain" : "birthday"))
        let table = LabJSON.matrix([(.udp, try LabMatrix([scenario.a], seedCount: 1).play(.udp))], .english).text
        #expect(try JSONSerialization.jsonObject(with: Data(table.utf8)) is [String: Any])
    }

    @Test(
        "Wrong words are usage errors with exit code 2",
        arguments: [
            ["nat", "prot", "port"], ["nat", "port"], ["nat", "port", "port", "--loss", "91"],
            ["nat", "port", "port", "--latency", "0"], ["nat", "port", "port", "--tactic", "magic"],
            ["nat", "port", "port", "--same-home", "--same-carrier"],
            ["nat", "port", "port", "--pcap", "/nowhere/at/all"],
            ["matrix", "prot"], ["matrix", "--tactic", "magic"], ["matrix", "--kernel", "full"],
            ["matrix", "--seeds", "0"], ["grid", "--threads", "0"], ["grid", "--seeds", "0"],
            ["nothing"],
        ]
    )
    func usage(words: [String]) async {
        #expect(await AditCommand.execute(["lab"] + words) == 2)
    }

    @Test("A site that is not one is ADIT-902 with the place and the nearest word")
    func siteErrors() throws {
        let error = #expect(throws: AditError.self) { try LabFlags.site("udp=full,tcp=symm", "B") }
        #expect(error?.code == .usage)
        #expect(error?.what.english == "site B: \"tcp=symm\" at character 10 does not describe a site")
        #expect(error?.fix?.english == "write tcp=sym")
    }

    @Test("Captures are files that other programs read")
    func captures() throws {
        let folder = FileManager.default.temporaryDirectory.path + "/adit-lab-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let words = ["sym", "full", "--json", "--pcap", folder + "/a.pcap", "--mermaid", folder + "/a.mmd"]
        try LabNATCommand.parse(words).run()
        let pcap = try Data(contentsOf: URL(fileURLWithPath: folder + "/a.pcap"))
        #expect(pcap.count > 500 && pcap.prefix(4) == Data([0xA1, 0xB2, 0x3C, 0x4D]))
        let diagram = try String(contentsOfFile: folder + "/a.mmd", encoding: .utf8)
        #expect(diagram.hasPrefix("sequenceDiagram\n") && diagram.contains("as router A"))
    }

    @Test("The grid's figures name the command that repeats a disagreement")
    func grid() throws {
        var tally = try LabGrid(seeds: 1...1).play(pair: 0)
        #expect(tally.disagreementCount == 0 && tally.playCount == 2)
        tally.disagreementCount = 1
        tally.disagreements = [
            LabGrid.Disagreement(
                a: NATRule.grid[0],
                b: NATRule.grid[35],
                transport: .tcp,
                seed: LabSeed(9),
                outlook: .never,
                isConnected: true
            )
        ]
        let figures = LabGridFigures(tally: tally, seconds: 2, processorSeconds: 3.04, threads: 2, lossPercent: 5)
        let lines = LabWords.grid(figures, plain)
        #expect(lines[0] == "2 plays, 2 direct; 2.0 s on 2 threads, 3.0 CPU seconds, 1 plays/s")
        #expect(lines[1] == "✗ impossible: adit lab nat full symblk --seed 9 --tcp --loss 5.0")
        #expect(lines[2] == "✗ 1 of 2 plays disagree with theory")
    }
}
