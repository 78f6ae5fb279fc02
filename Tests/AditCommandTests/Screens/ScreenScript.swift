// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore

@testable import adit

/// Feeds events to a model and joins what it writes.
struct ScreenScript {
    var model: ScreenModel
    private var seconds: Int64 = 1_000_000

    init(
        _ orders: [TunnelOrder] = [ScreenScript.web],
        style: ScreenStyle = ScreenStyle(),
        mode: ScreenMode = .people
    ) {
        model = ScreenModel(style: style, mode: mode, orders: orders)
    }

    static let web = TunnelOrder(
        kind: .http,
        target: TunnelTarget(scheme: .http, host: "localhost", port: 3000),
        name: "http-3000"
    )
    static let game = TunnelOrder(
        kind: .tcp,
        target: TunnelTarget(scheme: .tcp, host: "localhost", port: 25565),
        name: "tcp-25565"
    )

    static let facts = SessionFacts(
        server: HostPort(host: "tunnel.example.com", port: 7000),
        serverName: "tunnel",
        deviceName: "mei-laptop",
        domain: "tunnel.example.com",
        roundTrip: .milliseconds(23)
    )
    static let otter = OpenTunnel(name: "http-3000", addresses: ["https://calm-otter.tunnel.example.com"])
    static let nothing = AditError(
        .nothingListens,
        Text("nothing answers on localhost:3000", zh: "localhost:3000 没有应答"),
        why: [Text("listening here: 5173 node", zh: "本机正在监听：5173 node")],
        fix: Text("did you mean:  adit http 5173", zh: "是否想用：  adit http 5173")
    )

    /// The lines for one event; those of standard error begin with `2> `, the line below all others with `~ `.
    mutating func callAsFunction(_ event: DeviceEvent) -> [String] {
        seconds += 1
        return Self.text(model.handle(event, at: ScreenTime(seconds: seconds, clock: "14:02:11")))
    }

    mutating func tick(after: Int64 = 1) -> [String] {
        seconds += after
        return Self.text(model.tick(at: ScreenTime(seconds: seconds, clock: "14:02:11")))
    }

    private static func text(_ outputs: [ScreenOutput]) -> [String] {
        outputs.compactMap { output in
            switch output {
            case .line(let text): text
            case .aside(let text): "2> " + text
            case .status(let text): text.map { "~ " + $0 }
            }
        }
    }
}
