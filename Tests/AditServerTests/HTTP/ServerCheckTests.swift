// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditWire
import Testing

/// The page by which a doctor sees that nothing answers in the server's place.
@Suite(.timeLimit(.minutes(1))) struct ServerCheckTests {
    private static let names: Set = ["tunnel.example.com", "example.com"]

    private func ask(
        _ front: TestFrontEnd,
        _ host: String,
        _ path: String = ServerCheck.path,
        method: String = "GET"
    ) async throws -> TestWire.Message {
        let visitor = try await front.connect()
        defer { visitor.close() }
        try await visitor.send("\(method) \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        return try await visitor.readMessage(isBodiless: true)
    }

    @Test(arguments: ["tunnel.example.com", "Tunnel.Example.COM.:8080", "example.com", "127.0.0.1", "127.0.0.1:9"])
    func theServerAnswersForItsOwnNamesAndAddress(_ host: String) async throws {
        let front = try await TestFrontEnd(ownNames: Self.names)
        for method in ["GET", "HEAD"] {
            let answer = try await ask(front, host, method: method)
            #expect(answer.status == 204)
            #expect(answer.fields.map { $0.name.lowercased() } == ["date", "cache-control"])
            #expect(answer["cache-control"] == "no-store")
        }
        let query = try await ask(front, host, ServerCheck.path + "?x=1")
        #expect(query.status == 204)
        #expect(front.frontEnd.counters.refusedRequests == 0)
    }

    @Test func theConnectionStaysForTheNextRequest() async throws {
        let front = try await TestFrontEnd(ownNames: Self.names)
        let visitor = try await front.connect()
        defer { visitor.close() }
        for _ in 1...3 {
            try await visitor.send("GET \(ServerCheck.path) HTTP/1.1\r\nHost: example.com\r\n\r\n")
            #expect(try await visitor.readMessage(isBodiless: true).status == 204)
        }
        try await visitor.send(
            "GET \(ServerCheck.path) HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
        )
        let last = try await visitor.readToEnd()
        #expect(last.hasPrefix("HTTP/1.1 204 No Content\r\n") && last.hasSuffix("\r\nConnection: close\r\n\r\n"))
    }

    @Test func aTunnelHasThePathForItself() async throws {
        let app = try await TestApp.start { _ in "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }
        let front = try await TestFrontEnd(ownNames: Self.names)
        front.add("blog.example.com", app)
        // Somebody's own domain may be a name of the server.
        front.add("example.com", app)
        for host in ["blog.example.com", "example.com"] {
            let visitor = try await front.connect()
            defer { visitor.close() }
            try await visitor.send("GET \(ServerCheck.path) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
            #expect(try await visitor.readMessage().status == 200)
        }
        #expect(app.accepted == 2)
    }

    @Test(arguments: [
        ("GET", "calm-otter.example.com", ServerCheck.path), ("GET", "127.0.0.2", ServerCheck.path),
        ("GET", "203.0.113.7", ServerCheck.path), ("POST", "example.com", ServerCheck.path),
        ("GET", "example.com", "/"),
        ("GET", "example.com", ServerCheck.path + "/"), ("GET", "example.com", "/.WELL-KNOWN/adit-check"),
        ("GET", "example.com", "/.well-known/adit%2Dcheck"),
    ])
    func nothingElseIsAnsweredSo(_ method: String, _ host: String, _ path: String) async throws {
        let front = try await TestFrontEnd(ownNames: Self.names)
        let answer = try await ask(front, host, path, method: method)
        #expect(answer.status == 404)
        #expect(answer[ServerCheck.errorField.lowercased()] == "ADIT-222")
    }

    @Test func aFrontEndWithoutNamesOfItsOwnHasNoSuchPage() async throws {
        let front = try await TestFrontEnd()
        #expect(try await ask(front, "127.0.0.1").status == 404)
    }

    @Test func overHTTP2ItIsTheSame() async throws {
        let front = try await TestFrontEnd(ownNames: ["blog.example"])
        let visitor = try await TestHTTP2.connect(port: front.port)
        for _ in 1...3 {
            let answer = try await visitor.request("GET", ServerCheck.path).end()
            #expect(answer.status == "204")
            #expect(answer.body.isEmpty)
            #expect(Set(answer.head.map(\.name)) == [":status", "date", "cache-control"])
        }
        #expect(try await visitor.request("GET", "/").end().status == "404")
    }
}
