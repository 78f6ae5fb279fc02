// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import Testing

private func ok(_ body: String) -> String {
    "HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
}

@Suite(.timeLimit(.minutes(1))) struct ForwardingTests {
    @Test(arguments: TestFrontEnd.Placement.allCases)
    func aConnectionServesManyRequestsAndKeepsOneConnectionToTheApp(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestApp.start { ok("you asked for " + $0.startLine) }
        let front = try await TestFrontEnd()
        front.add("blog.example", app, placement)
        let visitor = try await front.connect()
        for number in 1...20 {
            try await visitor.send("GET /\(number)?q=%2F..%2f HTTP/1.1\r\nHost: blog.example\r\n\r\n")
            let response = try await visitor.readMessage()
            #expect(response.startLine == "HTTP/1.1 200 OK")
            #expect(response.text == "you asked for GET /\(number)?q=%2F..%2f HTTP/1.1")
            #expect(response["connection"] == nil)
        }
        #expect(app.accepted == 1)
        #expect(front.frontEnd.counters.requests == 20)
    }

    @Test func pipelinedRequestsAreAnsweredInOrderOneAtATime() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send(
            (1...3).map { "POST /\($0) HTTP/1.1\r\nHost: blog.example\r\nContent-Length: 2\r\n\r\n-\($0)" }.joined()
        )
        let wire = await app.accept()
        for number in 1...3 {
            let request = try await wire.readMessage()
            #expect(request.startLine == "POST /\(number) HTTP/1.1")
            #expect(request.text == "-\(number)")
            // The next request waits: were it sent already, it would be in front of the marker.
            try await wire.send(ok("answer \(number)"))
            #expect(try await visitor.readMessage().text == "answer \(number)")
        }
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func chunksAndTrailersPassBothWays(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app, placement)
        let visitor = try await front.connect()
        try await visitor.send(
            "POST / HTTP/1.1\r\nHost: blog.example\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-Sum\r\n\r\n"
                + "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Sum: 12\r\nX-Forwarded-For: 6.6.6.6\r\nHost: evil\r\n\r\n"
        )
        let wire = await app.accept()
        let request = try await wire.readMessage()
        #expect(request.text == "hello world")
        #expect(request["te"] == "trailers")
        #expect(request["trailer"] == "X-Sum")
        #expect(request.trailers.map(\.name) == ["X-Sum"])
        try await wire.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Checksum: 7\r\nSet-Host: b\r\n\r\n"
        )
        let response = try await visitor.readMessage()
        #expect(response.text == "abc")
        #expect(response.trailers.first?.value == "7")
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func eventsOfAServerReachTheVisitorAtOnce(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app, placement)
        let visitor = try await front.connect()
        try await visitor.send("GET /events HTTP/1.1\r\nHost: blog.example\r\nAccept: text/event-stream\r\n\r\n")
        let wire = await app.accept()
        _ = try await wire.readMessage()
        try await wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        #expect(try await visitor.readHead()["content-type"] == "text/event-stream")
        for number in 1...5 {
            try await wire.send("data: \(number)\n\n")
            _ = try await visitor.read(until: "data: \(number)\n\n\r\n")
        }
        try await wire.closeOutput()
        #expect(try await visitor.read(until: "0\r\n\r\n") == "0\r\n\r\n")
    }

    @Test(arguments: TestFrontEnd.Placement.allCases)
    func aWebSocketPassesRawBytesBothWaysAndEndsEachWayOnItsOwn(_ placement: TestFrontEnd.Placement) async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app, placement)
        let visitor = try await front.connect()
        // The first frame is sent before the answer, as an impatient client does.
        try await visitor.send(
            "GET /hmr HTTP/1.1\r\nHost: blog.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nearly"
        )
        let wire = await app.accept()
        let request = try await wire.readHead()
        #expect(request["connection"] == "Upgrade")
        #expect(request["upgrade"] == "websocket")
        try await wire.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP/1.1\r\n"
        )
        let response = try await visitor.readHead()
        #expect(response.status == 101)
        #expect(response["upgrade"] == "websocket")
        #expect(response["connection"] == "Upgrade")
        #expect(try await visitor.read(until: "GET / HTTP/1.1\r\n") == "GET / HTTP/1.1\r\n")
        #expect(try await wire.read(count: 5) == Array("early".utf8))
        try await visitor.send([0, 255, 13, 10, 13, 10])
        #expect(try await wire.read(count: 6) == [0, 255, 13, 10, 13, 10])
        #expect(front.frontEnd.counters.upgradedConnections == 1)
        try await visitor.closeOutput()
        #expect(try await wire.readToEnd() == "")
        try await wire.send("still here")
        #expect(try await visitor.read(until: "still here") == "still here")
        try await wire.closeOutput()
        #expect(try await visitor.readToEnd() == "")
        #expect(front.reports.withLockedValue { $0.first?.upgraded } == true)
    }

    @Test func anUpgradeToCleartextHTTP2IsNotPassedOn() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send(
            "GET / HTTP/1.1\r\nHost: blog.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                + "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: blog.example\r\n\r\n"
        )
        let wire = await app.accept()
        let request = try await wire.readMessage()
        #expect(request["upgrade"] == nil)
        #expect(request["http2-settings"] == nil)
        #expect(request["connection"] == nil)
        try await wire.send(ok("plain"))
        let response = try await visitor.readMessage()
        #expect(response.text == "plain")
        // The parser stopped behind the request, so that nothing behind it may be read as another one.
        #expect(response["connection"] == "close")
        #expect(try await visitor.readToEnd() == "")
        #expect(try await wire.readToEnd() == "")
    }

    @Test func anAppThatAnswers101WithoutBeingAskedIsNotPassedOn() async throws {
        let app = try await TestApp.start { _ in
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        #expect(try await visitor.readMessage().status == 502)
    }

    @Test func aClientThatExpectsToBeToldToContinueIsTold() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send(
            "POST / HTTP/1.1\r\nHost: blog.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        let wire = await app.accept()
        let head = try await wire.readHead()
        #expect(head["expect"] == "100-continue")
        try await wire.send("HTTP/1.1 100 Continue\r\n\r\n")
        #expect(try await visitor.readHead().startLine == "HTTP/1.1 100 Continue")
        try await visitor.send("body")
        #expect(try await wire.read(count: 4) == Array("body".utf8))
        try await wire.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + ok("done"))
        #expect(try await visitor.readHead()["link"] == "</a.css>")
        #expect(try await visitor.readMessage().text == "done")
    }

    @Test func aRefusalInsteadOfContinueEndsTheConnection() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send(
            "POST / HTTP/1.1\r\nHost: blog.example\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        let wire = await app.accept()
        _ = try await wire.readHead()
        try await wire.send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\n\r\n")
        let response = try await visitor.readMessage()
        #expect(response.status == 413)
        #expect(response["connection"] == "close")
        #expect(try await visitor.readToEnd() == "")
        #expect(try await wire.readToEnd() == "")
    }

    @Test func responsesWithoutABodyHaveNone() async throws {
        let app = try await TestApp.start { request in
            switch request.startLine.split(separator: " ")[1] {
            case "/head": "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n"
            case "/204": "HTTP/1.1 204 No Content\r\n\r\n"
            default: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5000\r\nETag: \"a\"\r\n\r\n"
            }
        }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("HEAD /head HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        #expect(try await visitor.readMessage(isBodiless: true)["content-length"] == "5000")
        try await visitor.send("GET /204 HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        let none = try await visitor.readMessage()
        #expect(none.status == 204)
        #expect(none["transfer-encoding"] == nil)
        try await visitor.send("GET /304 HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        #expect(try await visitor.readMessage()["etag"] == "\"a\"")
        #expect(app.accepted == 1)
    }

    @Test func aVisitorOfHTTP10GetsNoChunks() async throws {
        let app = try await TestApp.start { _ in
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.0\r\nHost: blog.example\r\nConnection: keep-alive\r\n\r\n")
        let response = try await visitor.readMessage()
        #expect(response["transfer-encoding"] == nil)
        #expect(response["connection"] == "close")
        #expect(response.text == "abc")
    }

    @Test func aVisitorOfHTTP10MayKeepTheConnection() async throws {
        let app = try await TestApp.start { _ in ok("abc") }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        for _ in 1...2 {
            try await visitor.send("GET / HTTP/1.0\r\nHost: blog.example\r\nConnection: keep-alive\r\n\r\n")
            let response = try await visitor.readMessage()
            #expect(response["connection"] == "keep-alive")
            #expect(response.text == "abc")
        }
        try await visitor.send("GET / HTTP/1.0\r\nHost: blog.example\r\n\r\n")
        #expect(try await visitor.readMessage()["connection"] == "close")
        #expect(try await visitor.readToEnd() == "")
    }

    @Test func aKeptConnectionThatDiedIsReplacedForARepeatableRequest() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET /1 HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        let first = await app.accept()
        _ = try await first.readMessage()
        try await first.send(ok("one"))
        _ = try await visitor.readMessage()
        try await visitor.send("GET /2 HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        _ = try await first.readMessage()
        first.close()
        let second = await app.accept()
        #expect(try await second.readMessage().startLine == "GET /2 HTTP/1.1")
        try await second.send(ok("two"))
        #expect(try await visitor.readMessage().text == "two")
        #expect(front.frontEnd.counters.failedRequests == 0)
    }

    @Test func aRequestThatMayNotBeRepeatedIsNot() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET /1 HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        let wire = await app.accept()
        _ = try await wire.readMessage()
        try await wire.send(ok("one"))
        _ = try await visitor.readMessage()
        try await visitor.send("POST /pay HTTP/1.1\r\nHost: blog.example\r\nContent-Length: 3\r\n\r\nall")
        _ = try await wire.readMessage()
        wire.close()
        #expect(try await visitor.readMessage().status == 502)
        #expect(app.accepted == 1)
    }

    @Test func aKeptConnectionIsNotUsedForAnotherTunnelOfTheSameName() async throws {
        let app = try await TestApp.start { _ in ok("x") }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        _ = try await visitor.readMessage()
        front.add("blog.example", app) { $0.id = 2 }
        try await visitor.send("GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        _ = try await visitor.readMessage()
        #expect(app.accepted == 2)
    }

    @Test func aResponseThatBreaksOffIsCutOffForTheVisitorToo() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        let wire = await app.accept()
        _ = try await wire.readMessage()
        try await wire.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        _ = try await visitor.read(until: "abc\r\n")
        wire.close()
        let rest = (try? await visitor.readToEnd()) ?? ""
        #expect(!rest.contains("0\r\n"))
    }

    @Test func aVisitorWhoLeavesEndsTheRequestAtTheApp() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("POST / HTTP/1.1\r\nHost: blog.example\r\nContent-Length: 100\r\n\r\nhalf")
        let wire = await app.accept()
        _ = try await wire.read(until: "half")
        visitor.close()
        #expect(try await wire.readToEnd() == "")
    }

    @Test func aVisitorWhoEndsItsDirectionStillGetsTheResponse() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        try await visitor.closeOutput()
        let wire = await app.accept()
        _ = try await wire.readMessage()
        try await wire.send(ok("late"))
        #expect(try await visitor.readMessage().text == "late")
        #expect(try await visitor.readToEnd() == "")
    }

    @Test func aVisitorWhoEndedItsDirectionAndHearsNothingIsGivenUp() async throws {
        var limits = HTTPLimits()
        limits.halfClosed = .milliseconds(200)
        let app = try await TestApp.start()
        let front = try await TestFrontEnd(limits: limits)
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET /events HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        let wire = await app.accept()
        _ = try await wire.readMessage()
        try await visitor.closeOutput()
        #expect(try await wire.readToEnd() == "")
        #expect(try await visitor.readToEnd() == "")
    }

    @Test func requestsAreReportedWithoutTheirQuery() async throws {
        let app = try await TestApp.start { _ in ok("x") }
        let front = try await TestFrontEnd(now: 1_700_000_000_123)
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET /a/b?secret=1 HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        _ = try await visitor.readMessage()
        try await visitor.send("PUT /\(String(repeating: "%C3", count: 100)) HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        _ = try await visitor.readMessage()
        let reports = front.reports.withLockedValue { $0 }
        #expect(reports.count == 2)
        #expect(reports.first?.proxyName == "blog")
        #expect(reports.first?.method == "GET")
        #expect(reports.first?.path == "/a/b")
        #expect(reports.first?.status == 200)
        #expect(reports.first?.visitor == "127.0.0.1")
        #expect(reports.first?.time == 1_700_000_000_123)
        #expect(reports.last?.path == "/" + String(repeating: "%C3", count: 85))
    }

    @Test func drainingFinishesTheResponseAndThenCloses() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let idle = try await front.connect()
        let busy = try await front.connect()
        try await busy.send("GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        let wire = await app.accept()
        _ = try await wire.readMessage()
        while front.frontEnd.counters.connections < 2 { await Task.yield() }
        let drained = front.frontEnd.drain(on: try busy.channel.eventLoop)
        #expect(try await idle.readToEnd() == "")
        try await wire.send(ok("last"))
        let response = try await busy.readMessage()
        #expect(response.text == "last")
        #expect(response["connection"] == "close")
        #expect(try await busy.readToEnd() == "")
        busy.close()
        idle.close()
        try await drained.get()
        #expect(front.frontEnd.counters.connections == 0)
        let late = try await front.connect()
        #expect(try await late.readToEnd() == "")
    }
}
