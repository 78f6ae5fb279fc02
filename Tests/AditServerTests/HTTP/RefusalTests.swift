// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import NIOCore
import Testing

/// Requests that two programs could read in two ways, and requests beyond a bound, reach no app.
@Suite(.timeLimit(.minutes(2))) struct RefusalTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var request: String
        var status = 400
        var testDescription: String { name }
    }

    static let smuggling: [Case] = [
        Case(
            name: "length and chunks",
            request:
                "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        Case(
            name: "chunks and length",
            request:
                "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"
        ),
        Case(
            name: "two different lengths",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"
        ),
        Case(
            name: "the same length twice",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd"
        ),
        Case(
            name: "a list of lengths",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 4, 4\r\n\r\nabcd"
        ),
        Case(name: "a signed length", request: "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: +4\r\n\r\nabcd"),
        Case(
            name: "a negative length",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: -4\r\n\r\nabcd"
        ),
        Case(
            name: "a hexadecimal length",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0x4\r\n\r\nabcd"
        ),
        Case(
            name: "an endless length",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 99999999999999999999999\r\n\r\nabcd"
        ),
        Case(
            name: "chunked twice",
            request:
                "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        Case(
            name: "chunked and identity",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
        ),
        Case(
            name: "a coding with a vertical tab",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: \u{0B}chunked\r\n\r\n0\r\n\r\n"
        ),
        Case(
            name: "a coding in HTTP/1.0",
            request: "POST / HTTP/1.0\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        Case(
            name: "a coding that is not chunked",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            status: 501
        ),
        Case(name: "a space before the colon", request: "GET / HTTP/1.1\r\nHost : a.example\r\n\r\n"),
        Case(
            name: "a space before the colon of a length",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length : 4\r\n\r\nabcd"
        ),
        Case(name: "a space in front of a name", request: "GET / HTTP/1.1\r\n Host: a.example\r\n\r\n"),
        Case(name: "a name with a space", request: "GET / HTTP/1.1\r\nHost: a.example\r\nX Y: 1\r\n\r\n"),
        Case(name: "a line without a colon", request: "GET / HTTP/1.1\r\nHost: a.example\r\nbroken\r\n\r\n"),
        Case(name: "an empty name", request: "GET / HTTP/1.1\r\nHost: a.example\r\n: 1\r\n\r\n"),
        Case(name: "a folded line", request: "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\n 2\r\n\r\n"),
        Case(
            name: "a folded coding",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"
        ),
        Case(name: "a bare line feed behind a field", request: "GET / HTTP/1.1\r\nHost: a.example\nX-A: 1\r\n\r\n"),
        Case(
            name: "a bare line feed behind the request line",
            request: "GET / HTTP/1.1\nHost: a.example\r\n\r\n",
            status: 505
        ),
        Case(name: "bare line feeds at the end", request: "GET / HTTP/1.1\r\nHost: a.example\r\n\n"),
        Case(
            name: "a bare carriage return in a value",
            request: "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r2\r\n\r\n"
        ),
        Case(name: "a zero byte in a value", request: "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: 1\u{0}2\r\n\r\n"),
        Case(
            name: "a control character in a value",
            request: "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: 1\u{1B}2\r\n\r\n"
        ),
        Case(
            name: "a delete character in a value",
            request: "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: 1\u{7F}2\r\n\r\n"
        ),
        Case(
            name: "a chunk size that is no number",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"
        ),
        Case(
            name: "a signed chunk size",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n"
        ),
        Case(
            name: "a chunk size beyond 64 bits",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"
        ),
        Case(
            name: "a chunk size line with a bare line feed",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n"
        ),
        Case(
            name: "a chunk longer than its size",
            request: "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n"
        ),
        Case(
            name: "a length in the trailers",
            request:
                "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 3\r\n\r\n"
        ),
        Case(name: "no version", request: "GET /\r\nHost: a.example\r\n\r\n", status: 505),
        Case(name: "an unknown version", request: "GET / HTTP/1.7\r\nHost: a.example\r\n\r\n", status: 505),
        Case(name: "a method with a space", request: "GE T / HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        Case(name: "a space in the target", request: "GET /a b HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        Case(name: "a fragment in the target", request: "GET /a#b HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        Case(name: "a target that is no path", request: "GET a HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        Case(name: "a star for another method", request: "GET * HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        Case(name: "another scheme", request: "GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"),
        Case(name: "no Host", request: "GET / HTTP/1.1\r\n\r\n"),
        Case(name: "an empty Host", request: "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
        Case(name: "two Hosts", request: "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n"),
        Case(name: "the same Host twice", request: "GET / HTTP/1.1\r\nHost: a.example\r\nhost: a.example\r\n\r\n"),
        Case(name: "Host with user information", request: "GET / HTTP/1.1\r\nHost: b.example@a.example\r\n\r\n"),
        Case(name: "Host with a path", request: "GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n"),
        Case(name: "Host with a space", request: "GET / HTTP/1.1\r\nHost: a.example b.example\r\n\r\n"),
        Case(name: "Host with a list", request: "GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n"),
        Case(name: "Host with a wrong port", request: "GET / HTTP/1.1\r\nHost: a.example:99999\r\n\r\n"),
        Case(name: "Host with two ports", request: "GET / HTTP/1.1\r\nHost: a.example:80:81\r\n\r\n"),
        Case(name: "Host with a star", request: "GET / HTTP/1.1\r\nHost: *.example\r\n\r\n"),
        Case(name: "Host in Unicode", request: "GET / HTTP/1.1\r\nHost: mün.example\r\n\r\n"),
        Case(
            name: "absolute form with user information",
            request: "GET http://u:p@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n"
        ),
        Case(name: "absolute form with a broken Host", request: "GET http://a.example/ HTTP/1.1\r\nHost: x@y\r\n\r\n"),
        Case(name: "CONNECT", request: "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", status: 405),
        Case(
            name: "an unknown expectation",
            request: "GET / HTTP/1.1\r\nHost: a.example\r\nExpect: the-inquisition\r\n\r\n",
            status: 417
        ),
        Case(name: "HTTP/2 that breaks off", request: "PRI * HTTP/2.0\r\n\r\nST\r\n\r\n", status: 505),
        Case(name: "HTTP/0.9", request: "GET / HTTP/0.9\r\nHost: a.example\r\n\r\n", status: 505),
        Case(
            name: "an endless target",
            request: "GET /\(String(repeating: "a", count: 20_000)) HTTP/1.1\r\nHost: a.example\r\n\r\n",
            status: 414
        ),
        Case(
            name: "a target beyond the parser",
            request: "GET /\(String(repeating: "a", count: 200_000)) HTTP/1.1\r\nHost: a.example\r\n\r\n",
            status: 414
        ),
        Case(
            name: "a field beyond the bound",
            request: "GET / HTTP/1.1\r\nHost: a.example\r\nX-A: \(String(repeating: "a", count: 70_000))\r\n\r\n",
            status: 431
        ),
        Case(
            name: "fields beyond the bound together",
            request: "GET / HTTP/1.1\r\nHost: a.example\r\n"
                + (1...40).map { "X-\($0): \(String(repeating: "a", count: 2_000))\r\n" }.joined() + "\r\n",
            status: 431
        ),
        Case(
            name: "too many fields",
            request: "GET / HTTP/1.1\r\nHost: a.example\r\n" + (1...200).map { "X-\($0): a\r\n" }.joined() + "\r\n",
            status: 431
        ),
        Case(name: "another protocol", request: "\u{16}\u{03}\u{01}\u{02}\u{00}\u{01}\u{00}"),
        Case(name: "SSH", request: "SSH-2.0-OpenSSH_9.2p1\r\n"),
    ]

    @Test(arguments: smuggling)
    func aRequestThatIsNotOneClearThingIsRefused(_ refused: Case) async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("a.example", app)
        front.add("b.example", app)
        let visitor = try await front.connect()
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
        try? await visitor.send(refused.request + smuggled)
        let response = try await visitor.readMessage()
        #expect(response.status == refused.status)
        #expect(response["connection"] == "close")
        #expect(response["adit-error"] == "ADIT-910")
        #expect(try await visitor.readToEnd() == "")
        // What is refused within a body may have begun; nothing behind it may arrive.
        while app.accepted > 0 {
            let wire = await app.accept()
            #expect(try await !wire.readToEnd().contains("smuggled"))
            if app.accepted == 1 { break }
        }
    }

    static let broken: [Case] = [
        Case(
            name: "length and chunks",
            request: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        Case(name: "two lengths", request: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
        Case(name: "another coding", request: "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        Case(name: "a bare carriage return", request: "HTTP/1.1 200 OK\r\nX-A: 1\r2\r\n\r\n"),
        Case(name: "a bare line feed", request: "HTTP/1.1 200 OK\r\nX-A: 1\nSet-Cookie: x=1\r\n\r\n"),
        Case(name: "a space before the colon", request: "HTTP/1.1 200 OK\r\nX-A : 1\r\n\r\n"),
        Case(name: "a control character", request: "HTTP/1.1 200 OK\r\nX-A: 1\u{1}\r\n\r\n"),
        Case(
            name: "a field beyond the bound",
            request: "HTTP/1.1 200 OK\r\nX-A: \(String(repeating: "a", count: 70_000))\r\n\r\n"
        ),
        Case(name: "a short status", request: "HTTP/1.1 20 OK\r\n\r\n"),
        Case(name: "HTTP/3", request: "HTTP/3.0 200 OK\r\n\r\n"),
        Case(name: "SSH", request: "SSH-2.0-OpenSSH_9.2p1\r\n"),
        Case(name: "a TLS alert", request: "\u{15}\u{03}\u{01}\u{00}\u{02}\u{02}\u{46}"),
        Case(name: "endless interim answers", request: String(repeating: "HTTP/1.1 102 Processing\r\n\r\n", count: 20)),
    ]

    @Test(arguments: broken)
    func anAnswerThatIsNotHTTPBecomesAPage(_ broken: Case) async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("a.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        let wire = await app.accept()
        _ = try await wire.readMessage()
        try await wire.send(broken.request)
        var response = try await visitor.readMessage()
        while response.status == 102 { response = try await visitor.readMessage() }
        #expect(response.status == 502)
        #expect(response["adit-error"] == "ADIT-910")
    }

    @Test func bytesBehindAResponseNeverBecomeTheNextOne() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("a.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n")
        let first = await app.accept()
        _ = try await first.readMessage()
        try await first.send(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        )
        #expect(try await visitor.readMessage().text == "a")
        try await visitor.send("GET /2 HTTP/1.1\r\nHost: a.example\r\n\r\n")
        let second = await app.accept()
        _ = try await second.readMessage()
        try await second.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
        #expect(try await visitor.readMessage().text == "good")
    }

    @Test func aHeaderThatComesTooSlowlyIsGivenUp() async throws {
        var limits = HTTPLimits()
        limits.requestHead = .seconds(1)
        let front = try await TestFrontEnd(limits: limits)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: a.exa")
        #expect(try await visitor.readMessage().status == 408)
        #expect(try await visitor.readToEnd() == "")
    }

    @Test func aConnectionThatNeverAsksIsClosedWithoutAWord() async throws {
        var limits = HTTPLimits()
        limits.requestHead = .milliseconds(100)
        let front = try await TestFrontEnd(limits: limits)
        #expect(try await front.connect().readToEnd() == "")
    }

    @Test func aConnectionWithoutARequestIsClosed() async throws {
        var limits = HTTPLimits()
        limits.idle = .milliseconds(100)
        let app = try await TestApp.start { _ in "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }
        let front = try await TestFrontEnd(limits: limits)
        front.add("a.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        #expect(try await visitor.readMessage().status == 200)
        #expect(try await visitor.readToEnd() == "")
    }

    @Test func aBodyThatComesTooSlowlyIsGivenUp() async throws {
        var limits = HTTPLimits()
        limits.requestBody = .milliseconds(100)
        limits.responseHead = .milliseconds(100)
        let app = try await TestApp.start()
        let front = try await TestFrontEnd(limits: limits)
        front.add("a.example", app)
        let visitor = try await front.connect()
        try await visitor.send("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 10\r\n\r\nabc")
        #expect(try await visitor.readMessage().status == 408)
    }

    @Test func connectionsBeyondTheLimitAreClosed() async throws {
        var limits = HTTPLimits()
        limits.connections = 2
        let front = try await TestFrontEnd(limits: limits)
        let first = try await front.connect()
        let second = try await front.connect()
        while front.frontEnd.counters.acceptedConnections < 2 { await Task.yield() }
        let third = try await front.connect()
        #expect(try await third.readToEnd() == "")
        #expect(front.frontEnd.counters.refusedConnections == 1)
        first.close()
        second.close()
        while front.frontEnd.counters.connections > 0 { await Task.yield() }
        let fourth = try await front.connect()
        try await fourth.send("GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
        #expect(try await fourth.readMessage().status == 404)
    }

    @Test func oneAddressDoesNotTakeAllPlaces() async throws {
        var limits = HTTPLimits()
        limits.connectionsPerAddress = 3
        limits.silentConnectionsPerAddress = 2
        let front = try await TestFrontEnd(limits: limits)
        let crowd = try #require(IPAddress("2001:db8:0:1::5"))
        let neighbour = try #require(IPAddress("2001:db8:0:1:ffff::9"))
        let request = "GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n"
        front.visitor = crowd
        let first = try await front.connect()
        let second = try await front.connect()
        try await first.send("GET / HTTP/1.1\r\nHo")
        while front.frontEnd.counters.acceptedConnections < 2 { await Task.yield() }
        // The whole /64 is one source.
        front.visitor = neighbour
        #expect(try await front.connect().readToEnd() == "")
        front.visitor = IPAddress("2001:db8:0:2::5")
        let other = try await front.connect()
        try await other.send(request)
        #expect(try await other.readMessage().status == 404)
        // A whole head makes room for another silent one, as long as the source has a place.
        front.visitor = crowd
        try await second.send(request)
        #expect(try await second.readMessage().status == 404)
        let third = try await front.connect()
        while front.frontEnd.counters.acceptedConnections < 4 { await Task.yield() }
        try await first.send("st: nobody.example\r\n\r\n")
        #expect(try await first.readMessage().status == 404)
        #expect(try await front.connect().readToEnd() == "")
        #expect(front.frontEnd.counters.refusedConnections == 2)
        third.close()
        while front.frontEnd.counters.connections > 3 { await Task.yield() }
        let fourth = try await front.connect()
        try await fourth.send(request)
        #expect(try await fourth.readMessage().status == 404)
        // This machine's own programs may be proxies.
        front.visitor = IPAddress("127.0.0.1")
        var own: [TestWire] = []
        for _ in 0..<5 { own.append(try await front.connect()) }
        for wire in own {
            try await wire.send(request)
            #expect(try await wire.readMessage().status == 404)
        }
    }

    @Test func visitorsBeyondATunnelsLimitGetAPage() async throws {
        var limits = HTTPLimits()
        limits.connectionsPerTunnel = 1
        let app = try await TestApp.start { _ in "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }
        let front = try await TestFrontEnd(limits: limits)
        front.add("a.example", app)
        front.add("b.example", app)
        let first = try await front.connect()
        let second = try await front.connect()
        try await first.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        #expect(try await first.readMessage().status == 200)
        try await second.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        let full = try await second.readMessage()
        #expect(full.status == 503)
        #expect(full["adit-error"] == "ADIT-320")
        #expect(full["retry-after"] == "5")
        // A connection counts for the tunnel of its latest request only.
        try await first.send("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n")
        #expect(try await first.readMessage().status == 200)
        try await second.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        #expect(try await second.readMessage().status == 200)
    }

    @Test func aRequestCutOffAtAnyByteEndsItsConnection() async throws {
        let app = try await TestApp.start { _ in "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }
        let front = try await TestFrontEnd()
        front.add("a.example", app)
        let request = Array(
            ("POST /a?b HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "4;x=y\r\nabcd\r\n0\r\nX-T: 1\r\n\r\n").utf8
        )
        for end in 0...request.count {
            let visitor = try await front.connect()
            if end > 0 { try await visitor.send(Array(request[..<end])) }
            try await visitor.closeOutput()
            let answer = (try? await visitor.readToEnd()) ?? ""
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 "), "\(end)")
            visitor.close()
        }
        while front.frontEnd.counters.connections > 0 { await Task.yield() }
    }

    @Test(arguments: 0..<8)
    func randomBytesNeverKeepAConnectionOpen(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let app = try await TestApp.start { _ in "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }
        let front = try await TestFrontEnd()
        front.add("a.example", app)
        let pieces = [
            "GET ", "/ ", "HTTP/1.1", "\r\n", "Host: a.example", "Content-Length: ", "Transfer-Encoding: chunked", "\n",
            "\r", "0\r\n\r\n", "5\r\nabcde\r\n", "Connection: upgrade", "Upgrade: x", ": ", "POST / HTTP/1.1\r\n", "1",
        ]
        for _ in 0..<40 {
            var bytes: [UInt8] = []
            for _ in 0..<Int.random(in: 1...30, using: &generator) {
                if Int.random(in: 0..<4, using: &generator) == 0 {
                    bytes.append(UInt8.random(in: 0...255, using: &generator))
                } else {
                    bytes += Array(pieces[Int.random(in: 0..<pieces.count, using: &generator)].utf8)
                }
            }
            let visitor = try await front.connect()
            try? await visitor.send(bytes)
            try? await visitor.closeOutput()
            _ = try? await visitor.readToEnd()
            visitor.close()
        }
        while front.frontEnd.counters.connections > 0 { await Task.yield() }
    }

    @Test(arguments: 0..<8)
    func randomAnswersNeverKeepAVisitorWaiting(_ seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("a.example", app, seed.isMultiple(of: 2) ? .sameLoop : .otherLoop)
        let pieces = [
            "HTTP/1.1 200 OK\r\n", "HTTP/1.1 101 Switching Protocols\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "\r\n",
            "\n",
            "Content-Length: 5", "Transfer-Encoding: chunked", "Connection: close", "Connection: upgrade", "Upgrade: x",
            "0\r\n\r\n", "5\r\nabcde\r\n", ": ", "HTTP/1.0 304 Not Modified\r\n\r\n", "X: 1\r\n\r\n", "abcde",
        ]
        for _ in 0..<40 {
            var bytes = Array((Bool.random(using: &generator) ? "HTTP/1.1 200 OK\r\n" : "").utf8)
            for _ in 0..<Int.random(in: 1...20, using: &generator) {
                if Int.random(in: 0..<6, using: &generator) == 0 {
                    bytes.append(UInt8.random(in: 0...255, using: &generator))
                } else {
                    bytes += Array(pieces[Int.random(in: 0..<pieces.count, using: &generator)].utf8)
                }
            }
            let visitor = try await front.connect()
            try await visitor.send(
                "POST / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab"
            )
            let wire = await app.accept()
            _ = try? await wire.readMessage()
            try? await wire.send(bytes)
            wire.close()
            let answer = (try? await visitor.readToEnd()) ?? "HTTP/1.1 cut off"
            #expect(answer.hasPrefix("HTTP/1.1 "))
            visitor.close()
        }
        while front.frontEnd.counters.connections > 0 { await Task.yield() }
    }
}
