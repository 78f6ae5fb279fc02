// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct ProxyHeaderTests {
    private static func endpoint(_ address: String, _ port: UInt16) throws -> IPEndpoint {
        IPEndpoint(try #require(IPAddress(address)), port)
    }

    private static func encoded(_ header: ProxyHeader, _ version: ProxyProtocolVersion) -> [UInt8] {
        var bytes: [UInt8] = []
        header.encode(version, into: &bytes)
        return bytes
    }

    private static let signature = "0d0a0d0a000d0a515549540a"
    private static let v2IPv4 = hex(signature + "2111000c" + "c0000201" + "c6336407" + "dc04" + "01bb")
    private static let v2IPv6 = hex(
        signature + "21210024" + "20010db8000000000000000000000001" + "20010db8000000000000000000000002" + "ffff"
            + "0016"
    )

    /// The two directions of every form that has one spelling.
    private static func golden() throws -> [(ProxyHeader, ProxyProtocolVersion, [UInt8])] {
        let v4 = ProxyHeader(visitor: try endpoint("192.0.2.1", 56324), to: try endpoint("198.51.100.7", 443))
        let v6 = ProxyHeader(visitor: try endpoint("2001:db8::1", 65535), to: try endpoint("2001:db8::2", 22))
        var datagram = v4
        datagram.transport = .datagram
        return [
            (v4, .v1, Array("PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n".utf8)),
            (v6, .v1, Array("PROXY TCP6 2001:db8::1 2001:db8::2 65535 22\r\n".utf8)),
            (ProxyHeader(addresses: nil), .v1, Array("PROXY UNKNOWN\r\n".utf8)),
            (v4, .v2, v2IPv4),
            (v6, .v2, v2IPv6),
            (datagram, .v2, hex(signature + "2112000c" + "c0000201" + "c6336407" + "dc04" + "01bb")),
            (ProxyHeader(command: .local, addresses: nil), .v2, hex(signature + "20000000")),
            (ProxyHeader(addresses: nil), .v2, hex(signature + "21000000")),
        ]
    }

    @Test func `reads and writes what the specification shows`() throws {
        for (header, version, bytes) in try Self.golden() {
            #expect(Self.encoded(header, version) == bytes)
            let read = try #require(try ProxyHeader.decode((bytes + Array("GET /".utf8)).span.bytes))
            #expect(read.header == header)
            #expect(read.byteCount == bytes.count)
        }
    }

    @Test func `waits for a header that is not all there`() throws {
        for (_, _, bytes) in try Self.golden() {
            for length in 0..<bytes.count {
                #expect(try ProxyHeader.decode(Array(bytes[..<length]).span.bytes) == nil, "cut at \(length)")
            }
        }
    }

    @Test func `survives any flipped bit`() throws {
        for (_, _, bytes) in try Self.golden() {
            withEachBitFlipped(bytes) { flipped in
                if let read = (try? ProxyHeader.decode(flipped.span.bytes)).flatMap({ $0 }) {
                    #expect(read.byteCount <= flipped.count)
                }
            }
        }
    }

    @Test func `a checksum over the header finds any flipped bit of the addresses`() throws {
        let header = ProxyHeader(visitor: try Self.endpoint("192.0.2.1", 1), to: try Self.endpoint("192.0.2.2", 2))
        var bytes: [UInt8] = []
        header.encodeV2WithChecksum(into: &bytes)
        #expect(bytes.count == 16 + 12 + 7)
        // As the crc32c of PyPI computes it over the header with four zero bytes.
        #expect(Array(bytes.suffix(4)) == hex("4ffff33d"))
        #expect(try ProxyHeader.decode(bytes.span.bytes)?.header == header)
        for index in 16..<28 {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[index] ^= 1 << UInt8(bit)
                #expect(throws: WireError.self) { try ProxyHeader.decode(flipped.span.bytes) }
            }
        }
    }

    @Test func `skips values that it does not know`() throws {
        // PP2_TYPE_ALPN "h2" and PP2_TYPE_NOOP of one byte.
        let values = hex("010002" + "6832" + "040001" + "00")
        var bytes = Self.v2IPv4
        bytes[15] += UInt8(values.count)
        bytes += values
        let read = try #require(try ProxyHeader.decode((bytes + [1, 2, 3]).span.bytes))
        #expect(read.byteCount == bytes.count)
        #expect(read.header.addresses?.source == (try Self.endpoint("192.0.2.1", 56324)))
        // The second value claims a byte more than there is.
        bytes[35] = 2
        #expect(throws: WireError.truncated(expected: 2, found: 1)) { try ProxyHeader.decode(bytes.span.bytes) }
    }

    @Test func `a Unix socket's header has no addresses here`() throws {
        let bytes = hex(Self.signature + "213100d8") + [UInt8](repeating: 0x61, count: 216)
        let read = try #require(try ProxyHeader.decode(bytes.span.bytes))
        #expect(read.header == ProxyHeader(addresses: nil))
        #expect(read.byteCount == 232)
    }

    @Test func `a header of the carrier's own is taken whatever it says`() throws {
        var bytes = Self.v2IPv4
        bytes[12] = 0x20
        #expect(try ProxyHeader.decode(bytes.span.bytes)?.header == ProxyHeader(command: .local, addresses: nil))
    }

    @Test func `two families become IPv6`() throws {
        let header = ProxyHeader(visitor: try Self.endpoint("2001:db8::1", 5), to: nil)
        #expect(Self.encoded(header, .v1) == Array("PROXY TCP6 2001:db8::1 ::ffff:127.0.0.1 5 0\r\n".utf8))
        let mapped = ProxyHeader(visitor: try Self.endpoint("::ffff:192.0.2.1", 5), to: nil)
        #expect(Self.encoded(mapped, .v1) == Array("PROXY TCP4 192.0.2.1 127.0.0.1 5 0\r\n".utf8))
    }

    @Test func `version 1 has no datagrams`() throws {
        let header = ProxyHeader(visitor: try Self.endpoint("192.0.2.1", 5), to: nil, transport: .datagram)
        #expect(Self.encoded(header, .v1) == Array("PROXY UNKNOWN\r\n".utf8))
    }

    @Test func `what follows UNKNOWN does not count`() throws {
        let line = Array("PROXY UNKNOWN ffff:f...f:ffff 65535 65535\r\n".utf8)
        #expect(try ProxyHeader.decode(line.span.bytes)?.header == ProxyHeader(addresses: nil))
    }

    @Test(
        arguments: [
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n", "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n",
            "PROXY TCP4  192.0.2.1 198.51.100.7 56324 443\r\n", "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n",
            "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n", "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 01 443\r\n", "PROXY TCP4 192.0.2.1 198.51.100.7 +1 443\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n", "proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 1 2\r\r\n", "PROXY \r\n", "PROXY TCP4 192.0.2.1\u{0} 192.0.2.2 1 2\r\n",
            "GET / HTTP/1.1\r\n",
        ]
    )
    func `refuses a line that is wrong`(line: String) {
        #expect(throws: WireError.self) { try ProxyHeader.decode(Array(line.utf8).span.bytes) }
    }

    @Test func `refuses a line without an end at its longest`() throws {
        let line = Array(("PROXY UNKNOWN " + String(repeating: "x", count: 200)).utf8)
        #expect(try ProxyHeader.decode(Array(line[..<106]).span.bytes) == nil)
        #expect(throws: WireError.length(107, limit: 107)) { try ProxyHeader.decode(Array(line[..<107]).span.bytes) }
    }

    @Test func `refuses other versions, commands, families and lengths at once`() {
        let start = Self.signature
        for (text, error) in [
            (start + "11", WireError.invalidField(offset: 12, found: 0x11)),
            (start + "22", .invalidField(offset: 12, found: 0x22)),
            (start + "2141", .invalidField(offset: 13, found: 0x41)),
            (start + "2113", .invalidField(offset: 13, found: 0x13)),
            (start + "21110ff1", .length(4097, limit: 4096)),
            (start + "2111000b", .truncated(expected: 12, found: 11)),
            ("0d0a0d0a000d0a515549540b", .missingMagic), ("0e", .missingMagic),
        ] {
            #expect(throws: error) { try ProxyHeader.decode(hex(text).span.bytes) }
        }
    }

    @Test func `random bytes neither trap nor come out longer than they went in`() {
        var generator = SeededGenerator(seed: 7)
        let signature = hex(Self.signature)
        for round in 0..<20_000 {
            let count = Int.random(in: 0...80, using: &generator)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if round % 2 == 0 { bytes = signature + [0x21] + bytes }
            if round % 3 == 0 { bytes = Array("PROXY TCP4 ".utf8) + bytes.map { $0 & 0x7F } }
            if let read = (try? ProxyHeader.decode(bytes.span.bytes)).flatMap({ $0 }) {
                #expect(read.byteCount <= bytes.count)
            }
        }
    }
}
