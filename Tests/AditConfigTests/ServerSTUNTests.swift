// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

@Suite struct ServerSTUNTests {
    private func read(_ text: String) throws -> STUNConfiguration {
        try ConfigurationFile.loadServer(bytes: Array(text.utf8), fileName: "server.toml").configuration.stun
    }

    private func faults(_ text: String) throws -> String {
        try #require(throws: ConfigurationFaults.self) { try read(text) }.description
    }

    @Test func aFileThatSaysNothingLeavesEveryWishOpen() throws {
        #expect(try read("") == STUNConfiguration())
        #expect(try read("").isOn)
        #expect(try read("stun = false").isOn == false)
    }

    @Test func theKeysOfSTUNAreRead() throws {
        let stun = try read(
            """
            stunPort = 0
            stunTLSPort = 443
            stunAlternatePort = 0
            stunAddresses = ["203.0.113.5", "203.0.113.6/10.0.0.6", "2001:db8::5"]
            stunRate = 10
            """
        )
        #expect(stun.port == 0)
        #expect(stun.tlsPort == 443)
        #expect(stun.alternatePort == 0)
        #expect(stun.addresses.map(\.own.description) == ["203.0.113.5", "10.0.0.6", "2001:db8::5"])
        #expect(stun.addresses.map(\.announced.description) == ["203.0.113.5", "203.0.113.6", "2001:db8::5"])
        #expect(stun.rate == 10)
    }

    @Test(arguments: [
        "x", "", "0.0.0.0", "::", "1.2.3.4/", "/1.2.3.4", "1.2.3.4/::1", "1.2.3.4/5.6.7.8/9.9.9.9", "1.2.3.4:5",
    ])
    func whatIsNoAddressIsAFault(_ text: String) throws {
        #expect(try faults("stunAddresses = [\"\(text)\"]").contains("is not an IP address"))
    }

    @Test func moreThanRFC5780CanUseIsAFault() throws {
        let three = try faults("stunAddresses = [\"192.0.2.1\", \"192.0.2.2\", \"192.0.2.3\"]")
        #expect(three.contains("two addresses of a family"))
        #expect(try faults("stunAddresses = [\"192.0.2.1\", \"192.0.2.1\"]").contains("twice"))
        #expect(try faults("stunAddresses = [\"192.0.2.1/10.0.0.1\", \"192.0.2.1/10.0.0.2\"]").contains("twice"))
    }

    @Test func bothPortsHaveToDiffer() throws {
        #expect(try faults("stunAlternatePort = 3478").contains("both 3478"))
        #expect(try read("stunPort = 0\nstunAlternatePort = 0").alternatePort == 0)
    }
}
