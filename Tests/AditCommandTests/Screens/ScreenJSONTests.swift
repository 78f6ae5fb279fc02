// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import Foundation
import Testing

@testable import adit

@Suite struct ScreenJSONTests {
    @Test("The first line of standard output has the full public address, whatever came before it")
    func firstLine() {
        var screen = ScreenScript(mode: .json)
        let before =
            screen(.waiting(AditError(.serverUnreachable, "away"), retryIn: .seconds(1)))
            + screen(.connected(ScreenScript.facts))
            + screen(.health(tunnel: "http-3000", .fails(ScreenScript.nothing)))
        #expect(before.count == 3 && before.allSatisfy { $0.hasPrefix("2> {") })
        #expect(
            screen(.opened(ScreenScript.otter)) == [
                #"{"event":"tunnel","time":1000004,"address":"https://calm-otter.tunnel.example.com","addresses":["https://calm-otter.tunnel.example.com"],"tunnel":"http-3000","kind":"http","target":"http://localhost:3000","state":"held"}"#
            ]
        )
        #expect(screen(.ended(nil)) == [#"{"event":"ended","time":1000005}"#])
    }

    @Test("Every event is one line of valid JSON")
    func everyEvent() throws {
        var screen = ScreenScript(mode: .json)
        let error = AditError(
            .nameTaken,
            Text("\"a\"\nb\u{1}\u{2028}", zh: "名"),
            why: ["back\\slash"],
            fix: "fix"
        )
        let events: [DeviceEvent] = [
            .opened(ScreenScript.otter), .connected(ScreenScript.facts), .waiting(error, retryIn: .milliseconds(1500)),
            .refused(tunnel: "a", error, retryIn: nil), .closed(tunnel: "a", error),
            .health(tunnel: "a", .unknown), .health(tunnel: "a", .answers(status: nil, after: .zero)),
            .health(tunnel: "a", .fails(error)), .hostRewritten(tunnel: "a", error),
            .request(
                tunnel: "a",
                RequestRow(method: "GET", path: "/\u{1B}", status: 200, duration: .zero, visitor: "::1")
            ),
            .visitorCame(tunnel: "a", visitor: "::1"),
            .visitorLeft(tunnel: "a", visitor: "::1", VisitStatistics(duration: .zero, bytesIn: .max, bytesOut: 0)),
            .draining(reconnectAfter: .seconds(1)), .ended(error),
        ]
        for event in events {
            let lines = screen(event)
            #expect(lines.count == 1)
            let line = try #require(lines.first)
            #expect(!line.contains("\n"))
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            #expect(object?["event"] is String && object?["time"] is Int)
        }
    }
}
