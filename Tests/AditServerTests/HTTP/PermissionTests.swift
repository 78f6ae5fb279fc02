// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import NIOConcurrencyHelpers
import Testing

private func echo(_ request: TestWire.Message) -> String {
    let text = ([request.startLine] + request.fields.map { "\($0.name): \($0.value)" }).joined(separator: "\n")
    return "HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)"
}

/// `user:password` as HTTP Basic authentication sends them.
private func basic(_ text: String) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var bits = text.utf8.reduce("") {
        $0 + String(repeating: "0", count: 8 - String($1, radix: 2).count) + String($1, radix: 2)
    }
    while bits.count % 6 != 0 { bits += "0" }
    var digits = ""
    while !bits.isEmpty {
        digits.append(alphabet[Int(bits.prefix(6), radix: 2) ?? 0])
        bits.removeFirst(6)
    }
    while digits.count % 4 != 0 { digits += "=" }
    return "Basic " + digits
}

@Suite(.timeLimit(.minutes(1))) struct PermissionTests {
    @Test func whereARequestCameFromIsSaidByTheProxyAlone() async throws {
        let app = try await TestApp.start(echo)
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send(
            "GET / HTTP/1.1\r\nHost: Blog.Example:8080\r\nX-Forwarded-For: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n"
                + "x-forwarded-proto: https\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-User: root\r\n"
                + "Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Real_IP: 6.6.6.6\r\n\r\n"
        )
        let text = try await visitor.readMessage().text
        #expect(
            !text.contains("6.6.6.6") && !text.contains("evil") && !text.contains("root") && !text.contains("https")
        )
        let lines = text.split(separator: "\n")
        #expect(lines.contains("Host: Blog.Example:8080"))
        #expect(lines.contains("X-Forwarded-For: 127.0.0.1"))
        #expect(lines.contains("X-Forwarded-Proto: http"))
        #expect(lines.contains("X-Forwarded-Host: Blog.Example:8080"))
        #expect(lines.contains("X-Forwarded-Port: \(front.port)"))
        #expect(lines.contains("X-Real-IP: 127.0.0.1"))
        #expect(lines.contains("Forwarded: for=127.0.0.1;host=\"Blog.Example:8080\";proto=http"))
    }

    @Test func fieldsForOneHopStayOnThatHop() async throws {
        let app = try await TestApp.start(echo)
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send(
            "GET / HTTP/1.1\r\nHost: blog.example\r\nConnection: keep-alive, X-Hop, X-Forwarded-For, Host\r\nX-Hop: 1\r\n"
                + "Keep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\nProxy-Authorization: Basic eDp5\r\n"
                + "TE: gzip, trailers\r\nCookie: a=1\r\nX-End: 2\r\n\r\n"
        )
        let text = try await visitor.readMessage().text
        for gone in ["X-Hop", "Keep-Alive", "keep-alive", "Proxy-", "gzip"] { #expect(!text.contains(gone)) }
        for kept in ["Host: blog.example", "Cookie: a=1", "X-End: 2", "TE: trailers", "X-Forwarded-For: 127.0.0.1"] {
            #expect(text.contains(kept))
        }
    }

    @Test func aResponseLosesItsHopAndGainsTheTunnelsFields() async throws {
        let app = try await TestApp.start { _ in
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
                + "Server: app\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nUpgrade: h2c\r\n\r\n"
        }
        let front = try await TestFrontEnd()
        front.add(
            "blog.example",
            app,
            responseHeaders: ["Server": "mine", "X-Bad": "a\r\nSet-Cookie: evil=1", "Content-Length": "9"]
        )
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        let response = try await visitor.readMessage()
        #expect(response.all("server") == ["mine"])
        #expect(response.all("set-cookie") == ["a=1", "b=2"])
        #expect(response.all("content-length") == ["0"])
        for gone in ["x-hop", "keep-alive", "upgrade", "x-bad", "connection"] { #expect(response[gone] == nil) }
    }

    @Test func hostAndFieldsOfTheTunnelReplaceTheVisitors() async throws {
        let app = try await TestApp.start(echo)
        let front = try await TestFrontEnd()
        front.add(
            "blog.example",
            app,
            requestHeaders: ["X-From": "adit", "x-forwarded-proto": "https", "Transfer-Encoding": "x", "Host": "no"]
        ) { $0.hostHeaderRewrite = "localhost:3000" }
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: blog.example\r\nX-From: visitor\r\n\r\n")
        let lines = try await visitor.readMessage().text.split(separator: "\n")
        #expect(lines.contains("Host: localhost:3000"))
        #expect(lines.contains("X-Forwarded-Host: blog.example"))
        #expect(lines.filter { $0.lowercased().hasPrefix("x-from") } == ["X-From: adit"])
        #expect(lines.filter { $0.lowercased().hasPrefix("x-forwarded-proto") } == ["x-forwarded-proto: https"])
        #expect(!lines.contains { $0.hasPrefix("Transfer-Encoding") || $0 == "Host: no" })
    }

    @Test func pathsArePassedOnByteForByte() async throws {
        let app = try await TestApp.start { request in
            let target = request.startLine.split(separator: " ")[1]
            return "HTTP/1.1 200 OK\r\nContent-Length: \(target.utf8.count)\r\n\r\n\(target)"
        }
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        for path in [
            "//a//b/", "/a/../b/%2e%2E/c", "/%2F%00%zz", "/?a=b?c&d=%20+", "/a;b=c,d:e@f!$'()*[]|\\\"<>^`{}", "/~",
        ] {
            try await visitor.send("GET \(path) HTTP/1.1\r\nHost: blog.example\r\n\r\n")
            #expect(try await visitor.readMessage().text == path)
        }
        try await visitor.send("OPTIONS * HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        #expect(try await visitor.readMessage().text == "*")
        try await visitor.send("GET http://blog.example?x HTTP/1.1\r\nHost: blog.example\r\n\r\n")
        #expect(try await visitor.readMessage().text == "/?x")
    }

    @Test(arguments: [
        "BLOG.EXAMPLE", "blog.example.", "blog.example:80", "blog.example:", "Blog.Example.:443", "blog.example \t",
    ])
    func everySpellingOfAHostLeadsToOneTunnel(_ host: String) async throws {
        let app = try await TestApp.start(echo)
        let front = try await TestFrontEnd()
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        #expect(try await visitor.readMessage().status == 200)
        #expect(front.routes.asked.withLockedValue { $0 } == ["blog.example / -"])
    }

    @Test func anAddressInBracketsIsAHost() async throws {
        let app = try await TestApp.start(echo)
        let front = try await TestFrontEnd()
        front.add("2001:db8::1", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: [2001:DB8:0::1]:8080\r\n\r\n")
        #expect(try await visitor.readMessage().text.contains("Host: [2001:DB8:0::1]:8080"))
    }

    @Test func aTargetInAbsoluteFormOutweighsHostForRouteAndPermission() async throws {
        let open = try await TestApp.start(echo)
        let closed = try await TestApp.start(echo)
        let front = try await TestFrontEnd()
        front.add("open.example", open)
        front.add("closed.example", closed) { $0.auth = ["mei:secret"] }
        let visitor = try await front.connect()
        try await visitor.send("GET http://closed.example/x HTTP/1.1\r\nHost: open.example\r\n\r\n")
        #expect(try await visitor.readMessage().status == 401)
        try await visitor.send("GET http://open.example:81/x HTTP/1.1\r\nHost: closed.example\r\n\r\n")
        let text = try await visitor.readMessage().text
        #expect(text.hasPrefix("GET /x HTTP/1.1\n"))
        #expect(text.contains("Host: open.example:81\n"))
        #expect(!text.contains("closed"))
        #expect(closed.accepted == 0)
    }

    @Test func userOfTheRouteAndPasswordComeFromTheSameField() async throws {
        let app = try await TestApp.start(echo)
        let front = try await TestFrontEnd()
        front.add("alice@blog.example", app) { $0.auth = ["alice:a"] }
        front.add("bob@blog.example", app) { $0.auth = ["bob:b"] }
        front.add("blog.example", app) { $0.auth = ["guest:g"] }
        let visitor = try await front.connect()
        func status(_ fields: String) async throws -> Int {
            try await visitor.send("GET / HTTP/1.1\r\nHost: blog.example\r\n\(fields)\r\n")
            return try await visitor.readMessage().status
        }
        #expect(try await status("Authorization: \(basic("alice:a"))\r\n") == 200)
        #expect(try await status("authorization: basic \(basic("bob:b").dropFirst(6))\r\n") == 200)
        #expect(try await status("Authorization: \(basic("alice:b"))\r\n") == 401)
        #expect(try await status("Authorization: \(basic("bob:a"))\r\n") == 401)
        // The routes' user is never taken from the field for proxies while the password comes from the other.
        #expect(
            try await status("Proxy-Authorization: \(basic("alice:a"))\r\nAuthorization: \(basic("bob:a"))\r\n") == 401
        )
        #expect(try await status("Proxy-Authorization: \(basic("alice:a"))\r\n") == 401)
        #expect(
            try await status("Authorization: \(basic("alice:a"))\r\nAuthorization: \(basic("bob:b"))\r\n") == 401
        )
        #expect(try await status("") == 401)
        #expect(try await status("Authorization: Bearer YWxpY2U6YQ==\r\n") == 401)
        #expect(try await status("Authorization: Basic !!!\r\n") == 401)
        #expect(try await status("Authorization: \(basic("guest:g:"))\r\n") == 401)
    }

    @Test func anAddressOutsideTheListIsRefused() async throws {
        let app = try await TestApp.start(echo)
        let front = try await TestFrontEnd()
        front.add("far.example", app) { $0.allow = [CIDR("203.0.113.0/24")].compactMap(\.self) }
        front.add("near.example", app) { $0.allow = [CIDR("203.0.113.0/24"), CIDR("127.0.0.0/8")].compactMap(\.self) }
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: far.example\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n")
        let refused = try await visitor.readMessage()
        #expect(refused.status == 403)
        #expect(refused["adit-error"] == "ADIT-223")
        #expect(refused.text.contains("127.0.0.1"))
        try await visitor.send("GET / HTTP/1.1\r\nHost: near.example\r\n\r\n")
        #expect(try await visitor.readMessage().status == 200)
    }

    @Test func aRequestThatComesBackToItsServerIsStopped() async throws {
        let app = try await TestApp.start(echo)
        let front = try await TestFrontEnd(loopName: "adit-1")
        front.add("blog.example", app)
        let visitor = try await front.connect()
        try await visitor.send("GET / HTTP/1.1\r\nHost: blog.example\r\nCDN-Loop: other, adit-2\r\n\r\n")
        let first = try await visitor.readMessage()
        #expect(first.status == 200)
        #expect(first.text.contains("CDN-Loop: other, adit-2") && first.text.contains("CDN-Loop: adit-1"))
        try await visitor.send("GET / HTTP/1.1\r\nHost: blog.example\r\nCDN-Loop: other, adit-1; x=y\r\n\r\n")
        let second = try await visitor.readMessage()
        #expect(second.status == 508)
        #expect(second["adit-error"] == "ADIT-207")
    }
}
