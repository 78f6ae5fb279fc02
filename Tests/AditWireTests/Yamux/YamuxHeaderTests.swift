// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct YamuxHeaderTests {
    private static let goldens: [(YamuxHeader, [UInt8])] = [
        (YamuxHeader(.data, streamID: 1, length: 5), [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 5]),
        (
            // The open that frp sends: 6 MiB less the 256 KiB that every stream has.
            YamuxHeader(.windowUpdate, .open, streamID: 3, length: 6 * 1024 * 1024 - 256 * 1024),
            [0, 1, 0, 1, 0, 0, 0, 3, 0x00, 0x5C, 0, 0]
        ),
        (
            YamuxHeader(.windowUpdate, [.acknowledge, .finish], streamID: 0x0102_0304),
            [0, 1, 0, 6, 1, 2, 3, 4, 0, 0, 0, 0]
        ),
        (YamuxHeader(.windowUpdate, .reset, streamID: 8), [0, 1, 0, 8, 0, 0, 0, 8, 0, 0, 0, 0]),
        (YamuxHeader(.ping, .open, length: 0xDEAD_BEEF), [0, 2, 0, 1, 0, 0, 0, 0, 0xDE, 0xAD, 0xBE, 0xEF]),
        (YamuxHeader(.ping, .acknowledge, length: 7), [0, 2, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7]),
        (YamuxHeader(.goAway, length: 1), [0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    ]

    @Test func headersAreWrittenAndReadAsTheSpecificationSaysTheyAre() throws {
        for (header, bytes) in Self.goldens {
            var written: [UInt8] = []
            header.encode(into: &written)
            #expect(written == bytes)
            #expect(try YamuxHeader.decode(bytes.span.bytes) == header)
        }
    }

    @Test func aHeaderCutShortIsAskedForAgain() throws {
        for (_, bytes) in Self.goldens {
            for count in 0..<YamuxHeader.byteCount {
                #expect(try YamuxHeader.decode(Array(bytes[..<count]).span.bytes) == nil)
            }
            #expect(try YamuxHeader.decode((bytes + [1, 2, 3]).span.bytes) != nil)
        }
    }

    @Test func everyFlippedBitIsAnotherHeaderOrAnError() throws {
        for (header, bytes) in Self.goldens {
            for bit in 0..<bytes.count * 8 {
                var flipped = bytes
                flipped[bit / 8] ^= 0x80 >> UInt8(bit % 8)
                do throws(YamuxHeaderError) {
                    let decoded = try YamuxHeader.decode(flipped.span.bytes)
                    #expect(decoded != header)
                    var written: [UInt8] = []
                    decoded?.encode(into: &written)
                    #expect(written == flipped)
                } catch {
                    #expect(bit < 32)
                }
            }
        }
    }

    @Test func unknownVersionsTypesAndFlagsAreRefused() {
        #expect(throws: YamuxHeaderError.version(1)) { try YamuxHeader(0x0100_0000, 1, 0) }
        #expect(throws: YamuxHeaderError.version(0x47)) { try YamuxHeader(0x4745_5420, 1, 0) }
        #expect(throws: YamuxHeaderError.type(4)) { try YamuxHeader(0x0004_0000, 1, 0) }
        #expect(throws: YamuxHeaderError.flags(0x10)) { try YamuxHeader(0x0000_0010, 1, 0) }
        #expect(throws: YamuxHeaderError.flags(0x8001)) { try YamuxHeader(0x0001_8001, 1, 0) }
    }

    @Test func anyTwelveBytesAreReadOrRefusedWithoutATrap() {
        var random = SeededGenerator(seed: 12)
        for _ in 0..<20_000 {
            let words = (0..<3).map { _ in UInt32.random(in: 0...UInt32.max, using: &random) }
            let first = Bool.random(using: &random) ? words[0] & 0x0003_000F : words[0]
            guard let header = try? YamuxHeader(first, words[1], words[2]) else { continue }
            #expect(header.firstWord == first && header.streamID == words[1] && header.length == words[2])
        }
    }
}
