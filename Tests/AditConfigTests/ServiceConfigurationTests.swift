// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import Testing

@Suite struct ServiceConfigurationTests {
    private static func load(_ text: String) throws -> ClientConfiguration {
        try ConfigurationFile.loadClient(bytes: Array(text.utf8), fileName: "a.toml").configuration
    }

    @Test func `reads every key of a service`() throws {
        let file = try Self.load(
            """
            [[services]]
            target = "ssh"

            [[services]]
            kind = "udp"
            target = 53
            name = "dns"
            allow = ["laptop", "phone"]
            secret = "open sesame"
            idle = "5s"
            """
        )
        #expect(file.services.map(\.target) == ["ssh", "53"])
        #expect(file.services.map(\.kind) == [.tcp, .udp])
        #expect(file.services.map(\.name) == [nil, "dns"])
        #expect(file.services.last?.allow == ["laptop", "phone"])
        #expect(file.services.last?.secret == "open sesame")
        #expect(file.services.last?.idle == .seconds(5))
    }

    @Test(arguments: [
        "name = \"x\"", "target = \"http://a\"", "target = 0", "target = \"ssh\"\nallow = []",
        "target = \"ssh\"\nallow = [\"a/b\"]", "target = \"ssh\"\nsecret = \"\"", "target = \"ssh\"\nname = \"a/b\"",
        "target = \"ssh\"\nidle = \"5s\"", "target = \"ssh\"\nallowed = [\"a\"]",
    ])
    func `refuses what would open more than was meant`(keys: String) {
        #expect(throws: (any Error).self) { try Self.load("[[services]]\n" + keys) }
    }
}
