// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import AditClient

@Suite struct TunnelTargetTests {
    @Test(
        "What people type is understood",
        arguments: [
            ("3000", "http://localhost:3000", "3000"),
            (":3000", "http://localhost:3000", "3000"),
            ("localhost:3000", "http://localhost:3000", "3000"),
            ("http://localhost:3000/", "http://localhost:3000", "3000"),
            ("HTTP://Nas.local", "http://nas.local", "nas.local:80"),
            ("https://localhost:8443", "https://localhost:8443", "https://localhost:8443"),
            ("https://nas", "https://nas", "https://nas"),
            ("192.168.1.5:8080", "http://192.168.1.5:8080", "192.168.1.5:8080"),
            ("[::1]:3000", "http://[::1]:3000", "[::1]:3000"),
        ]
    )
    func understands(text: String, description: String, argument: String) throws {
        let target = try TunnelTarget(parsing: text, scheme: .http)
        #expect(target.description == description)
        #expect(target.argument == argument)
    }

    @Test("A tcp target has no scheme in front")
    func describesTCP() throws {
        #expect(try TunnelTarget(parsing: "22", scheme: .tcp).description == "localhost:22")
        #expect(try TunnelTarget(parsing: "tcp://nas:22", scheme: .tcp).description == "nas:22")
    }

    @Test(
        "Anything else is refused with the accepted forms",
        arguments: [
            "", "0", "65536", "999999", "host", "host:", "host:x", "ftp://host:21", "http://host:80/path", "a b:80",
            "http://user@host:80", "::1", "[::1]", "-3000", "3000/tcp",
        ]
    )
    func refuses(text: String) {
        #expect {
            try TunnelTarget(parsing: text, scheme: .http)
        } throws: { error in
            (error as? AditError)?.code == .usage
        }
    }

    @Test("An address of a web page is not a tcp target, nor the reverse")
    func keepsSchemesApart() {
        #expect(throws: AditError.self) { try TunnelTarget(parsing: "http://localhost:3000", scheme: .tcp) }
        #expect(throws: AditError.self) { try TunnelTarget(parsing: "tcp://localhost:3000", scheme: .http) }
    }

    @Test("The Host header of a target leaves a default port out")
    func authority() throws {
        #expect(try TunnelTarget(parsing: "http://nas", scheme: .http).authority == "nas")
        #expect(try TunnelTarget(parsing: "https://nas", scheme: .http).authority == "nas")
        #expect(try TunnelTarget(parsing: "[::1]:3000", scheme: .http).authority == "[::1]:3000")
    }

    @Test("A very long text is cut in the error")
    func cutsLongText() {
        #expect {
            try TunnelTarget(parsing: String(repeating: "x", count: 5000), scheme: .http)
        } throws: { error in
            ((error as? AditError)?.what.english.count ?? 0) < 200
        }
    }
}
