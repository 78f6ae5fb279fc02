// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

@Suite struct ServerTURNTests {
    private func read(_ text: String) throws -> TURNConfiguration {
        try ConfigurationFile.loadServer(bytes: Array(text.utf8), fileName: "server.toml").configuration.turn
    }

    private func faults(_ text: String) throws -> String {
        try #require(throws: ConfigurationFaults.self) { try read(text) }.description
    }

    @Test func aFileThatSaysNothingRelaysWithinLimits() throws {
        let turn = try read("")
        #expect(turn == TURNConfiguration())
        #expect(turn.isOn && !turn.allowsPrivatePeers && turn.secret == nil && turn.allowedPeers.isEmpty)
        #expect(turn.maximumAllocationsPerDevice == 32 && turn.packetsPerDevice == 100_000)
        #expect(try read("turn = false").isOn == false)
    }

    @Test func theKeysOfTURNAreRead() throws {
        let turn = try read(
            """
            turnPorts = "50000-50100"
            turnAllowPrivatePeers = true
            turnAllowedPeers = ["127.0.0.0/8", "fd00::/8"]
            turnRefusedPeers = ["10.0.0.1"]
            turnMaxAllocations = 10
            turnMaxAllocationsPerDevice = 2
            turnBandwidthPerDevice = "2MB"
            turnPacketsPerDevice = 50
            turnSecret = "sixteen bytes ok"
            """
        )
        #expect(turn.ports == 50000...50100)
        #expect(turn.allowsPrivatePeers)
        #expect(turn.allowedPeers == [CIDR("127.0.0.0/8"), CIDR("fd00::/8")].compactMap { $0 })
        #expect(turn.refusedPeers == [CIDR("10.0.0.1")].compactMap { $0 })
        #expect(turn.maximumAllocations == 10 && turn.maximumAllocationsPerDevice == 2)
        #expect(turn.bandwidthPerDevice == Bandwidth("2MB") && turn.packetsPerDevice == 50)
        #expect(turn.secret == "sixteen bytes ok")
        #expect(try read("turnPorts = 50000").ports == 50000...50000)
    }

    @Test(arguments: ["80-90", "1023-2000", "2000-1999", "x", "", "-5", "5000-", "1-2-3", "65536"])
    func whatIsNoRangeIsAFault(_ text: String) throws {
        #expect(try faults("turnPorts = \"\(text)\"").contains("is not a range of ports"))
    }

    @Test func otherFaultsAreNamed() throws {
        #expect(try faults("turnSecret = \"short\"").contains("16 to 1024"))
        #expect(try faults("turnAllowedPeers = [\"everyone\"]").contains("is not an address or a block"))
        #expect(try faults("turnBandwidthPerDevice = \"fast\"").contains("is not a bandwidth"))
        #expect(throws: ConfigurationFaults.self) { try read("turnMaxAllocations = 0") }
        #expect(throws: ConfigurationFaults.self) { try read("turnPacketsPerDevice = 0") }
    }
}
