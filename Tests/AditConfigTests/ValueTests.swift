// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

@Suite struct ValueTests {
    @Test(
        arguments: [
            ("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("1w", 604_800), ("1h30m", 5400),
            ("1d2h3m4s", 93784),
        ]
    )
    func durationIsRead(_ text: String, _ seconds: Int) throws {
        #expect(try DurationText.parse(text) == .seconds(seconds))
    }

    @Test(arguments: [
        "", "5", "m", "1x", "1m1h", "1h1h", "-1s", "1.5h", "0s", "1 h", "99999999999999999999s",
        "4000d", "٣s",
    ])
    func malformedDurationIsRefused(_ text: String) {
        #expect(throws: ValueFault.self) { try DurationText.parse(text) }
    }

    @Test(arguments: ["1s", "59s", "1m", "1m1s", "2h", "1d", "9d23h59m59s"])
    func durationTextIsTheInverseOfParsing(_ text: String) throws {
        #expect(DurationText.describe(try DurationText.parse(text)) == text)
    }

    @Test func portRangesAreJoinedAndSorted() throws {
        let list = try PortRangeList(parsing: "443, 80,20000-20999 ,20500-21000,81")
        #expect(list.description == "80-81,443,20000-21000")
        #expect(list.count == 1004)
        #expect(list.contains(81))
        #expect(!list.contains(82))
        #expect(try PortRangeList(parsing: "65535,1-65534").description == "1-65535")
    }

    @Test(arguments: [
        "", ",", "80,", "0", "65536", "a", "1-", "-1", "1-2-3", "20-10", "+80", "8 0", "٨٠",
    ])
    func malformedPortRangesAreRefused(_ text: String) {
        #expect(throws: ValueFault.self) { try PortRangeList(parsing: text) }
    }

    @Test func frpBandwidthHasOnlyTwoUnits() {
        #expect(Bandwidth("1MB")?.bytesPerSecond == 1_048_576)
        #expect(Bandwidth("100KB")?.bytesPerSecond == 102_400)
        #expect(Bandwidth("1.5MB")?.bytesPerSecond == 1_572_864)
        for text in ["", "MB", "1", "1GB", "1mb", "-1MB", "1e9MB", "infMB", "0KB", "1.2.3MB"] {
            #expect(Bandwidth(text) == nil)
        }
    }
}

@Suite struct ServerValueTests {
    @Test func onePublicPortMayBeANumber() throws {
        let text = Array("publicPorts: 25565\n".utf8)
        let server = try ConfigurationFile.loadServer(bytes: text, fileName: "a.yaml").configuration
        #expect(server.publicPorts == PortRangeList([25565...25565]))
    }
}
