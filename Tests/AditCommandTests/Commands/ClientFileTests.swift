// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import Testing

@testable import adit

@Suite struct ClientFileTests {
    private static func read(_ text: String) throws -> ClientFile {
        try ClientFile(bytes: Array(text.utf8), fileName: "adit.toml")
    }

    @Test("A file's tunnels become orders")
    func orders() throws {
        let file = try Self.read(
            """
            server = "tunnel.example.com:7000"

            [[tunnels]]
            kind = "http"
            target = "3000"
            name = "blog"
            allow = ["10.0.0.0/8"]
            hostHeader = "keep"
            requestHeaders = { X-From = "adit" }

            [[tunnels]]
            kind = "tcp"
            target = "25565"
            port = 20565
            """
        )
        #expect(file.orders.map(\.name) == ["blog", "tcp-25565"])
        #expect(file.orders[0].hostHeader == .keep && file.orders[0].requestHeaders == ["X-From": "adit"])
        #expect(file.orders[1].port == 20565)
    }

    @Test(
        "A mistake names its line",
        arguments: [
            ("[[tunnels]]\nkind = \"tcp\"\ntarget = \"22\"\n", ErrorCode.riskyPort),
            ("[[tunnels]]\nkind = \"http\"\ntarget = \"nowhere\"\n", .configuration),
            (
                "[[tunnels]]\nkind = \"tcp\"\ntarget = \"1\"\n[[tunnels]]\nkind = \"tcp\"\ntarget = \"localhost:1\"\n",
                .configuration
            ),
            ("", .configuration),
        ]
    )
    func mistakes(text: String, code: ErrorCode) {
        do {
            _ = try Self.read(text)
            Issue.record("the file has a mistake")
        } catch let error as AditError {
            #expect(error.code == code)
            #expect(error.description.contains("adit.toml"))
        } catch let faults as ConfigurationFaults {
            #expect(code == .configuration)
            #expect(faults.description.contains("adit.toml:"))
        } catch {
            Issue.record(error)
        }
    }

    @Test("What a file is for is found from its keys")
    func guesses() {
        let client = Array("[[tunnels]]\nkind = \"http\"\ntarget = \"3000\"\n".utf8)
        #expect(ConfigCheckCommand.guess(client, "f.toml") == .client)
        let server = Array("domain = \"tunnel.example.com\"\n".utf8)
        #expect(ConfigCheckCommand.guess(server, "f.toml") == .server)
    }
}
