// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import Testing

@Suite(.timeLimit(.minutes(1))) struct PageTests {
    private static let html = "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\n"
    private static let now: Int64 = 1_700_000_000_000

    private func get(
        _ front: TestFrontEnd,
        _ host: String,
        _ fields: String = "",
        method: String = "GET"
    ) async throws -> TestWire.Message {
        let visitor = try await front.connect()
        defer { visitor.close() }
        try await visitor.send("\(method) / HTTP/1.1\r\nHost: \(host)\r\n\(fields)\r\n")
        return try await visitor.readMessage(isBodiless: method == "HEAD")
    }

    @Test func anUnknownNameGetsAPageInTheVisitorsLanguage() async throws {
        let front = try await TestFrontEnd()
        let english = try await get(front, "nobody.example", Self.html + "Accept-Language: fr, en;q=0.8, zh;q=0.5\r\n")
        #expect(english.status == 404)
        #expect(english["adit-error"] == "ADIT-222")
        #expect(english["content-type"] == "text/html; charset=utf-8")
        #expect(english["content-language"] == "en")
        #expect(english.text.contains("Nothing is shared at nobody.example."))
        #expect(english.text.contains("ADIT-222"))
        let chinese = try await get(front, "nobody.example", Self.html + "Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\n")
        #expect(chinese["content-language"] == "zh-Hans")
        #expect(chinese.text.contains("nobody.example 没有共享任何内容"))
        #expect(chinese.text.contains("<html lang=\"zh-Hans\">"))
    }

    @Test func aDeviceThatLeftGetsAPageThatReloads() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd(now: Self.now)
        front.add("calm-otter.example", app) { $0.state = .offline(since: UnixTime(seconds: Self.now / 1_000 - 720)) }
        let english = try await get(front, "calm-otter.example", Self.html)
        #expect(english.status == 503)
        #expect(english["retry-after"] == "10")
        #expect(english["adit-error"] == "ADIT-221")
        #expect(english["cache-control"] == "no-store")
        #expect(english["date"] == "Tue, 14 Nov 2023 22:13:20 GMT")
        #expect(english.text.contains("calm-otter is resting"))
        #expect(english.text.contains("Its computer went offline at 22:01 UTC, 12 minutes ago."))
        #expect(english.text.contains("<meta http-equiv=\"refresh\" content=\"10\">"))
        let chinese = try await get(front, "calm-otter.example", Self.html + "Accept-Language: zh\r\n")
        #expect(chinese.text.contains("calm-otter 正在休息"))
        #expect(chinese.text.contains("于 22:01（UTC）离线，12 分钟前"))
        #expect(app.accepted == 0)
    }

    @Test func anAppThatDoesNotAnswerGetsAPageWithItsTarget() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd(now: Self.now)
        front.add("calm-otter.example", app)
        Task { for _ in 1...2 { await app.accept().close() } }
        let english = try await get(front, "calm-otter.example", Self.html)
        #expect(english.status == 502)
        #expect(english["adit-error"] == "ADIT-201")
        #expect(
            english.text.contains("The computer mei-laptop is online, but nothing answers at http://localhost:3000.")
        )
        #expect(english.text.contains("Since 22:13 UTC"))
        let chinese = try await get(front, "calm-otter.example", Self.html + "Accept-Language: zh-TW\r\n")
        #expect(chinese.text.contains("电脑 mei-laptop 在线，但 http://localhost:3000 没有应答。"))
        #expect(front.reports.withLockedValue { $0.map(\.status) } == [502, 502])
    }

    @Test func anAppThatCannotBeReachedGetsTheSamePage() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("calm-otter.example", app)
        try await app.stop()
        let response = try await get(front, "calm-otter.example")
        #expect(response.status == 502)
        #expect(response["adit-error"] == "ADIT-201")
    }

    @Test func aDeviceThatLeavesDuringARequestIsSaidToHaveLeft() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("calm-otter.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: calm-otter.example\r\n\r\n")
        let wire = await app.accept()
        _ = try await wire.readMessage()
        front.add("calm-otter.example", app) { $0.state = .offline(since: nil) }
        wire.close()
        let response = try await visitor.readMessage()
        #expect(response.status == 503)
        #expect(response["adit-error"] == "ADIT-221")
    }

    @Test func aConnectionThatNeverOpensIsGivenUp() async throws {
        var limits = HTTPLimits()
        limits.open = .milliseconds(100)
        let app = try await TestApp.start()
        let front = try await TestFrontEnd(limits: limits)
        let late = NIOLockedValueBox<EventLoopPromise<any Channel>?>(nil)
        front.add("calm-otter.example", app) { route in
            route.open = { _, loop in
                let promise = loop.makePromise(of: (any Channel).self)
                late.withLockedValue { $0 = promise }
                return promise.futureResult
            }
        }
        #expect(try await get(front, "calm-otter.example").status == 502)
        // What comes after all belongs to nobody and is closed.
        let wire = try await TestWire.connect(port: app.port.withLockedValue { $0 })
        late.withLockedValue { $0 }?.succeed(try wire.channel)
        #expect(try await app.accept().readToEnd() == "")
    }

    @Test func anAppThatIsTooSlowGetsAPage() async throws {
        var limits = HTTPLimits()
        limits.responseHead = .milliseconds(100)
        let app = try await TestApp.start()
        let front = try await TestFrontEnd(limits: limits)
        front.add("calm-otter.example", app)
        let response = try await get(front, "calm-otter.example", Self.html)
        #expect(response.status == 504)
        #expect(response["adit-error"] == "ADIT-206")
        #expect(response.text.contains("did not answer within"))
        #expect(try await app.accept().readToEnd().hasPrefix("GET / HTTP/1.1"))
    }

    @Test func aProgramGetsOneLineOfText() async throws {
        let front = try await TestFrontEnd()
        for fields in ["", "Accept: */*\r\n", "Accept: application/json\r\n"] {
            let response = try await get(front, "nobody.example", fields)
            #expect(response["content-type"] == "text/plain; charset=utf-8")
            #expect(response.text.split(separator: "\n").count == 1)
            #expect(response.text.hasPrefix("ADIT-222  "))
        }
    }

    @Test func aRequestForTheHeadGetsNoBody() async throws {
        let front = try await TestFrontEnd()
        let visitor = try await front.connect()
        for _ in 1...2 {
            try await visitor.send("HEAD / HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
            let response = try await visitor.readMessage(isBodiless: true)
            #expect(response.status == 404)
            #expect(Int(response["content-length"] ?? "") ?? 0 > 0)
        }
    }

    @Test func aPageKeepsTheConnectionUnlessABodyIsLeft() async throws {
        let front = try await TestFrontEnd()
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n")
        #expect(try await visitor.readMessage()["connection"] == nil)
        try await visitor.send("POST / HTTP/1.1\r\nHost: nobody.example\r\nContent-Length: 5\r\n\r\nGET /")
        #expect(try await visitor.readMessage()["connection"] == "close")
        #expect(try await visitor.readToEnd() == "")
    }

    @Test func namesCannotBecomeMarkup() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("x.example", app) { route in
            route.tunnelName = "<script>alert(1)</script>"
            route.deviceName = "\"><img src=x onerror=alert(2)>"
            route.target = "http://x/'&<b>\u{202E}\u{1B}[31m"
            route.state = .offline(since: nil)
        }
        let offline = try await get(front, "x.example", Self.html)
        #expect(offline.text.contains("&lt;script&gt;alert(1)&lt;/script&gt; is resting"))
        #expect(!offline.text.contains("<script"))
        front.add("y.example", app) { route in
            route.deviceName = "\"><img src=x onerror=alert(2)>"
            route.target = "http://x/'&<b>\u{202E}\u{1B}[31m"
        }
        Task { for _ in 1...2 { await app.accept().close() } }
        let broken = try await get(front, "y.example", Self.html)
        #expect(!broken.text.contains("<img") && !broken.text.contains("<b>"))
        #expect(broken.text.contains("&quot;&gt;&lt;img src=x"))
        let plain = try await get(front, "y.example")
        #expect(!plain.text.contains("\u{1B}") && !plain.text.contains("\u{202E}"))
    }

    @Test func pagesLoadNothingAndRunNothing() async throws {
        let front = try await TestFrontEnd()
        let page = try await get(front, "nobody.example", Self.html)
        let policy = try #require(page["content-security-policy"])
        #expect(policy.hasPrefix("default-src 'none'; style-src 'sha256-"))
        #expect(!policy.contains("unsafe"))
        #expect(page["x-content-type-options"] == "nosniff")
        for asset in ["<script", "src=", "href=", "url(", "@import", "http://", "https://"] {
            #expect(!page.text.contains(asset))
        }
        #expect(page.text.contains("prefers-color-scheme:dark"))
    }

    @Test func theOwnersPageReplacesTheOneForUnknownNames() async throws {
        let front = try await TestFrontEnd(page: Array("<h1>mine</h1>".utf8))
        let page = try await get(front, "nobody.example", Self.html)
        #expect(page.status == 404)
        #expect(page.text == "<h1>mine</h1>")
        #expect(page["adit-error"] == "ADIT-222")
        #expect(try await get(front, "nobody.example").text.hasPrefix("ADIT-222"))
        front.frontEnd.setUnknownNamePage(nil)
        #expect(try await get(front, "nobody.example", Self.html).text.contains("Nothing is shared"))
    }

    @Test func aTunnelWithAPasswordAsksForIt() async throws {
        let app = try await TestApp.start()
        let front = try await TestFrontEnd()
        front.add("x.example", app) { route in
            route.tunnelName = "a\"b\\c\r\n"
            route.auth = ["mei:secret"]
        }
        let page = try await get(front, "x.example", Self.html)
        #expect(page.status == 401)
        #expect(page["www-authenticate"] == "Basic realm=\"abc\", charset=\"UTF-8\"")
        #expect(page["adit-error"] == "ADIT-224")
    }
}
