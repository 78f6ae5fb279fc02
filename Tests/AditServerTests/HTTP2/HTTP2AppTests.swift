// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditTransport
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import NIOHPACK
import NIOHTTP2
import NIOPosix
import Testing

/// Apps that speak HTTP/2, gRPC above all.
@Suite(.timeLimit(.minutes(1))) struct HTTP2AppTests {
    private static let call: HPACKHeaders = ["content-type": "application/grpc+proto", "te": "trailers"]

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func aCallStreamsBothWaysAtOnceAndEndsWithItsStatus(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestHTTP2.listen()
        let front = try await TestFrontEnd()
        front.add("blog.example", port: app.port, placement)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.open()
        var head: HPACKHeaders = [
            ":method": "POST", ":scheme": "http", ":authority": "blog.example:80", ":path": "/echo.Echo/Bidi",
            "grpc-timeout": "10S", "x-key-bin": "AAE=",
        ]
        head.add(contentsOf: Self.call.map { ($0.name, $0.value) })
        try await stream.send(head)
        let service = await app.accept()
        let got = try await service.wait("the head") { !$0.sections.isEmpty }.sections[0]
        #expect(got[":method"] == ["POST"] && got[":path"] == ["/echo.Echo/Bidi"] && got[":scheme"] == ["http"])
        #expect(got[":authority"] == ["blog.example:80"] && got["host"].isEmpty)
        #expect(got["te"] == ["trailers"] && got["grpc-timeout"] == ["10S"] && got["x-key-bin"] == ["AAE="])
        #expect(got["content-type"] == ["application/grpc+proto"] && got["x-forwarded-for"] == ["127.0.0.1"])
        #expect(got["transfer-encoding"].isEmpty && got["connection"].isEmpty && got["content-length"].isEmpty)
        try await service.send([":status": "200", "content-type": "application/grpc+proto"])
        for number in 1...5 {
            try await stream.send("ping \(number);")
            _ = try await service.wait("a message") { $0.text.hasSuffix("ping \(number);") }
            try await service.send("pong \(number);")
            _ = try await stream.wait("an answer") { $0.text.hasSuffix("pong \(number);") }
        }
        try await stream.send("", end: true)
        #expect(try await service.end().text == "ping 1;ping 2;ping 3;ping 4;ping 5;")
        try await service.send(["grpc-status": "5", "grpc-message": "no such thing", "x-info-bin": "AA=="], end: true)
        let response = try await stream.end()
        #expect(response.status == "200" && response.isEnded)
        #expect(response.trailers["grpc-status"] == ["5"] && response.trailers["x-info-bin"] == ["AA=="])
        let reports = front.reports.withLockedValue { $0 }
        #expect(reports.map(\.path) == ["/echo.Echo/Bidi"] && reports.map(\.status) == [200])
    }

    @Test func aResponseOfTrailersAloneStaysOneFieldSection() async throws {
        let app = try await TestHTTP2.listen()
        let front = try await TestFrontEnd()
        front.add("blog.example", port: app.port)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.request("POST", "/a", fields: Self.call, body: "x")
        let service = await app.accept()
        _ = try await service.end()
        try await service.send([":status": "200", "content-type": "application/grpc", "grpc-status": "12"], end: true)
        let response = try await stream.end()
        #expect(response.sections.count == 1)
        #expect(response.head["grpc-status"] == ["12"])
    }

    @Test func callsOfOneVisitorShareAConnectionAndVisitorsDoNot() async throws {
        let app = try await TestHTTP2.listen()
        let front = try await TestFrontEnd()
        front.add("blog.example", port: app.port)
        for expected in 1...2 {
            let visitor = try await TestHTTP2.connect(port: front.port)
            var calls: [TestStream] = []
            for number in 1...10 {
                calls.append(try await visitor.request("POST", "/\(number)", fields: Self.call, body: "x"))
            }
            for _ in calls {
                let service = await app.accept()
                _ = try await service.end()
                try await service.send(
                    [":status": "200", "content-type": "application/grpc", "grpc-status": "0"],
                    end: true
                )
            }
            for call in calls { #expect(try await call.end().head["grpc-status"] == ["0"]) }
            #expect(app.connections == expected)
            try await visitor.close()
        }
        #expect(front.frontEnd.counters.openedAppConnections == 2)
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func whatEndsACallOnOneSideEndsItOnTheOther(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestHTTP2.listen()
        let front = try await TestFrontEnd()
        front.add("blog.example", port: app.port, placement)
        let visitor = try await TestHTTP2.connect(port: front.port)
        // The visitor cancels before and after the response has begun.
        for hasBegun in [false, true] {
            let stream = try await visitor.open()
            var head: HPACKHeaders = [":method": "POST", ":scheme": "http", ":authority": "blog.example", ":path": "/"]
            head.add(contentsOf: Self.call.map { ($0.name, $0.value) })
            try await stream.send(head)
            let service = await app.accept()
            if hasBegun {
                try await service.send([":status": "200"])
                _ = try await stream.head()
            }
            try await stream.reset(.cancel)
            #expect(try await service.wait("the reset") { $0.isClosed }.reset == .cancel)
        }
        // The app resets before and after its response has begun.
        for (code, hasBegun) in [(HTTP2ErrorCode.refusedStream, false), (.cancel, false), (.internalError, true)] {
            let stream = try await visitor.request("POST", "/", fields: Self.call, body: "x")
            let service = await app.accept()
            _ = try await service.end()
            if hasBegun {
                try await service.send([":status": "200"])
                try await service.send("part")
                _ = try await stream.wait("a part") { $0.text == "part" }
            }
            try await service.reset(code)
            let response = try await stream.wait("the reset") { $0.isClosed }
            #expect(response.reset == code && !response.isEnded)
        }
        #expect(app.connections == 1)
    }

    @Test func aCallMayBeSilentForLongerThanARequest() async throws {
        var limits = HTTPLimits()
        limits.responseHead = .milliseconds(30)
        limits.requestBody = .milliseconds(30)
        let app = try await TestHTTP2.listen()
        let front = try await TestFrontEnd(limits: limits)
        front.add("blog.example", port: app.port) { $0.speaksHTTP2 = true }
        let visitor = try await TestHTTP2.connect(port: front.port)
        let call = try await visitor.request("POST", "/watch", fields: Self.call, body: "x")
        let service = await app.accept()
        // This one is no call, and is cut off; by then the call would have been as well.
        let page = try await visitor.request("GET", "/slow").end()
        #expect(page.status == "504")
        try await service.send([":status": "200", "grpc-status": "0"], end: true)
        #expect(try await call.end().head["grpc-status"] == ["0"])
    }

    @Test func pagesAreStatusesForCalls() async throws {
        let closed = try await TestApp.start { _ in "not HTTP at all\r\n\r\n" }
        let front = try await TestFrontEnd()
        front.add("blog.example", closed)
        front.add("locked.example", closed) { $0.auth = ["u:p"] }
        front.add("away.example", closed) { $0.state = .offline(since: nil) }
        let visitor = try await TestHTTP2.connect(port: front.port)
        for (host, status, code) in [
            ("blog.example", "14", "ADIT"), ("nobody.example", "12", ""), ("locked.example", "16", ""),
            ("away.example", "14", ""),
        ] {
            let response = try await visitor.request("POST", "/a", host: host, fields: Self.call, body: "x").end()
            #expect(response.status == "200" && response.sections.count == 1, "\(host)")
            #expect(response.head["grpc-status"] == [status], "\(host)")
            #expect(response.head["grpc-message"].first?.contains(code) == true, "\(host)")
            #expect(response.head["content-type"] == ["application/grpc"])
        }
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func visitorsOfHTTP11ReachAnAppOfHTTP2(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestHTTP2.listen()
        let front = try await TestFrontEnd()
        front.add("blog.example", port: app.port, placement, responseHeaders: ["X-Added": "1"]) {
            $0.speaksHTTP2 = true
        }
        let visitor = try await front.connect()
        for number in 1...3 {
            try await visitor.send(
                "POST /\(number) HTTP/1.1\r\nHost: blog.example\r\nTransfer-Encoding: chunked\r\nX-Mixed: Case\r\n"
                    + "Connection: Upgrade\r\nUpgrade: \(number == 3 ? "websocket" : "h2c")\r\n\r\n"
                    + "3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n"
            )
            let service = await app.accept()
            let request = try await service.end()
            #expect(request.sections[0][":path"] == ["/\(number)"] && request.sections[0]["x-mixed"] == ["Case"])
            #expect(request.sections[0]["upgrade"].isEmpty && request.text == "abc")
            #expect(request.trailers["x-sum"] == ["3"])
            try await service.send([":status": "103", "link": "</a>"])
            try await service.send([":status": "201", "server": "two"])
            try await service.send("hello")
            try await service.send(["x-end": "1"], end: true)
            #expect(try await visitor.readHead().startLine.hasPrefix("HTTP/1.1 103"))
            let response = try await visitor.readMessage()
            #expect(response.status == 201 && response.text == "hello")
            #expect(response["x-added"] == "1" && response["server"] == "two")
            #expect(response.trailers.map(\.name) == ["x-end"])
            // A request that asked for another protocol is the last on its connection.
            break
        }
        #expect(app.connections == 1)
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func largeMessagesPassWholeBothWays(_ placement: TestFrontEnd.Placement) async throws {
        // No two parts of it are alike.
        let bytes = (0..<8_000_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 24) }
        let app = try await TestHTTP2.listen()
        let front = try await TestFrontEnd()
        front.add("blog.example", port: app.port, placement)
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.open()
        var head: HPACKHeaders = [":method": "POST", ":scheme": "http", ":authority": "blog.example", ":path": "/"]
        head.add(contentsOf: Self.call.map { ($0.name, $0.value) })
        try await stream.send(head)
        async let sent: Void = stream.send(bytes: bytes, end: true)
        let service = await app.accept()
        let upload = try await service.end()
        let isWhole = upload.body == bytes
        #expect(
            isWhole,
            "\(upload.body.count) bytes, ended \(upload.isEnded), closed \(upload.isClosed), \(String(describing: upload.reset))"
        )
        try await sent
        try await service.send([":status": "200"])
        async let answered: Void = service.send(bytes: bytes)
        let isAnswerWhole = try await stream.wait("all") { $0.body.count == bytes.count }.body == bytes
        #expect(isAnswerWhole)
        try await answered
        try await service.send(["grpc-status": "0"], end: true)
        #expect(try await stream.end().trailers["grpc-status"] == ["0"])
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func anUploadWaitsWithItsVisitorForItsBandwidth(_ placement: TestFrontEnd.Placement) async throws {
        let window = 1 << 30
        let settings = nioDefaultSettings + [HTTP2Setting(parameter: .initialWindowSize, value: window)]
        let app = try await TestHTTP2.listen(settings: settings)
        let rate = try #require(Bandwidth(bytesPerSecond: 4_000_000))
        let limiter = BandwidthLimiter(rate, on: MultiThreadedEventLoopGroup.singleton.next())
        let passed = NIOLockedValueBox(0)
        let front = try await TestFrontEnd()
        front.add("blog.example", port: app.port, placement) { route in
            route.speaksHTTP2 = true
            let open = route.open
            route.open = { visitor, loop in
                open(visitor, loop).flatMap { channel in
                    channel.eventLoop.submit {
                        let handlers: [any ChannelHandler] = [Passed(passed), BandwidthWriteHandler(limiter)]
                        try channel.pipeline.syncOperations.addHandlers(handlers)
                        return channel
                    }
                }
            }
        }
        let visitor = try await TestHTTP2.connect(port: front.port)
        let stream = try await visitor.open()
        try await stream.send([":method": "POST", ":scheme": "http", ":authority": "blog.example", ":path": "/"])
        let service = await app.accept()
        // An app with large windows would take everything at once.
        let more = HTTP2Frame(streamID: .rootStream, payload: .windowUpdate(windowSizeIncrement: window))
        try await service.channel.parent?.writeAndFlush(more).get()
        let bytes = Array(repeating: UInt8(7), count: 8_000_000)
        try await stream.send(bytes: bytes, end: true)
        // The visitor's window and as much again are on the way, and no more.
        #expect(passed.withLockedValue { $0 } > bytes.count - 3_000_000)
        #expect(try await service.end().body == bytes)
        try await service.send([":status": "200"], end: true)
        #expect(try await stream.end().status == "200")
    }

    @Test func anAppThatGoesAwayIsAskedAgainOnANewConnection() async throws {
        let app = try await TestHTTP2.listen()
        let front = try await TestFrontEnd()
        front.add("blog.example", port: app.port) { $0.speaksHTTP2 = true }
        let visitor = try await TestHTTP2.connect(port: front.port)
        let first = try await visitor.request("GET", "/1")
        let service = await app.accept()
        // The app announces its end, and still answers what it has.
        let connection = try service.channel.parent
        let leave = HTTP2Frame(
            streamID: .rootStream,
            payload: .goAway(lastStreamID: 1, errorCode: .noError, opaqueData: nil)
        )
        try await connection?.writeAndFlush(leave).get()
        try await service.send([":status": "200"], end: true)
        #expect(try await first.end().status == "200")
        let second = try await visitor.request("GET", "/2")
        let next = await app.accept()
        try await next.send([":status": "200"], end: true)
        #expect(try await second.end().status == "200")
        #expect(app.connections == 2)
    }

    @Test func anAppThatIsNotThereIsToldOfByPage() async throws {
        let gone = try await TestApp.start()
        let port = gone.port.withLockedValue { $0 }
        try await gone.stop()
        let front = try await TestFrontEnd()
        front.add("blog.example", port: port) { $0.speaksHTTP2 = true }
        let visitor = try await TestHTTP2.connect(port: front.port)
        for _ in 1...3 {
            let response = try await visitor.request().end()
            #expect(response.status == "502" && response.text.contains("nothing answers"), "\(response.text)")
        }
    }
}

/// Counts what passes towards the app.
private final class Passed: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let count: NIOLockedValueBox<Int>

    init(_ count: NIOLockedValueBox<Int>) {
        self.count = count
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        count.withLockedValue { $0 += unwrapOutboundIn(data).readableBytes }
        context.write(data, promise: promise)
    }
}
