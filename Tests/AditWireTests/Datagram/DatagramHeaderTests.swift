// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct DatagramHeaderTests {
    private static let v4 = hex("0005" + "04" + "c0000201" + "0035")
    private static let v6 = hex("ffe3" + "06" + "20010db8000000000000000000000001" + "ffff")

    private static func endpoint(_ address: String, _ port: UInt16) throws -> IPEndpoint {
        IPEndpoint(try #require(IPAddress(address)), port)
    }

    @Test func `reads and writes both families`() throws {
        let short = try DatagramHeader(payloadByteCount: 5, visitor: Self.endpoint("192.0.2.1", 53))
        let long = try DatagramHeader(payloadByteCount: 65_507, visitor: Self.endpoint("2001:db8::1", 65_535))
        for (header, bytes) in [(short, Self.v4), (long, Self.v6)] {
            #expect(try DatagramHeader.decode((bytes + [1, 2]).span.bytes) == header)
            #expect(header.byteCount == bytes.count)
            var written: [UInt8] = []
            header.encode(into: &written)
            #expect(written == bytes)
        }
    }

    @Test func `waits for a header that is not all there`() throws {
        for bytes in [Self.v4, Self.v6] {
            for length in 0..<bytes.count {
                #expect(try DatagramHeader.decode(Array(bytes[..<length]).span.bytes) == nil)
            }
        }
    }

    @Test func `refuses a payload over the limit and other families at once`() throws {
        #expect(throws: WireError.length(65_508, limit: 65_507)) {
            try DatagramHeader.decode(([0xFF, 0xE4] as [UInt8]).span.bytes)
        }
        #expect(throws: WireError.invalidField(offset: 2, found: 5)) {
            try DatagramHeader.decode(([0, 0, 5] as [UInt8]).span.bytes)
        }
        let visitor = try Self.endpoint("192.0.2.1", 53)
        #expect(throws: WireError.length(65_508, limit: 65_507)) {
            try DatagramHeader(payloadByteCount: 65_508, visitor: visitor)
        }
        #expect(throws: WireError.length(-1, limit: 65_507)) {
            try DatagramHeader(payloadByteCount: -1, visitor: visitor)
        }
    }

    @Test func `survives any flipped bit`() {
        for bytes in [Self.v4, Self.v6] {
            withEachBitFlipped(bytes) { flipped in
                if let header = try? DatagramHeader.decode(flipped.span.bytes) {
                    #expect(header.byteCount <= flipped.count)
                }
            }
        }
    }

    @Test func `survives a round trip with random contents`() throws {
        var generator = SeededGenerator(seed: 11)
        for _ in 0..<1000 {
            let address: IPAddress =
                Bool.random(using: &generator)
                ? .v4(UInt32.random(in: 0 ... .max, using: &generator))
                : .v6(high: generator.next(), low: generator.next())
            let header = try DatagramHeader(
                payloadByteCount: Int.random(in: 0...65_507, using: &generator),
                visitor: IPEndpoint(address, UInt16.random(in: 0 ... .max, using: &generator))
            )
            var bytes: [UInt8] = []
            header.encode(into: &bytes)
            #expect(try DatagramHeader.decode(bytes.span.bytes) == header)
        }
    }
}
