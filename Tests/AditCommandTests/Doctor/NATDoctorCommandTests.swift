// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import ArgumentParser
import Testing

@testable import adit

@Suite struct NATDoctorCommandTests {
    private static let server = JoinedServer(
        host: "tunnel.example.com",
        port: 7000,
        fingerprint: "SHA256:x",
        deviceName: "mei-laptop",
        serverName: "t",
        domain: "",
        joinedAt: 1
    )

    @Test func `named servers are asked, and the joined one is not`() throws {
        let command = try parse("--stun", "stun.example.com", "--stun", "[2001:db8::1]:5000", "--stun", "10.0.0.1:1")
        let question = try command.question(joined: { Self.server })
        #expect(
            question.servers == [
                HostPort(host: "stun.example.com", port: 3478), HostPort(host: "2001:db8::1", port: 5000),
                HostPort(host: "10.0.0.1", port: 1),
            ]
        )
        #expect(!question.measuresLifetime && question.interface == nil && question.page == nil)
    }

    @Test func `without names the joined server is asked at the usual port`() throws {
        let command = try parse("--lifetime", "--interface", "eth1", "--page", "http://a.example/generate_204")
        let question = try command.question(joined: { Self.server })
        #expect(question.servers == [HostPort(host: "tunnel.example.com", port: 3478)])
        #expect(question.measuresLifetime && question.interface == "eth1")
        #expect(question.page == NATDoctor.WebPage("http://a.example/generate_204"))
    }

    @Test func `the joined server's own page is looked at, unless another is named or it shows no names`() throws {
        var server = Self.server
        #expect(try parse().question(joined: { server }).page == nil)
        server.httpPort = 8080
        let page = try #require(try parse().question(joined: { server }).page)
        #expect(page.place == HostPort(host: "tunnel.example.com", port: 8080))
        #expect(page.path == "/.well-known/adit-check" && page.status == 204)
        #expect(try parse("--page", "http://a.example/").question(joined: { server }).page?.place.host == "a.example")
        #expect(try parse("--stun", "stun.example.com").question(joined: { server }).page == nil)
    }

    @Test func `nobody is asked who was not named or joined`() throws {
        let command = try parse()
        let error = #expect(throws: AditError.self) { try command.question(joined: { nil }) }
        #expect(error?.code == .notJoined)
        #expect(error?.fix?.english.contains("--stun HOST") == true)
        #expect(error?.fix?.chinese.contains("--stun") == true)
    }

    @Test(arguments: ["", ":3478", "host:0", "host:99999", "a b", "http://host", "host:\u{1B}[2J"])
    func `what is no server is refused`(_ text: String) throws {
        let command = try parse("--stun", text)
        let error = #expect(throws: AditError.self) { try command.question(joined: { Self.server }) }
        #expect(error?.code == .usage)
    }

    @Test(arguments: [
        "https://a.example/", "a.example", "http://a.example:8080/", "http://a.example/\r\nX: y", "http:///",
    ])
    func `what is no plain web page is refused`(_ text: String) throws {
        let command = try parse("--stun", "h", "--page", text)
        let error = #expect(throws: AditError.self) { try command.question(joined: { nil }) }
        #expect(error?.code == .usage)
    }

    private func parse(_ arguments: String...) throws -> DoctorNATCommand {
        try DoctorNATCommand.parse(arguments)
    }
}
