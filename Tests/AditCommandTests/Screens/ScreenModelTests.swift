// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import Testing

@testable import adit

@Suite struct ScreenModelTests {
    private static let terminal = ScreenStyle(isTerminal: true)
    private static let chinese = ScreenStyle(language: .chinese, isTerminal: true)

    @Test("The first line of success is the address, then facts, then rows")
    func success() {
        var screen = ScreenScript(style: Self.terminal)
        #expect(screen(.health(tunnel: "http-3000", .answers(status: 200, after: .milliseconds(14)))) == [])
        #expect(screen(.connected(ScreenScript.facts)) == [])
        #expect(
            screen(.opened(ScreenScript.otter)) == [
                "  https://calm-otter.tunnel.example.com",
                "",
                "  to     http://localhost:3000   answers 200 in 14 ms",
                "  open   anyone with the link    narrow it: --auth  --allow  --expires",
                "  path   TLS to tunnel.example.com, 23 ms",
                "",
            ]
        )
        let row = RequestRow(
            method: "GET",
            path: "/",
            status: 200,
            duration: .milliseconds(18),
            visitor: "61.140.3.9"
        )
        #expect(
            screen(.request(tunnel: "http-3000", row)) == [
                "  14:02:11  GET   /                        200      18 ms   61.140.3.9"
            ]
        )
        #expect(
            screen(.ended(nil)) == ["  closed. The address stays yours: run the same command again."]
        )
    }

    @Test("The same in Chinese")
    func successInChinese() {
        var screen = ScreenScript(style: Self.chinese)
        _ = screen(.health(tunnel: "http-3000", .answers(status: 200, after: .milliseconds(14))))
        _ = screen(.connected(ScreenScript.facts))
        #expect(
            screen(.opened(ScreenScript.otter)) == [
                "  https://calm-otter.tunnel.example.com",
                "",
                "  目标   http://localhost:3000   14 ms 内应答 200",
                "  访问   任何拿到链接的人    收紧：--auth  --allow  --expires",
                "  链路   经 TLS 到 tunnel.example.com，23 ms",
                "",
            ]
        )
        #expect(screen(.ended(nil)) == ["  已关闭。地址为你保留：再次运行同一命令即可恢复。"])
    }

    @Test("Not on a terminal there is one line for each event and no empty one")
    func notATerminal() {
        var screen = ScreenScript()
        _ = screen(.connected(ScreenScript.facts))
        #expect(
            screen(.opened(ScreenScript.otter)) == [
                "https://calm-otter.tunnel.example.com",
                "to http://localhost:3000",
                "open anyone with the link    narrow it: --auth  --allow  --expires",
                "path TLS to tunnel.example.com, 23 ms",
            ]
        )
        #expect(
            screen(.health(tunnel: "http-3000", .fails(ScreenScript.nothing))) == [
                "2> ✗ ADIT-201  nothing answers on localhost:3000 | listening here: 5173 node | fix: did you mean:  adit http 5173",
                "2> held; opens when port 3000 answers …",
            ]
        )
        #expect(
            screen(.health(tunnel: "http-3000", .answers(status: 200, after: .milliseconds(3)))) == [
                "✓ http://localhost:3000 answers 200 in 3 ms"
            ]
        )
    }

    @Test("A tunnel whose target does not answer is held, and says so")
    func held() {
        var screen = ScreenScript(style: Self.terminal)
        #expect(
            screen(.health(tunnel: "http-3000", .fails(ScreenScript.nothing))) == [
                "2>   ✗ ADIT-201  nothing answers on localhost:3000",
                "2>     listening here: 5173 node",
                "2>     fix: did you mean:  adit http 5173",
            ]
        )
        #expect(
            screen(.opened(ScreenScript.otter)).first
                == "  https://calm-otter.tunnel.example.com   held; opens when port 3000 answers …"
        )
        var chinese = ScreenScript(style: Self.chinese)
        #expect(
            chinese(.health(tunnel: "http-3000", .fails(ScreenScript.nothing))) == [
                "2>   ✗ ADIT-201  localhost:3000 没有应答",
                "2>     本机正在监听：5173 node",
                "2>     解决：是否想用：  adit http 5173",
            ]
        )
        #expect(
            chinese(.opened(ScreenScript.otter)).first
                == "  https://calm-otter.tunnel.example.com   已保留；端口 3000 有应答后开放 …"
        )
    }

    @Test("While there is no session a line counts down, and the reason is shown once")
    func reconnects() {
        let error = AditError(
            .serverUnreachable,
            Text("cannot reach tunnel.example.com", zh: "无法连接 tunnel.example.com"),
            why: ["203.0.113.7:7000: no answer in 10 s"]
        )
        var screen = ScreenScript(style: Self.terminal)
        _ = screen(.connected(ScreenScript.facts))
        _ = screen(.opened(ScreenScript.otter))
        #expect(
            screen(.waiting(error, retryIn: .seconds(8))) == [
                "2>   ✗ ADIT-101  cannot reach tunnel.example.com", "2>     203.0.113.7:7000: no answer in 10 s",
                "~     retrying in 8 s …",
            ]
        )
        #expect(screen.tick() == ["~     retrying in 7 s …"])
        #expect(screen(.waiting(error, retryIn: .seconds(16))) == ["~     retrying in 16 s …"])
        #expect(screen.tick(after: 60) == ["~     trying again …"])
        #expect(screen(.connected(ScreenScript.facts)) == ["  14:02:11  ✓ connected again"])
        #expect(screen(.opened(ScreenScript.otter)) == [])
        #expect(screen.tick() == [])
    }

    @Test("A changed address is shown again, with a word")
    func changedAddress() {
        var screen = ScreenScript()
        _ = screen(.opened(ScreenScript.otter))
        let other = OpenTunnel(name: "http-3000", addresses: ["https://brisk-heron.tunnel.example.com"])
        let lines = screen(.opened(other))
        #expect(lines.first == "https://brisk-heron.tunnel.example.com")
        #expect(lines.last == "the address changed")
    }

    @Test("Visitors of a tcp tunnel come and go")
    func visits() {
        var screen = ScreenScript([ScreenScript.game], style: Self.terminal)
        _ = screen(.opened(OpenTunnel(name: "tcp-25565", addresses: ["play.example:20565"])))
        #expect(
            screen(.visitorCame(tunnel: "tcp-25565", visitor: "119.123.8.2")) == [
                "  14:02:11  + 119.123.8.2            TCP"
            ]
        )
        let visit = VisitStatistics(duration: .seconds(300), bytesIn: 2_100_000, bytesOut: 9_800_000)
        #expect(
            screen(.visitorLeft(tunnel: "tcp-25565", visitor: "119.123.8.2", visit)) == [
                "  14:02:11  - 119.123.8.2            TCP   5 min   ↓ 2.1 MB ↑ 9.8 MB"
            ]
        )
    }

    @Test("Many tunnels have a line each, and rows say whose they are")
    func many() {
        var screen = ScreenScript([ScreenScript.web, ScreenScript.game], style: Self.terminal)
        #expect(
            screen(.opened(ScreenScript.otter)) == [
                "  http-3000      https://calm-otter.tunnel.example.com  →  http://localhost:3000"
            ]
        )
        let row = RequestRow(
            method: "GET",
            path: "/",
            status: 101,
            duration: .milliseconds(2),
            visitor: "::1",
            isUpgraded: true
        )
        #expect(
            screen(.request(tunnel: "http-3000", row)) == [
                "  14:02:11  GET   /                        101 ws    2 ms   ::1   http-3000"
            ]
        )
        #expect(
            screen(.refused(tunnel: "tcp-25565", AditError(.portTaken, "taken"), retryIn: .seconds(30))) == [
                "2>   ✗ ADIT-305  tcp-25565: taken", "2>     retrying in 30 s …",
            ]
        )
    }

    @Test("Who may come in is said in words", arguments: [Language.english, .chinese])
    func access(language: Language) throws {
        var order = ScreenScript.web
        order.auth = ["mei:secret"]
        order.allow = [try #require(CIDR("10.0.0.0/8"))]
        order.expiresIn = .seconds(7200)
        let words = AccessWords.access(order, ScreenScript.otter, language)
        #expect(
            words
                == (language == .english
                    ? "whoever has the password · only from 10.0.0.0/8 · closes after 2 h"
                    : "知道密码的人 · 仅来自 10.0.0.0/8 · 2 h 后关闭")
        )
        #expect(!words.contains("secret"))
    }

    @Test("What comes from outside cannot drive a terminal or forge a row")
    func foreign() {
        var screen = ScreenScript()
        let row = RequestRow(
            method: "G\u{1B}[2JT",
            path: "/\r\n\u{9B}31m\u{202E}x" + String(repeating: "y", count: 500),
            status: 404,
            duration: .milliseconds(1),
            visitor: "1.2.3.4\u{7}"
        )
        let line = screen(.request(tunnel: "http-3000", row)).joined()
        #expect(
            line.unicodeScalars.allSatisfy { $0.value >= 32 && !(127..<160).contains($0.value) && $0.value != 0x202E }
        )
        #expect(line.count < 160)
        let tunnel = OpenTunnel(name: "http-3000", addresses: ["http://x\u{1B}]0;title\u{7}"])
        #expect(screen(.opened(tunnel)).first == "http://x]0;title")
    }

    @Test("Without UTF-8 every line is ASCII")
    func ascii() {
        var screen = ScreenScript(style: ScreenStyle(isUnicode: false, isTerminal: true))
        _ = screen(.connected(ScreenScript.facts))
        var lines = screen(.health(tunnel: "http-3000", .fails(ScreenScript.nothing)))
        lines += screen(.opened(ScreenScript.otter))
        lines += screen(.health(tunnel: "http-3000", .answers(status: 200, after: .zero)))
        lines += screen(
            .request(
                tunnel: "http-3000",
                RequestRow(method: "GET", path: "/文件", status: 200, duration: .zero, visitor: "::1")
            )
        )
        lines += screen(.waiting(AditError(.serverUnreachable, "away"), retryIn: .seconds(1)))
        #expect(lines.allSatisfy { $0.utf8.allSatisfy { $0 < 128 } })
        #expect(lines.first == "2>   X ADIT-201  nothing answers on localhost:3000")
    }

    @Test("Quiet shows the address and errors; the address alone is alone on standard output")
    func quiet() {
        for mode in [ScreenMode.quiet, .addressOnly] {
            var screen = ScreenScript(mode: mode)
            #expect(screen(.connected(ScreenScript.facts)) == [])
            #expect(screen(.opened(ScreenScript.otter)) == ["https://calm-otter.tunnel.example.com"])
            let row = RequestRow(method: "GET", path: "/", status: 200, duration: .zero, visitor: "::1")
            #expect(screen(.request(tunnel: "http-3000", row)) == [])
            #expect(screen(.ended(nil)) == [])
            #expect(screen(.ended(AditError(.takenOver, "newer"))) == ["2> ✗ ADIT-308  newer"])
        }
    }

    @Test("The reason of the end is shown once")
    func endsOnce() {
        var screen = ScreenScript()
        let error = AditError(.nameTaken, "taken")
        #expect(screen(.refused(tunnel: "http-3000", error, retryIn: nil)) == ["2> ✗ ADIT-302  taken"])
        #expect(screen(.ended(error)) == [])
    }

    @Test("Colour carries the marks where it is wanted")
    func colour() {
        let style = ScreenStyle(hasColor: true, isTerminal: true)
        let lines = ErrorWords.lines(AditError(.nameTaken, "taken"), style)
        #expect(lines == ["  \u{1B}[31m✗\u{1B}[0m ADIT-302  taken"])
    }
}
