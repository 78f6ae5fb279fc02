// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct SnappyFrameTests {
    private static let identifier = hex("ff060000734e61507059")

    @Test(arguments: SnappyVector.all) func `reads what another implementation wrote`(vector: SnappyVector) throws {
        #expect(try read(hex(vector.frames)) == vector.text)
    }

    @Test(arguments: SnappyVector.all) func `reads a stream byte by byte`(vector: SnappyVector) throws {
        var decoder = SnappyFrameDecoder()
        var pending: [UInt8] = []
        var text: [UInt8] = []
        for byte in hex(vector.frames) {
            pending.append(byte)
            pending.removeFirst(try decoder.decode(pending.span.bytes, into: &text))
        }
        #expect(pending.isEmpty)
        #expect(text == vector.text)
    }

    @Test(arguments: SnappyVector.all) func `never gives wrong text for a flipped bit`(vector: SnappyVector) {
        guard !vector.text.isEmpty else { return }
        withEachBitFlipped(hex(vector.frames)) { frames in
            // A copy from another place may give the same text; wrong text is never given.
            if let text = try? read(frames) { #expect(text == vector.text || text.isEmpty) }
        }
    }

    @Test func `gives back what it wrote, whatever the writes`() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<8 {
            var encoder = SnappyFrameEncoder()
            var frames: [UInt8] = []
            var text: [UInt8] = []
            for _ in 0..<5 {
                let variety = [1, 3, 255].randomElement(using: &generator) ?? 1
                let count = [0, 1, 20, 3000, 65_536, 70_000].randomElement(using: &generator) ?? 1
                let piece = (0..<count).map { _ in UInt8.random(in: 0...UInt8(variety), using: &generator) }
                encoder.encode(piece.span.bytes, into: &frames)
                text += piece
                // Everything written so far can be read at once.
                #expect(try read(frames) == text)
            }
        }
    }

    @Test func `stores what does not compress`() throws {
        var generator = SeededGenerator(seed: 8)
        let text = (0..<65_536).map { _ in UInt8.random(in: 0...255, using: &generator) }
        var encoder = SnappyFrameEncoder()
        var frames: [UInt8] = []
        encoder.encode(text.span.bytes, into: &frames)
        #expect(frames.count == 10 + 8 + 65_536)
        #expect(frames[10] == 1)
        #expect(try read(frames) == text)
    }

    @Test func `skips padding, skippable chunks and repeated identifiers`() throws {
        let data = hex("01050000786ee42861")
        let stream =
            Self.identifier + hex("fe000000") + hex("80030000aabbcc") + Self.identifier + data + hex("fe0200000000")
            + hex("fd010000ff") + data
        #expect(try read(stream) == Array("aa".utf8))
    }

    @Test func `keeps nothing of a long skippable chunk`() throws {
        var decoder = SnappyFrameDecoder()
        var text: [UInt8] = []
        var stream = Self.identifier + hex("80ffffff")
        stream.removeFirst(try decoder.decode(stream.span.bytes, into: &text))
        stream.removeFirst(try decoder.decode(stream.span.bytes, into: &text))
        let piece = [UInt8](repeating: 0xEE, count: 1 << 16)
        for _ in 0..<255 { #expect(try decoder.decode(piece.span.bytes, into: &text) == piece.count) }
        #expect(try decoder.decode(piece.span.bytes, into: &text) == piece.count - 1)
        #expect(throws: WireError.unknownType(0x7F)) {
            try decoder.decode(([0x7F, 0, 0, 0] as [UInt8]).span.bytes, into: &text)
        }
        #expect(text.isEmpty)
    }

    struct Hostile: Sendable {
        let stream: String
        let error: WireError
    }

    private static let id = "ff060000734e61507059"
    private static let hostile = [
        Hostile(stream: "01050000786ee42861", error: .unexpectedType(1)),
        Hostile(stream: "fe000000", error: .unexpectedType(0xFE)),
        Hostile(stream: "ff050000734e615070", error: .length(5, limit: 6)),
        Hostile(stream: "ff060000734e6150705a", error: .invalidField(offset: 9, found: 0x5A)),
        Hostile(stream: id + "02000000", error: .unknownType(2)),
        Hostile(stream: id + "7f000000", error: .unknownType(0x7F)),
        Hostile(stream: id + "00030000", error: .length(3, limit: 76_494)),
        Hostile(stream: id + "00ffffff", error: .length(0xFFFFFF, limit: 76_494)),
        Hostile(stream: id + "01050001", error: .length(65_541, limit: 65_540)),
        Hostile(
            stream: id + "01050000786ee42862",
            error: .checksum(expected: 0x28E4_6E78, found: 0xE3C9_AD03)
        ),
        // A bomb: four bytes that announce more than a chunk may hold.
        Hostile(stream: id + "00080000" + "00000000" + "81800400", error: .length(65_537, limit: 65_536)),
    ]

    @Test(arguments: hostile) func `refuses hostile streams`(example: Hostile) {
        #expect {
            try read(hex(example.stream))
        } throws: { error in
            if case .checksum(let expected, _) = example.error, case .checksum(expected, _) = error as? WireError {
                return true
            }
            return error as? WireError == example.error
        }
    }

    @Test func `computes the checksums of RFC 3720`() {
        #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32).span.bytes) == 0x8A91_36AA)
        #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32).span.bytes) == 0x62A8_AB43)
        #expect(CRC32C.checksum([UInt8](0..<32).span.bytes) == 0x46DD_794E)
        #expect(CRC32C.checksum(Array("123456789".utf8).span.bytes) == 0xE306_9283)
        #expect(CRC32C.checksum([UInt8]().span.bytes) == 0)
    }

    private func read(_ stream: [UInt8]) throws -> [UInt8] {
        var decoder = SnappyFrameDecoder()
        var text: [UInt8] = []
        var offset = 0
        while offset < stream.count {
            let rest = Array(stream[offset...])
            let used = try decoder.decode(rest.span.bytes, into: &text)
            guard used > 0 else { break }
            offset += used
        }
        return text
    }
}
