// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct SnappyBlockTests {
    @Test(arguments: SnappyVector.all) func `expands what another implementation compressed`(vector: SnappyVector)
        throws
    {
        #expect(try expand(hex(vector.block)) == vector.text)
    }

    @Test(arguments: SnappyVector.all) func `refuses a block that breaks off`(vector: SnappyVector) {
        let block = hex(vector.block)
        for length in 0..<block.count {
            #expect(throws: WireError.self) { try expand(Array(block[..<length])) }
        }
    }

    @Test(arguments: SnappyVector.all) func `survives any flipped bit`(vector: SnappyVector) {
        withEachBitFlipped(hex(vector.block)) { block in
            if let text = try? expand(block) { #expect(text.count <= 65_536) }
        }
    }

    struct Hostile: Sendable {
        let block: String
        let error: WireError
    }

    private static let hostile = [
        // No length, a length that does not end, and one above 32 bits.
        Hostile(block: "", error: .malformedCompression(offset: 0)),
        Hostile(block: "8080808080", error: .malformedCompression(offset: 0)),
        Hostile(block: "ffffffff7f", error: .malformedCompression(offset: 0)),
        // Four gigabytes announced in five bytes.
        Hostile(block: "ffffffff0f", error: .length(4_294_967_295, limit: 65_536)),
        Hostile(block: "818004", error: .length(65_537, limit: 65_536)),
        // A copy before there is anything, from before the start, and from offset 0.
        Hostile(block: "040101", error: .malformedCompression(offset: 1)),
        Hostile(block: "0800610502", error: .malformedCompression(offset: 3)),
        Hostile(block: "0800610100", error: .malformedCompression(offset: 3)),
        // A literal and a copy longer than the announced text.
        Hostile(block: "01046162", error: .malformedCompression(offset: 1)),
        Hostile(block: "0200610d01", error: .malformedCompression(offset: 3)),
        // A literal that is longer than the block, with every size of length field.
        Hostile(block: "0a2461", error: .malformedCompression(offset: 1)),
        Hostile(block: "0af0ff61", error: .malformedCompression(offset: 1)),
        Hostile(block: "0af4ffff61", error: .malformedCompression(offset: 1)),
        Hostile(block: "0af8ffffff61", error: .malformedCompression(offset: 1)),
        Hostile(block: "0afcffffffff61", error: .malformedCompression(offset: 1)),
        // Offsets of four bytes that do not fit.
        Hostile(block: "08006113ffffffff", error: .malformedCompression(offset: 3)),
        // The text ends early, and there is something behind it.
        Hostile(block: "020061", error: .malformedCompression(offset: 3)),
        Hostile(block: "01006100", error: .malformedCompression(offset: 3)),
    ]

    @Test(arguments: hostile) func `refuses hostile blocks`(example: Hostile) {
        var output: [UInt8] = [1, 2, 3]
        #expect(throws: example.error) {
            try SnappyDecompressor.decompress(hex(example.block).span.bytes, limit: 65_536, into: &output)
        }
        #expect(output == [1, 2, 3])
    }

    @Test func `reads copies with four bytes of offset`() throws {
        #expect(try expand(hex("0a00610f01000000" + "1301000000")) == Array("aaaaaaaaaa".utf8))
    }

    @Test func `gives back what it compressed`() throws {
        var generator = SeededGenerator(seed: 4)
        for length in Array(0...70) + [255, 256, 257, 2048, 2049, 65_536] {
            for variety in [1, 3, 200] as [UInt8] {
                let text = (0..<length).map { _ in UInt8.random(in: 0..<variety, using: &generator) }
                var compressor = SnappyCompressor()
                var block: [UInt8] = []
                compressor.compress(text.span.bytes, into: &block)
                #expect(try expand(block) == text)
                #expect(block.count <= 32 + length + length / 6)
            }
        }
    }

    @Test func `finds what repeats far away`() throws {
        var generator = SeededGenerator(seed: 5)
        let piece = (0..<3000).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let text = piece + [UInt8](repeating: 0, count: 50_000) + piece
        var compressor = SnappyCompressor()
        var block: [UInt8] = []
        compressor.compress(text.span.bytes, into: &block)
        #expect(block.count < 6000)
        #expect(try expand(block) == text)
    }

    @Test func `never traps on random bytes`() {
        var generator = SeededGenerator(seed: 6)
        for _ in 0..<5000 {
            let length = Int.random(in: 0...40, using: &generator)
            var block = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            if !block.isEmpty { block[0] &= 63 }
            if let text = try? expand(block) { #expect(text.count <= 63) }
        }
    }

    private func expand(_ block: [UInt8]) throws -> [UInt8] {
        var text: [UInt8] = []
        try SnappyDecompressor.decompress(block.span.bytes, limit: 65_536, into: &text)
        return text
    }
}
