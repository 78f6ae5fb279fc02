// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import Testing

@testable import adit

@Suite("Screens of tunnels with datagrams")
struct DatagramScreenTests {
    private let time = ScreenTime(seconds: 1_800_000_000, clock: "14:20:03")

    private func lines(_ kind: TunnelOrder.Kind, _ language: Language, _ events: [DeviceEvent]) -> [String] {
        let target = TunnelTarget(scheme: .tcp, host: "localhost", port: 25565)
        let order = TunnelOrder(kind: kind, target: target, name: "t")
        let style = ScreenStyle(language: language)
        var model = ScreenModel(style: style, mode: .people, orders: [order])
        return events.flatMap { model.handle($0, at: time) }.compactMap { output in
            if case .line(let text) = output { text } else { nil }
        }
    }

    @Test("a game says that both are on one port, and claims nothing of UDP from silence")
    func game() {
        let opened = DeviceEvent.opened(OpenTunnel(name: "t", addresses: ["play.example.com:20565"]))
        let english = lines(.game, .english, [opened])
        #expect(english.first == "play.example.com:20565        TCP and UDP, same port")
        #expect(english.contains { $0.contains("UDP no packet from outside yet; 0 in, 0 out") })
        let chinese = lines(.game, .chinese, [opened])
        #expect(chinese.first?.contains("同一端口") == true)
        #expect(chinese.contains { $0.contains("尚未收到外部数据包；收 0，发 0") })
    }

    @Test("rows of visitors show packets and what was dropped")
    func rows() {
        let visit = DatagramVisit(
            visitor: IPEndpoint(.v4(0xC633_6407), 4711),
            duration: .seconds(65),
            datagramsIn: 12,
            bytesIn: 1200,
            datagramsOut: 9,
            bytesOut: 900,
            drops: 3
        )
        let shown = lines(
            .udp,
            .english,
            [.datagramVisitorCame(tunnel: "t", visitor: "198.51.100.7"), .datagramVisitorLeft(tunnel: "t", visit)]
        )
        #expect(shown.count == 2)
        #expect(shown[0].hasPrefix("14:20:03  + 198.51.100.7") && shown[0].hasSuffix("UDP"))
        #expect(shown[1].contains("UDP") && shown[1].hasSuffix("12 in, 9 out, 3 dropped"))
    }
}
