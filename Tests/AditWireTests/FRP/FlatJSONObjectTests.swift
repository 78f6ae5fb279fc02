// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import AditWire

/// The plain form's reader may know less than the general decoder, but nothing else.
@Suite struct FlatJSONObjectTests {
    private func flat(_ text: String) -> FRPStartWorkConnection? {
        FRPStartWorkConnection(flat: Array(text.utf8).span.bytes)
    }

    private func general(_ bytes: [UInt8]) -> FRPStartWorkConnection? {
        try? FRPJSON.decode(FRPStartWorkConnection.self, bytes.span.bytes, type: 9)
    }

    @Test func readsWhatAnEncoderWrites() {
        let start = FRPStartWorkConnection(
            proxyName: "mei.web",
            sourceAddress: "2001:db8::1",
            destinationAddress: "203.0.113.7",
            sourcePort: 65535,
            destinationPort: 1
        )
        var bytes: [UInt8] = []
        var writer = JSONObjectWriter(appendingTo: bytes)
        writer.write(start)
        bytes = writer.bytes
        #expect(FRPStartWorkConnection(flat: bytes.span.bytes) == start)
        #expect(flat("{}") == FRPStartWorkConnection())
        #expect(flat(" { \"src_port\" : 0 }\n") == FRPStartWorkConnection())
    }

    @Test(arguments: [
        "", "{", "[]", "{}x", "{,}", #"{"a":1}"#, #"{"src_port":65536}"#, #"{"src_port":01}"#, #"{"src_port":1.0}"#,
        #"{"src_port":-1}"#, #"{"src_port":"1"}"#, #"{"proxy_name":1}"#, #"{"proxy_name":null}"#,
        #"{"proxy_name":"a\u0062"}"#, #"{"proxy_name":"隧"}"#, #"{"proxy_name":"a","proxy_name":"b"}"#,
        #"{"proxy_name":"a",}"#, #"{"proxy_name":"a" "error":"b"}"#, #"{"src_port":99999999999999999999}"#,
    ])
    func leavesEverythingElseToTheGeneralDecoder(_ text: String) {
        #expect(flat(text) == nil)
    }

    @Test func neverDisagreesWithTheGeneralDecoder() {
        var generator = SeededGenerator(seed: 77)
        let pieces = [
            "{", "}", "\"", ":", ",", " ", "0", "1", "80", "null", "\\", "\n", "\"proxy_name\"", "\"src_addr\"",
            "\"src_port\"",
            "\"error\":\"\"", "\"dst_port\":8", "\"x\"", "é", "\"dst_addr\":\"::1\"", "\"proxy_name\":\"a\"",
            "\"src_port\":7",
        ]
        var readCount = 0
        for _ in 0..<20_000 {
            var text = "{"
            for _ in 0..<Int.random(in: 0...5, using: &generator) {
                text += pieces.randomElement(using: &generator) ?? ""
                if Bool.random(using: &generator) { text += "," }
            }
            text += "}"
            let bytes = Array(text.utf8)
            guard let start = FRPStartWorkConnection(flat: bytes.span.bytes) else { continue }
            readCount += 1
            #expect(general(bytes) == start, "\(text)")
        }
        #expect(readCount > 100)
    }
}
