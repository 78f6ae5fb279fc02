// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import Testing

@testable import adit

@Suite struct DoctorScreenTests {
    private static let report = DoctorReport(
        server: HostPort(host: "tunnel.example.com", port: 7000),
        isJoined: true,
        hops: [
            DoctorHop(.computer, .good, facts: ["192.168.1.5 on eth0"]),
            DoctorHop(.dns, .good, facts: ["tunnel.example.com → 203.0.113.7"], time: .milliseconds(3)),
            DoctorHop(
                .server,
                .broken,
                facts: [Text("cannot be reached", zh: "无法连接"), "203.0.113.7:7000: refused\u{1B}[2J"],
                error: AditError(.serverUnreachable, "no", fix: Text("start it", zh: "启动它"))
            ),
            DoctorHop(.tls, .skipped), DoctorHop(.session, .skipped), DoctorHop(.clock, .skipped),
        ],
        time: .milliseconds(40)
    )

    @Test func theWayIsAPictureAndEachHopARow() {
        let style = ScreenStyle(isTerminal: true)
        #expect(
            DoctorScreen.lines(Self.report, style) == [
                "  you ─✓─ DNS ─✗─ server ─·─ TLS ─·─ session", "", "  ✓ computer   192.168.1.5 on eth0",
                "  ✓ DNS        tunnel.example.com → 203.0.113.7   3 ms", "  ✗ server     cannot be reached",
                "               203.0.113.7:7000: refused[2J", "", "  fix:  start it", "  adit explain ADIT-101",
            ]
        )
        let chinese = DoctorScreen.lines(Self.report, ScreenStyle(language: .chinese))
        #expect(chinese.first == "本机 ─✓─ DNS ─✗─ 服务器 ─·─ TLS ─·─ 会话")
        #expect(chinese.contains("解决：启动它") || chinese.contains("解决：  启动它"))
        let plain = DoctorScreen.lines(Self.report, ScreenStyle(isUnicode: false))
        #expect(plain.allSatisfy { $0.allSatisfy(\.isASCII) })
        #expect(plain.first == "you -OK- DNS -X- server --- TLS --- session")
    }

    @Test func theJSONNamesTheFirstBrokenHop() {
        let text = DoctorJSON.object(Self.report, .english).text
        #expect(text.hasPrefix(#"{"server":"tunnel.example.com:7000","joined":true,"ok":false,"broken":"server""#))
        #expect(text.contains(#""code":"ADIT-101","fix":"start it","timeMs":40,"#))
        #expect(text.contains(#"{"name":"tls","state":"skipped","facts":[]}"#))
        var good = Self.report
        good.hops.removeAll { $0.state == .broken }
        #expect(DoctorJSON.object(good, .english).text.contains(#""ok":true,"broken":null,"#))
        #expect(DoctorScreen.lines(good, ScreenStyle()).last == "✓ all is well   40 ms")
    }
}
