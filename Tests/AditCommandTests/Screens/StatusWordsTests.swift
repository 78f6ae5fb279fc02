// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal
import Testing

@testable import adit

@Suite struct StatusWordsTests {
    private static let server = JoinedServer(
        host: "tunnel.example.com",
        port: 7000,
        fingerprint: "SHA256:x",
        deviceName: "mei-laptop",
        serverName: "t",
        domain: "tunnel.example.com",
        joinedAt: 1000
    )

    private static var process: DeviceStatus {
        var open = DeviceStatus.Tunnel(name: "web", kind: "http", target: "http://localhost:3000")
        open.addresses = ["https://calm-otter.example"]
        open.state = .open
        open.visitorsTotal = 3
        open.visitorsNow = 1
        open.bytesIn = 1000
        open.bytesOut = 2_000_000
        var held = DeviceStatus.Tunnel(name: "raw", kind: "tcp", target: "localhost:22")
        held.addresses = ["example:20022"]
        held.state = .held
        held.visitorsTotal = 1
        held.problem = "ADIT-201: nothing answers"
        var status = DeviceStatus(
            pid: 42,
            server: "tunnel.example.com:7000",
            startedAt: 4000,
            tunnels: [open, held]
        )
        status.isConnected = true
        status.connectedAt = 4540
        status.roundTripMs = 23
        return status
    }

    @Test("Servers, processes and tunnels are listed")
    func english() {
        #expect(
            StatusWords.lines([Self.server], [Self.process], now: 4600, ScreenStyle()) == [
                "joined  tunnel.example.com   as \"mei-laptop\", 1 h ago",
                "",
                "✓ pid 42   tunnel.example.com:7000   connected for 1 min, 23 ms   runs for 10 min",
                "  ✓ https://calm-otter.example  →  http://localhost:3000   open   3 visits, 1 now   ↓ 1 kB ↑ 2 MB",
                "  ! example:20022               →  localhost:22   held   1 visit, 0 now   ↓ 0 B ↑ 0 B",
                "      ADIT-201: nothing answers",
            ]
        )
    }

    @Test("A path is shown with its reason and both NATs")
    func paths() {
        var report = PathReport(since: .zero, isSideA: true)
        report.kind = .direct(.udp)
        report.roundTrip = .milliseconds(14)
        report.reason = .punched(.udp, a: .fullCone, b: .symmetric)
        report.local = PathNAT(udp: PathNATBehavior(kind: .fullCone), address: .v4(0xCB00_7107))
        report.remote = PathNAT(udp: PathNATBehavior(kind: .symmetric, allocation: .random))
        var process = DeviceStatus(pid: 42, server: "t:7000", startedAt: 4000)
        process.paths = [DeviceStatus.Path("desk", report, own: "mei-laptop", at: 4540)]
        #expect(
            StatusWords.lines([Self.server], [process], now: 4600, ScreenStyle()).suffix(4) == [
                "  ↔ desk   direct   14 ms   for 1 min",
                "      direct: each lets in what it has sent to (mei-laptop: full cone, desk: symmetric)",
                "      here   full cone · 203.0.113.7", "      desk   symmetric · random ports",
            ]
        )
    }

    @Test("The same in Chinese")
    func chinese() {
        let lines = StatusWords.lines([Self.server], [Self.process], now: 4600, ScreenStyle(language: .chinese))
        #expect(lines[0] == "已加入  tunnel.example.com   名称 “mei-laptop”，1 h前")
        #expect(lines[2] == "✓ 进程 42   tunnel.example.com:7000   已连接 1 min, 23 ms   已运行 10 min")
    }

    @Test("When nothing is there, the next command is")
    func nothing() {
        #expect(
            StatusWords.lines([], [], now: 0, ScreenStyle()) == [
                "not joined to a server        adit join INVITE", "nothing runs        adit http 3000",
            ]
        )
    }

    @Test("A process without a session says why")
    func disconnected() {
        var process = DeviceStatus(pid: 7, server: "s:7000", startedAt: 0)
        process.problem = "ADIT-101: away"
        #expect(
            StatusWords.lines([Self.server], [process], now: 60, ScreenStyle()).last
                == "✗ pid 7   s:7000   not connected   runs for 1 min   ADIT-101: away"
        )
    }
}
