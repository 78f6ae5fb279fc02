// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import Testing

private func ok(_ body: String) -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

/// Visitors of HTTP/2 who mean harm, or who are gone.
@Suite(.timeLimit(.minutes(1))) struct HTTP2HardeningTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var fields: HPACKHeaders
        /// The page's status; nil for a stream that is reset.
        var status: String?
        var testDescription: String { name }

        init(_ name: String, _ status: String?, _ change: HPACKHeaders, without: [String] = []) {
            self.name = name
            self.status = status
            var fields = HPACKHeaders()
            for (name, value) in [
                (":method", "GET"), (":scheme", "http"), (":authority", "blog.example"), (":path", "/"),
            ] where !without.contains(name) {
                fields.add(name: name, value: change.first(name: name) ?? value)
            }
            for (name, value, _) in change where !name.hasPrefix(":") || name == ":protocol" || name == ":extra" {
                fields.add(name: name, value: value)
            }
            self.fields = fields
        }
    }

    static let refused: [Case] = [
        Case("a Host that contradicts", "400", ["host": "other.example"]),
        Case("a Host with another port", "400", ["host": "blog.example:81"]),
        Case("two Hosts", "400", ["host": "blog.example", "host": "blog.example"]),
        Case("no host at all", "400", [:], without: [":authority"]),
        Case("user information", "400", [":authority": "u:p@blog.example"]),
        Case("an empty authority", "400", [":authority": ""]),
        Case("a method with a space", nil, [":method": "GET /x HTTP/1.1"]),
        Case("a path with a space", nil, [":path": "/ HTTP/1.1"]),
        Case("a path of another form", "400", [":path": "http://blog.example/"]),
        Case("a path without a slash", "400", [":path": "x"]),
        Case("a star without OPTIONS", "400", [":path": "*"]),
        Case("a path with a line end", nil, [":path": "/\r\nX-Evil: 1"]),
        Case("a method with a line end", nil, [":method": "GET / HTTP/1.1\r\nX-Evil: 1\r\n\r\n"]),
        Case("a value with a line end", nil, ["x-a": "1\r\nX-Evil: 1"]),
        Case("a value with a bare line feed", nil, ["x-a": "1\nX-Evil: 1"]),
        Case("a value with a zero byte", nil, ["x-a": "1\u{0}2"]),
        Case("a value with another control character", "400", ["x-a": "1\u{1}2"]),
        Case("a name with a line end", nil, ["x-a: 1\r\nx-evil": "1"]),
        Case("a name with a colon", nil, ["x-a:b": "1"]),
        Case("a name with a space", nil, ["x a": "1"]),
        Case("a name in upper case", nil, ["X-A": "1"]),
        Case("transfer-encoding", nil, ["transfer-encoding": "chunked"]),
        Case("connection", nil, ["connection": "close"]),
        Case("keep-alive", nil, ["keep-alive": "1"]),
        Case("upgrade", nil, ["upgrade": "h2c"]),
        Case("te with more than trailers", nil, ["te": "gzip"]),
        Case("an unknown pseudo-header field", nil, [":extra": "1"]),
        Case("a protocol that was not offered", nil, [":protocol": "websocket"]),
        Case("no path", nil, [:], without: [":path"]),
        Case("an empty path", nil, [":path": ""]),
        Case("no scheme", nil, [:], without: [":scheme"]),
        Case("an unknown scheme", "400", [":scheme": "gopher"]),
        Case("a length of the body that is not there", nil, ["content-length": "5"]),
        Case("a length that is no number", nil, ["content-length": "x"]),
        Case("two lengths", nil, ["content-length": "1", "content-length": "2"]),
        Case("two equal lengths", "400", ["content-length": "0", "content-length": "0"]),
        Case("an unknown expectation", "417", ["expect": "the-inquisition"]),
        Case("a long path", "414", [":path": "/" + String(repeating: "a", count: 20_000)]),
        Case("many fields", "431", HPACKHeaders((1...200).map { ("x-\($0)", "1") })),
        Case("a request that comes back", "508", ["cdn-loop": "cdn, adit-test; a=1"]),
        Case("CONNECT", "405", [":method": "CONNECT"], without: [":scheme", ":path"]),
    ]

    @Test(arguments: refused)
    func aRequestThatIsNotOneClearThingIsRefused(_ refused: Case) async throws {
        let app = try await TestApp.start { ok($0.startLine) }
        let front = try await TestFrontEnd(loopName: "adit-test")
        front.add("blog.example", app)
        let visitor = try await RawHTTP2.open(port: front.port)
        try await visitor.request(stream: 1, refused.fields)
        if let status = refused.status {
            let head = try await visitor.frame { $0.type == 1 && $0.stream == 1 }
            var decoder = HPACKDecoder(allocator: ByteBufferAllocator())
            var block = ByteBuffer(bytes: head.payload)
            #expect(try decoder.decodeHeaders(from: &block).first(name: ":status") == status)
        } else {
            let reset = try await visitor.frame { $0.type == 3 || $0.type == 7 }
            #expect(reset.type == 3 && reset.code == 1)
        }
        // Nothing of it reached the app, and the next request on the connection is a request of its own.
        try await visitor.request(
            stream: 3,
            [":method": "GET", ":scheme": "http", ":authority": "blog.example", ":path": "/next"]
        )
        let answers = try await visitor.response(stream: 3)
        #expect(answers == "GET /next HTTP/1.1")
        #expect(app.accepted == 1)
    }

    @Test func permissionsHoldForEachRequest() async throws {
        let app = try await TestApp.start { ok($0.startLine) }
        let front = try await TestFrontEnd()
        front.add("open.example", app)
        front.add("locked.example", app) { $0.auth = ["u:p"] }
        front.add("far.example", app) { $0.allow = [CIDR("203.0.113.0/24")].compactMap { $0 } }
        let visitor = try await TestHTTP2.connect(port: front.port)
        #expect(try await visitor.request(host: "open.example").end().status == "200")
        let locked = try await visitor.request(host: "locked.example").end()
        #expect(locked.status == "401" && locked.head["www-authenticate"].first?.hasPrefix("Basic ") == true)
        let key: HPACKHeaders = ["authorization": "Basic dTpw"]
        #expect(try await visitor.request(host: "locked.example", fields: key).end().status == "200")
        #expect(try await visitor.request(host: "locked.example").end().status == "401")
        #expect(try await visitor.request(host: "far.example").end().status == "403")
        #expect(try await visitor.request(host: "nobody.example").end().status == "404")
        let page = try await visitor.request(host: "nobody.example", fields: ["accept": "text/html"]).end()
        #expect(page.text.hasPrefix("<!doctype html>"))
    }

    // MARK: Floods

    struct Flood: Sendable, CustomTestStringConvertible {
        var name: String
        var frames: @Sendable (_ round: Int) throws -> [UInt8]
        var testDescription: String { name }
    }

    private static func head(_ stream: UInt32, flags: UInt8 = 5, path: String = "/") throws -> [UInt8] {
        let fields: HPACKHeaders = [
            ":method": "GET", ":scheme": "http", ":authority": "blog.example", ":path": path,
        ]
        return RawHTTP2.frame(1, flags, stream, try RawHTTP2.block(fields))
    }

    static let floods: [Flood] = [
        Flood(name: "requests that are reset at once") { round in
            let stream = UInt32(2 * round + 1)
            return try head(stream) + RawHTTP2.frame(3, 0, stream, [0, 0, 0, 8])
        },
        Flood(name: "requests that break the rules") { round in
            // A window update of zero is a fault of the stream (RFC 9113 section 6.9).
            let stream = UInt32(2 * round + 1)
            return try head(stream, flags: 4) + RawHTTP2.frame(8, 0, stream, [0, 0, 0, 0])
        },
        Flood(name: "CONTINUATION without end") { round in
            round == 0 ? try head(1, flags: 1) : RawHTTP2.frame(9, 0, 1, [])
        },
        Flood(name: "CONTINUATION with fields without end") { round in
            let block = try RawHTTP2.block(["x-\(round)": String(repeating: "a", count: 8_000)])
            return round == 0 ? try head(1, flags: 1) : RawHTTP2.frame(9, 0, 1, block)
        },
        Flood(name: "pings") { _ in RawHTTP2.frame(6, 0, 0, Array(repeating: 1, count: 8)) },
        Flood(name: "settings") { _ in RawHTTP2.frame(4, 0, 0, [0, 4, 0, 0, 100, 0]) },
        Flood(name: "priorities") { _ in RawHTTP2.frame(2, 0, 1, [0, 0, 0, 0, 1]) },
        Flood(name: "window updates") { _ in RawHTTP2.frame(8, 0, 0, [0, 0, 0, 1]) },
        Flood(name: "empty data") { round in
            round == 0 ? try head(1, flags: 4) : RawHTTP2.frame(0, 0, 1, [])
        },
        Flood(name: "frames that nobody knows") { _ in RawHTTP2.frame(0xEE, 0, 0, []) },
        Flood(name: "fields that unpack to more") { round in
            // One long field in the dynamic table, named again and again by one byte each.
            let name: [UInt8] = [0x40, 1, 0x78, 0x7F, 0x81, 0x1E] + Array(repeating: 0x61, count: 4_000)
            let block = name + Array(repeating: 0xBE, count: 60)
            return RawHTTP2.frame(1, 5, UInt32(2 * round + 1), block)
        },
    ]

    @Test(arguments: floods) func floodsEndTheConnectionAndNothingElse(_ flood: Flood) async throws {
        let app = try await TestApp.start { ok($0.startLine) }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let other = try await TestHTTP2.connect(port: front.port)
        #expect(try await other.request().end().status == "200")
        let visitor = try await RawHTTP2.open(port: front.port)
        let writer = Task {
            for round in 0..<40_000 {
                var bytes = try flood.frames(round * 8)
                if round > 0 { for more in 1..<8 { bytes += try flood.frames(round * 8 + more) } }
                do { try await visitor.wire.send(bytes) } catch { return round }
            }
            return 40_000
        }
        if let code = try await visitor.goAway() { #expect([1, 9, 11].contains(code), "\(code)") }
        let rounds = try await writer.value
        #expect(rounds < 40_000)
        #expect(try await other.request().end().status == "200")
    }

    @Test func windowUpdatesForWhatIsReadAreNoFlood() async throws {
        let app = try await TestApp.start()
        var limits = HTTPLimits()
        limits.idleFrames = 50
        limits.idleFramesPerSecond = 10
        let front = try await TestFrontEnd(limits: limits)
        front.add("blog.example", app)
        // The client under NIO sends two window updates for each half of a window.
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.request()
        let wire = await app.accept()
        _ = try await wire.readHead()
        try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n")
        try await wire.send(Array(repeating: 7, count: 20_000_000))
        #expect(try await stream.end().body.count == 20_000_000)
        #expect(visitor.goAways.isEmpty)
    }

    // MARK: Time

    @Test func aConnectionWithoutARequestEnds() async throws {
        var limits = HTTPLimits()
        limits.requestHead = .milliseconds(50)
        let front = try await TestFrontEnd(limits: limits)
        // Without the preface's end, without settings, without a request, and with a header that never ends.
        let block = try RawHTTP2.block([":method": "GET", ":scheme": "http", ":path": "/"])
        for bytes in [
            Array(RawHTTP2.preface.prefix(20)), RawHTTP2.preface, RawHTTP2.preface + RawHTTP2.frame(4, 0, 0, []),
            RawHTTP2.preface + RawHTTP2.frame(4, 0, 0, []) + RawHTTP2.frame(1, 1, 1, block),
            RawHTTP2.preface + RawHTTP2.frame(4, 0, 0, []) + Array(RawHTTP2.frame(1, 5, 1, block).prefix(12)),
        ] {
            let visitor = try await front.connect()
            try await visitor.send(bytes)
            _ = try await visitor.readToEnd()
        }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        for _ in 1...1_000 where front.frontEnd.counters.connections > 0 {
            try await loop.scheduleTask(in: .milliseconds(5)) {}.futureResult.get()
        }
        #expect(front.frontEnd.counters.connections == 0)
    }

    @Test func aHeaderThatComesInDropsEndsTheConnection() async throws {
        var limits = HTTPLimits()
        limits.requestHead = .milliseconds(200)
        let app = try await TestApp.start { ok($0.startLine) }
        let front = try await TestFrontEnd(limits: limits)
        front.add("blog.example", app)
        let visitor = try await RawHTTP2.open(port: front.port)
        try await visitor.wire.send(Self.head(1))
        #expect(try await visitor.response(stream: 1) == "GET / HTTP/1.1")
        let drops = Task {
            for byte in try Self.head(3, path: "/" + String(repeating: "a", count: 10_000)) {
                do { try await visitor.wire.send([byte]) } catch { return true }
                try await visitor.wire.channel.eventLoop.scheduleTask(in: .milliseconds(5)) {}.futureResult.get()
            }
            return false
        }
        _ = try? await visitor.wire.readToEnd()
        #expect(try await drops.value)
    }

    @Test func anIdleConnectionLeavesInOrder() async throws {
        var limits = HTTPLimits()
        limits.idle = .milliseconds(30)
        let app = try await TestApp.start { ok($0.startLine) }
        let front = try await TestFrontEnd(limits: limits)
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        #expect(try await visitor.request().end().status == "200")
        try await visitor.closed()
        #expect(visitor.goAways == [.noError, .noError])
    }

    @Test func aVisitorWhoVanishedDuringALongRequestIsFound() async throws {
        var limits = HTTPLimits()
        limits.presence = .milliseconds(30)
        limits.presenceAnswer = .milliseconds(1_500)
        let app = try await TestApp.start()
        let front = try await TestFrontEnd(limits: limits)
        front.add("blog.example", app)
        let present = try await TestHTTP2.connect(port: front.port)
        let kept = try await present.request("GET", "/kept")
        let keptWire = await app.accept()
        _ = try await keptWire.readHead()
        let visitor = try await RawHTTP2.open(port: front.port)
        try await visitor.wire.send(Self.head(1))
        let wire = await app.accept()
        _ = try await wire.readHead()
        // It answers no ping.
        #expect(try await wire.readToEnd() == "")
        try await keptWire.send(ok("still here"))
        #expect(try await kept.end().text == "still here")
    }

    @Test func aVisitorWhoNeverTakesTheResponseIsLeft() async throws {
        var limits = HTTPLimits()
        limits.visitorStall = .milliseconds(50)
        let app = try await TestApp.start { _ in ok(String(repeating: "a", count: 500_000)) }
        let front = try await TestFrontEnd(limits: limits)
        front.add("blog.example", app)
        let visitor = try await RawHTTP2.connect(port: front.port)
        // No window at all for responses.
        try await visitor.wire.send(RawHTTP2.preface + RawHTTP2.frame(4, 0, 0, [0, 4, 0, 0, 0, 0]))
        for stream in [UInt32(1), 3, 5] { try await visitor.wire.send(Self.head(stream)) }
        var resets = 0
        while resets < 3 {
            let frame = try await visitor.frame { $0.type == 3 || $0.type == 0 }
            #expect(frame.type == 3)
            resets += 1
        }
    }

    // MARK: Numbers

    @Test func requestsAboveTheNumbersAreRefused() async throws {
        var limits = HTTPLimits()
        limits.streams = 3
        limits.connectionsPerTunnel = 2
        let app = try await TestApp.start()
        let front = try await TestFrontEnd(limits: limits)
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let first = try await visitor.request("GET", "/1")
        let second = try await visitor.request("GET", "/2")
        let wires = [await app.accept(), await app.accept()]
        for wire in wires { _ = try await wire.readHead() }
        #expect(try await visitor.request("GET", "/3").end().status == "503")
        let kept = try await visitor.open()
        try await kept.send([":method": "POST", ":scheme": "http", ":authority": "nobody.example", ":path": "/"])
        let refused = try await TestHTTP2.connect(port: front.port)
        for wire in wires { try await wire.send(ok("done")) }
        #expect(try await first.end().text == "done")
        #expect(try await second.end().text == "done")
        // Places are free again.
        let third = try await refused.request("GET", "/4")
        let wire = await app.accept()
        _ = try await wire.readHead()
        try await wire.send(ok("again"))
        #expect(try await third.end().text == "again")
    }

    @Test func requestsAboveTheWholeNumberAreReset() async throws {
        var limits = HTTPLimits()
        limits.streams = 1
        let app = try await TestApp.start()
        let front = try await TestFrontEnd(limits: limits)
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let first = try await visitor.request("GET", "/1")
        let wire = await app.accept()
        _ = try await wire.readHead()
        let second = try await visitor.request("GET", "/2")
        #expect(try await second.wait("the reset") { $0.isClosed }.reset == .refusedStream)
        try await wire.send(ok("done"))
        #expect(try await first.end().text == "done")
    }

    // MARK: Leaving

    @Test func drainingLetsRequestsFinish() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.request("GET", "/long")
        let wire = await app.accept()
        _ = try await wire.readHead()
        let loop = try visitor.channel.eventLoop
        let drained = front.frontEnd.drain(on: loop)
        _ = try await stream.wait("the announcement") { _ in !visitor.goAways.isEmpty || true }
        try await wire.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        _ = try await stream.wait("a part") { $0.text == "hello" }
        try await wire.send("world")
        #expect(try await stream.end().text == "helloworld")
        try await drained.get()
        try await visitor.closed()
        #expect(visitor.goAways == [.noError, .noError])
        #expect(front.frontEnd.counters.connections == 0)
    }

    @Test func closingAllEndsEverythingAtOnce() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await TestHTTP2.connect(port: front.port)
        _ = try await visitor.request("GET", "/long")
        let wire = await app.accept()
        _ = try await wire.readHead()
        front.frontEnd.closeAll()
        try await visitor.closed()
        #expect(try await wire.readToEnd() == "")
    }
}
