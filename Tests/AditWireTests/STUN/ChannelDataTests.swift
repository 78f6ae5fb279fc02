// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct ChannelDataTests {
    private func decode(_ bytes: [UInt8]) -> (number: UInt16, payload: [UInt8])? {
        guard let (number, range) = ChannelData.decode(bytes.span.bytes) else { return nil }
        return (number, Array(bytes[range]))
    }

    private func byteCount(_ bytes: [UInt8], limit: Int = STUNMessage.byteLimit) throws(STUNError) -> Int? {
        try ChannelData.byteCount(inStream: bytes.span.bytes, limit: limit)
    }

    @Test func whatIsWrittenIsRead() throws {
        for size in [0, 1, 2, 3, 4, 5, 1400, 65_535] {
            let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
            for isPadded in [false, true] {
                var bytes: [UInt8] = []
                ChannelData.encode(0x4FFF, payload, isPadded: isPadded, into: &bytes)
                #expect(bytes.count == (isPadded ? 4 + (size + 3) & ~3 : 4 + size))
                let again = try #require(decode(bytes))
                #expect(again.number == 0x4FFF)
                #expect(again.payload == payload)
                #expect(try byteCount(bytes, limit: 70_000) == 4 + (size + 3) & ~3)
            }
        }
    }

    @Test func aMessageCutAnywhereIsRefused() {
        var bytes: [UInt8] = []
        ChannelData.encode(0x4000, [1, 2, 3, 4, 5], isPadded: false, into: &bytes)
        for count in 0..<bytes.count { #expect(decode(Array(bytes.prefix(count))) == nil) }
    }

    @Test func otherProtocolsAreToldApart() throws {
        for first: UInt8 in [0, 3, 0x3F, 0x80, 0xFF] { #expect(decode([first, 0, 0, 0]) == nil) }
        #expect(throws: STUNError.notSTUN) { try byteCount([0x80, 0, 0, 0]) }
        #expect(throws: STUNError.notSTUN) { try byteCount([0x16, 3, 1, 0].map { $0 | 0x80 }) }
        #expect(throws: STUNError.length(65_535)) { try byteCount([0x40, 0, 0xFF, 0xFF], limit: 1000) }
        #expect(try byteCount([]) == nil)
        #expect(try byteCount([0x40, 0, 0]) == nil)
        #expect(try byteCount([0, 1, 0, 8]) == 28)
    }
}
