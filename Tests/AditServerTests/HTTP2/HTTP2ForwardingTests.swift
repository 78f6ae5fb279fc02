// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import NIOHPACK
import NIOHTTP2
import Testing

private func ok(_ body: String) -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

/// Visitors who speak HTTP/2, and apps that speak HTTP/1.1.
@Suite(.timeLimit(.minutes(1))) struct HTTP2ForwardingTests {
    @Test(arguments: TestFrontEnd.Placement.allCases)
    func requestsOneAfterTheOtherKeepOneConnectionToTheApp(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestApp.start { ok("you asked for " + $0.startLine) }
        let front = try await TestFrontEnd()
        front.add("blog.example", app, placement)
        let visitor = try await TestHTTP2.connect(port: front.port)
        for number in 1...20 {
            let response = try await visitor.request("GET", "/\(number)?q=%2F..%2f").end()
            #expect(response.status == "200")
            #expect(response.text == "you asked for GET /\(number)?q=%2F..%2f HTTP/1.1")
            #expect(response.head["content-length"] == ["\(response.body.count)"])
            #expect(response.head["connection"].isEmpty)
        }
        #expect(app.accepted == 1)
        #expect(front.frontEnd.counters.requests == 20)
        #expect(front.frontEnd.counters.connections == 1)
        let reports = front.reports.withLockedValue { $0 }
        #expect(reports.map(\.status) == Array(repeating: 200, count: 20))
    }

    @Test func requestsAtTheSameTimeDoNotWaitForEachOther() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let slow = try await visitor.request("GET", "/slow")
        let slowWire = await app.accept()
        #expect(try await slowWire.readHead().startLine == "GET /slow HTTP/1.1")
        let quick = try await visitor.request("GET", "/quick")
        let quickWire = await app.accept()
        _ = try await quickWire.readHead()
        try await quickWire.send(ok("quick"))
        #expect(try await quick.end().text == "quick")
        try await slowWire.send(ok("slow"))
        #expect(try await slow.end().text == "slow")
    }

    @Test func theAppGetsOneRequestOfHTTP11() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd(loopName: "adit-test")
        front.add("blog.example", app, requestHeaders: ["X-Set": "yes"])
        let visitor = try await TestHTTP2.connect(port: front.port)
        let fields: HPACKHeaders = [
            "cookie": "a=1", "x-forwarded-for": "6.6.6.6", "te": "trailers", "cookie": "b=2", "accept": "*/*",
            "x_real_ip": "7.7.7.7", "http2-settings": "AAA", "cookie": "c=3",
        ]
        let stream = try await visitor.request("GET", "/a", host: "Blog.Example:80", fields: fields)
        let wire = await app.accept()
        let request = try await wire.readHead()
        #expect(request.startLine == "GET /a HTTP/1.1")
        #expect(request.all("host") == ["Blog.Example:80"])
        #expect(request.all("cookie") == ["a=1; b=2; c=3"])
        #expect(request.all("x-forwarded-for") == ["127.0.0.1"])
        #expect(request.all("x-forwarded-host") == ["Blog.Example:80"])
        #expect(request.all("x-forwarded-proto") == ["http"])
        #expect(request.all("te") == ["trailers"])
        #expect(request.all("connection") == ["TE"])
        #expect(request.all("x-set") == ["yes"])
        #expect(request.all("cdn-loop") == ["adit-test"])
        #expect(request["x_real_ip"] == nil)
        #expect(request["http2-settings"] == nil)
        #expect(request["content-length"] == nil)
        #expect(request["transfer-encoding"] == nil)
        try await wire.send(
            "HTTP/1.1 200 Fine\r\nServer: Old\r\nSet-Cookie: x=1\r\nSet-Cookie: y=2\r\nKeep-Alive: timeout=5\r\n"
                + "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                + "3\r\nabc\r\n0\r\nX-Sum: 3\r\nHost: evil\r\n\r\n"
        )
        let response = try await stream.end()
        #expect(response.text == "abc")
        #expect(response.head["server"] == ["Old"])
        #expect(response.head["set-cookie"] == ["x=1", "y=2"])
        for hop in ["connection", "keep-alive", "x-hop", "transfer-encoding"] { #expect(response.head[hop].isEmpty) }
        #expect(response.trailers.map { $0.name } == ["x-sum"], "\(response)")
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func bodiesStreamBothWaysWithTheirTrailers(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app, placement)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.open()
        try await stream.send([
            ":method": "POST", ":scheme": "http", ":authority": "blog.example", ":path": "/", "trailer": "x-sum",
        ])
        try await stream.send("hello")
        let wire = await app.accept()
        #expect(try await wire.readHead()["transfer-encoding"] == "chunked")
        #expect(try await wire.read(until: "hello\r\n") == "5\r\nhello\r\n")
        try await stream.send(" world")
        #expect(try await wire.read(until: " world\r\n") == "6\r\n world\r\n")
        try await stream.send(["x-sum": "11", "x-forwarded-for": "6.6.6.6", "content-length": "3"], end: true)
        #expect(try await wire.read(until: "\r\n\r\n") == "0\r\nx-sum: 11\r\n\r\n")
        try await wire.send(ok("done"))
        #expect(try await stream.end().text == "done")
    }

    @Test func aBodyOfKnownLengthKeepsItsLength() async throws {
        let app = try await TestApp.start { ok("got \($0["content-length"] ?? "-") \($0.text)") }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        #expect(
            try await visitor.request("PUT", fields: ["content-length": "3"], body: "abc").end().text == "got 3 abc"
        )
        #expect(try await visitor.request("PUT", fields: ["content-length": "0"]).end().text == "got 0 ")
        #expect(try await visitor.request("PUT", fields: ["content-length": "0"], body: "").end().text == "got 0 ")
    }

    @Test func responsesWithoutContentHaveNone() async throws {
        let app = try await TestApp.start { request in
            switch request.startLine {
            case "HEAD / HTTP/1.1": "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
            case "GET /204 HTTP/1.1": "HTTP/1.1 204 No Content\r\n\r\n"
            default: "HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n"
            }
        }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let head = try await visitor.request("HEAD").end()
        #expect(head.status == "200" && head.head["content-length"] == ["1000"] && head.body.isEmpty)
        #expect(head.isEnded)
        #expect(try await visitor.request("GET", "/204").end().status == "204")
        #expect(try await visitor.request("GET", "/304").end().head["etag"] == ["\"x\""])
        #expect(app.accepted == 1)
    }

    @Test func informationalResponsesComeBeforeTheFinalOne() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.open()
        try await stream.send([
            ":method": "POST", ":scheme": "http", ":authority": "blog.example", ":path": "/", "expect": "100-continue",
            "content-length": "2",
        ])
        let wire = await app.accept()
        #expect(try await wire.readHead()["expect"] == "100-continue")
        try await wire.send("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        let early = try await stream.wait("two informational heads") { $0.sections.count == 2 }
        #expect(early.sections.map { $0.first(name: ":status") } == ["100", "103"])
        #expect(early.sections[1]["link"] == ["</a.css>"])
        try await stream.send("ab", end: true)
        #expect(try await wire.read(count: 2) == Array("ab".utf8))
        try await wire.send(ok("done"))
        #expect(try await stream.end().text == "done")
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func largeBodiesPassWholeAndUnchanged(_ placement: TestFrontEnd.Placement) async throws {
        // No two parts of it are alike.
        let bytes = (0..<8_000_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 24) }
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app, placement)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.open()
        try await stream.send([
            ":method": "POST", ":scheme": "http", ":authority": "blog.example", ":path": "/",
            "content-length": "\(bytes.count)",
        ])
        async let sent: Void = stream.send(bytes: bytes, end: true)
        let wire = await app.accept()
        let request = try await wire.readMessage()
        try await sent
        let isRequestWhole = request.body == bytes
        #expect(isRequestWhole)
        try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: \(bytes.count)\r\n\r\n")
        try await wire.send(bytes)
        let isResponseWhole = try await stream.end().body == bytes
        #expect(isResponseWhole)
    }

    @Test func aVisitorWhoDoesNotReadHoldsTheAppBack() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.request()
        try await stream.setReading(false)
        let wire = await app.accept()
        _ = try await wire.readHead()
        try await wire.send("HTTP/1.1 200 OK\r\n\r\n")
        let sent = NIOLockedValueBox(0)
        let writer = Task {
            for _ in 0..<640 {
                try await wire.send(Array(repeating: 7, count: 100_000))
                sent.withLockedValue { $0 += 100_000 }
            }
            wire.close()
        }
        // Another request on the connection is not held back.
        for _ in 1...20 {
            let other = try await visitor.request("GET", "/other")
            let otherWire = await app.accept()
            _ = try await otherWire.readHead()
            try await otherWire.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx")
            #expect(try await other.end().text == "x")
        }
        // Sockets' own buffers take some megabytes; the rest waits in the app.
        #expect(sent.withLockedValue { $0 } < 32_000_000)
        try await stream.setReading(true)
        try await stream.channel.eventLoop.submit { try? stream.channel.read() }.get()
        #expect(try await stream.end().body.count == 64_000_000)
        try await writer.value
    }

    @Test func anAppThatDoesNotReadHoldsTheVisitorBack() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.open()
        try await stream.send([
            ":method": "POST", ":scheme": "http", ":authority": "blog.example", ":path": "/",
            "content-length": "64000000",
        ])
        let wire = await app.accept()
        _ = try await wire.readHead()
        try await wire.setReading(false)
        let isSent = NIOLockedValueBox(false)
        let writer = Task {
            try await stream.send(bytes: Array(repeating: 7, count: 64_000_000), end: true)
            isSent.withLockedValue { $0 = true }
        }
        for _ in 1...20 { _ = try await visitor.request("GET", "/", host: "nobody.example").end() }
        #expect(!isSent.withLockedValue { $0 })
        try await wire.setReading(true)
        #expect(try await wire.read(count: 64_000_000).count == 64_000_000)
        try await writer.value
    }

    @Test func anEarlyAnswerEndsTheRestOfTheRequest() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.open()
        try await stream.send([":method": "POST", ":scheme": "http", ":authority": "blog.example", ":path": "/"])
        let wire = await app.accept()
        _ = try await wire.readHead()
        try await wire.send("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        let response = try await stream.wait("the reset") { $0.isClosed }
        #expect(response.status == "413" && response.text == "no" && response.isEnded)
        #expect(response.reset == .noError)
        #expect(try await wire.readToEnd() == "")
    }

    @Test func aResponseThatBreaksOffIsResetAndNotEnded() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.request()
        let wire = await app.accept()
        _ = try await wire.readHead()
        try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        _ = try await stream.wait("a part") { $0.text == "half" }
        wire.close()
        let response = try await stream.wait("the reset") { $0.isClosed }
        #expect(!response.isEnded)
        #expect(response.reset == .internalError)
        // The connection goes on.
        #expect(try await visitor.request("GET", "/", host: "nobody.example").end().status == "404")
    }

    @Test func aVisitorWhoGivesUpEndsTheRequestAtTheApp() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app) { $0.report = { _ in } }
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.request("GET", "/long")
        let wire = await app.accept()
        _ = try await wire.readHead()
        try await stream.reset(.cancel)
        #expect(try await wire.readToEnd() == "")
    }

    @Test func visitorsOfHTTP11AreNotTakenForHTTP2() async throws {
        let app = try await TestApp.start { ok($0.startLine) }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        for method in ["PRI", "PROPFIND", "P", "PR"] {
            let visitor = try await front.connect()
            for byte in Array("\(method) / HTTP/1.1\r\nHost: blog.example\r\n\r\n".utf8) {
                try await visitor.send([byte])
            }
            let response = try await visitor.readMessage()
            #expect([400, 505].contains(response.status) || response.text == "\(method) / HTTP/1.1", "\(response)")
        }
        // An upgrade to h2c is not an upgrade any more (RFC 9113 section 3.1).
        let visitor = try await front.connect()
        try await visitor.send(
            "GET /h2c HTTP/1.1\r\nHost: blog.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                + "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"
        )
        #expect(try await visitor.readMessage().text == "GET /h2c HTTP/1.1")
    }

    @Test func thePrefaceMayComeInPieces() async throws {
        let app = try await TestApp.start { ok($0.startLine) }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await RawHTTP2.connect(port: front.port)
        for byte in RawHTTP2.preface + RawHTTP2.frame(4, 0, 0, []) { try await visitor.wire.send([byte]) }
        try await visitor.request(
            stream: 1,
            [":method": "GET", ":scheme": "http", ":path": "/a", "host": "blog.example"]
        )
        #expect(try await visitor.response(stream: 1).contains("GET /a HTTP/1.1"))
    }
}
