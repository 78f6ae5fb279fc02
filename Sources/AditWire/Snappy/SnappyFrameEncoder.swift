// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Writes snappy's framing format: a stream identifier, then chunks of at most 64 KiB of text with a checksum.
///
/// Each call gives whole chunks, so that a reader has everything that was written before a pause.
package struct SnappyFrameEncoder: Sendable {
    private var compressor = SnappyCompressor()
    private var isIdentified = false

    /// Makes an encoder at the start of a stream.
    package init() {}

    /// Appends the chunks that carry `text`; nothing for an empty one.
    package mutating func encode(_ text: RawSpan, into output: inout [UInt8]) {
        guard text.byteCount > 0 else { return }
        if !isIdentified {
            isIdentified = true
            output.append(contentsOf: SnappyChunk.streamIdentifier)
        }
        var offset = 0
        while offset < text.byteCount {
            let end = min(offset + SnappyCompressor.blockByteLimit, text.byteCount)
            append(text.extracting(offset..<end), to: &output)
            offset = end
        }
    }

    private mutating func append(_ block: RawSpan, to output: inout [UInt8]) {
        let header = output.count
        output.append(contentsOf: repeatElement(0, count: SnappyChunk.headerByteCount))
        let checksum = CRC32C.masked(block)
        for shift in [0, 8, 16, 24] as [UInt32] { output.append(UInt8(truncatingIfNeeded: checksum >> shift)) }
        let data = output.count
        compressor.compress(block, into: &output)
        var type = SnappyChunk.compressed
        if output.count - data >= block.byteCount - block.byteCount / 8 {
            // Hardly smaller: the reader is spared the work.
            type = SnappyChunk.uncompressed
            output.removeSubrange(data...)
            output.append(block)
        }
        let length = output.count - header - SnappyChunk.headerByteCount
        output[header] = type
        for index in 0..<3 { output[header + 1 + index] = UInt8(truncatingIfNeeded: length >> (8 * index)) }
    }
}

/// The constants of the framing format, https://github.com/google/snappy/blob/main/framing_format.txt.
enum SnappyChunk {
    static let headerByteCount = 4
    static let checksumByteCount = 4
    static let compressed: UInt8 = 0x00
    static let uncompressed: UInt8 = 0x01
    static let lastReserved: UInt8 = 0x7F
    static let identifier: UInt8 = 0xFF
    /// Chunk type 0xFF with six bytes of content.
    static let streamIdentifier: [UInt8] = [0xFF, 0x06, 0x00, 0x00] + Array("sNaPpY".utf8)
    /// The longest form of a block: its length, and a literal's tag now and then.
    static let compressedByteLimit = 32 + SnappyCompressor.blockByteLimit + SnappyCompressor.blockByteLimit / 6
}
