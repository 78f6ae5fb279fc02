// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import Testing

@Suite("The first bytes of a connection")
struct FirstBytesTests {
    @Test(
        "Each opening is told from the others",
        arguments: [
            ([0x16, 0x03, 0x01], .tls), ([0x17, 0x16, 0x03], .markedTLS), ([0x00, 0x01], .yamux),
            (Array("FRP".utf8) + [0, 2, 13, 10], .v2), ([0x6F, 0, 0, 0, 0, 0, 0], .v1),
            ([0x77, 0, 0, 0, 0, 0, 0, 0, 9], .v1), ([0x76, 0, 0, 0, 0, 0, 0], .v1),
            (Array("GET / HTTP/1.1".utf8), .http),
            (Array("OPTIONS *".utf8), .http), (Array("CONNECT a:1".utf8), .http), ([0x16, 0x02], .unknown),
            ([0x17, 0x17], .undecided), ([0x17, 0x17, 3], .unknown), ([0x00, 0x04], .unknown), ([], .undecided),
            (Array("FRP".utf8), .undecided), (Array("FRQ".utf8), .unknown), (Array("GET".utf8), .undecided),
            (Array("GETX".utf8), .unknown), (Array("P".utf8), .undecided), ([0x6F, 0, 1], .unknown), ([0x80], .unknown),
            (Array("SSH-2.0".utf8), .unknown), ([0x31, 0, 0, 0, 0, 0, 0], .unknown),
        ] as [([UInt8], FirstBytes)]
    )
    func recognise(_ bytes: [UInt8], _ expected: FirstBytes) {
        #expect(FirstBytes.recognise(bytes.span.bytes) == expected)
    }

    @Test("Ten bytes decide, and an answer does not change with more bytes")
    func stable() {
        var generator = SeededGenerator(seed: 42)
        for round in 0..<10_000 {
            var bytes = (0..<16).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            // Random bytes rarely begin like anything; every other round they do.
            let starts: [UInt8] = [0x16, 0x17, 0, 0x46, 0x6F, 0x77, 0x76, 0x47, 0x50]
            if round.isMultiple(of: 2) { bytes[0] = starts[round / 2 % starts.count] }
            if round.isMultiple(of: 4) { for index in 1..<7 { bytes[index] = 0 } }
            var settled: FirstBytes?
            for count in 0...bytes.count {
                let found = FirstBytes.recognise(bytes.span.bytes.extracting(0..<count))
                if let settled { #expect(found == settled) } else if found != .undecided { settled = found }
                if count >= FirstBytes.byteLimit { #expect(found != .undecided) }
            }
        }
    }
}
