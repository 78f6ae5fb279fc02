// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import ArgumentParser
import Foundation
import Testing

@testable import adit

@Suite struct LimitFlagTests {
    private func tcp(_ flags: [String]) throws -> TunnelOrder {
        try #require(try AditCommand.parseAsRoot(["tcp", "5555"] + flags) as? TCPCommand).order()
    }

    private func http(_ flags: [String]) throws -> TunnelOrder {
        try #require(try AditCommand.parseAsRoot(["http", "3000"] + flags) as? HTTPCommand).order()
    }

    @Test func `limits come from flags`() throws {
        let order = try tcp(
            ["--max-connections", "5", "--connection-rate", "10/s", "--bandwidth", "2MB", "--proxy-protocol", "v2"]
        )
        #expect(
            order.limits
                == TunnelLimits(maxConnections: 5, connectionRate: Rate("10/s"), bandwidth: Bandwidth("2MB"))
        )
        #expect(order.proxyProtocol == .v2)
        #expect(try http(["--request-rate", "60/m"]).limits.requestRate == Rate("60/m"))
        #expect(try tcp([]).limits.isEmpty)
    }

    @Test(
        arguments: [
            ["--max-connections", "0"], ["--max-connections", "-1"], ["--connection-rate", "10"],
            ["--connection-rate", "0/s"], ["--bandwidth", "2"], ["--bandwidth", "-2MB"], ["--proxy-protocol", "v3"],
            ["--request-rate", "1/s"],
        ]
    )
    func `limits that make no sense are refused`(flags: [String]) {
        #expect(throws: (any Error).self) { try tcp(flags) }
    }

    @Test func `passwords come from flags, a file and the environment`() throws {
        let path = FileManager.default.temporaryDirectory.path + "/adit-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "# friends\nann:one two\n\nbob:x:y\r\n".write(toFile: path, atomically: true, encoding: .utf8)
        let options = try PasswordOptions.parse(["--auth", "me:secret", "--auth-file", path])
        #expect(
            try options.passwords(environment: ["ADIT_AUTH": "eve:apple"]) == [
                "me:secret", "eve:apple", "ann:one two", "bob:x:y",
            ]
        )
        for text in ["", "# nothing\n", "ann\n", ":x\n", "ann:\n", "a:\u{1}\n"] {
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            #expect(throws: (any Error).self) { try options.passwords(environment: [:]) }
        }
        let plain = try PasswordOptions.parse([])
        #expect(try plain.passwords(environment: ["ADIT_AUTH": ""]) == [])
        #expect(throws: (any Error).self) { try plain.passwords(environment: ["ADIT_AUTH": "nocolon"]) }
    }

    @Test func `a wrong line of a file of passwords is not shown`() throws {
        let path = FileManager.default.temporaryDirectory.path + "/adit-\(UUID().uuidString)"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "ann:good\nhunter2\n".write(toFile: path, atomically: true, encoding: .utf8)
        let options = try PasswordOptions.parse(["--auth-file", path])
        let error = #expect(throws: (any Error).self) { try options.passwords(environment: [:]) }
        let words = String(describing: error)
        #expect(words.contains(":2 is not user:password"))
        #expect(!words.contains("hunter2"))
    }

    @Test func `the keys of a file are those of the flags`() throws {
        let text = """
            [[tunnels]]
            kind = "tcp"
            target = 5555
            maxConnections = 5
            connectionRate = "10/s"
            bandwidth = "500KB"
            proxyProtocol = "v1"
            """
        let order = try #require(try ClientFile(bytes: Array(text.utf8), fileName: "a.toml").orders.first)
        #expect(
            order.limits
                == TunnelLimits(maxConnections: 5, connectionRate: Rate("10/s"), bandwidth: Bandwidth("500KB"))
        )
        #expect(order.proxyProtocol == .v1)
        for wrong in ["proxyProtocol = \"v3\"", "bandwidth = 5", "connectionRate = \"x\"", "maxConnections = 0"] {
            let text = "[[tunnels]]\nkind = \"tcp\"\ntarget = 5555\n\(wrong)\n"
            #expect(throws: (any Error).self) { try ClientFile(bytes: Array(text.utf8), fileName: "a.toml") }
        }
        for wrong in ["proxyProtocol = \"v2\"", "requestRate = \"1/d\""] {
            let text = "[[tunnels]]\nkind = \"http\"\ntarget = 3000\n\(wrong)\n"
            #expect(throws: (any Error).self) { try ClientFile(bytes: Array(text.utf8), fileName: "a.toml") }
        }
    }

    @Test(
        arguments: [
            ("connections", "5", "connection limit 5", "连接数上限 5"),
            ("connection-rate", "10/s", "connection rate 10/s", "连接速率上限 10/s"),
            ("allow-list", "", "not on the allow list", "不在允许的地址内"),
            ("\u{1B}[31mnews", "", "[31mnews", "[31mnews"),
        ]
    )
    func `who was turned away is a row`(reason: String, limit: String, english: String, chinese: String) {
        let turned = TurnedAway(count: 12, period: .seconds(60), reason: reason, limit: limit)
        var screen = ScreenScript(style: ScreenStyle(isTerminal: true))
        #expect(
            screen(.turnedAway(tunnel: "http-3000", turned)) == [
                "  14:02:11  ! turned away 12 visitors in the last 1 min: \(english)"
            ]
        )
        #expect(RefusalWords.reason(turned).chinese == chinese)
    }
}
