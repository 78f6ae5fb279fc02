// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Reads snappy's framing format, a chunk at a time.
package struct SnappyFrameDecoder: Sendable {
    private var isIdentified = false
    private var skippedByteCount = 0

    /// Makes a decoder at the start of a stream.
    package init() {}

    /// The most bytes that the caller has to keep for a chunk that is not whole yet.
    package static let pendingByteLimit =
        SnappyChunk.headerByteCount + SnappyChunk.checksumByteCount + SnappyChunk.compressedByteLimit

    /// Reads at most one chunk at the start of `bytes`, appends its text and returns how many bytes were used.
    ///
    /// Zero means that more bytes are needed. Chunks that may be skipped are used up as they come, without being kept.
    /// Throws `WireError` for a stream without identifier, a reserved chunk type, a length over the limit, a wrong checksum or
    /// data that does not decompress.
    package mutating func decode(_ bytes: RawSpan, into output: inout [UInt8]) throws(WireError) -> Int {
        if skippedByteCount > 0 {
            let count = min(skippedByteCount, bytes.byteCount)
            skippedByteCount -= count
            return count
        }
        guard bytes.byteCount >= 1 else { return 0 }
        let type = bytes.byte(at: 0)
        if !isIdentified, type != SnappyChunk.identifier { throw .unexpectedType(UInt16(type)) }
        let header = SnappyChunk.headerByteCount
        guard bytes.byteCount >= header else { return 0 }
        let length = (0..<3).reduce(0) { $0 | Int(bytes.byte(at: 1 + $1)) << (8 * $1) }
        switch type {
        case SnappyChunk.identifier:
            let expected = SnappyChunk.streamIdentifier
            guard header + length == expected.count else {
                throw .length(Int64(length), limit: expected.count - header)
            }
            guard bytes.byteCount >= expected.count else { return 0 }
            for index in header..<expected.count where bytes.byte(at: index) != expected[index] {
                throw .invalidField(offset: index, found: UInt64(bytes.byte(at: index)))
            }
            isIdentified = true
            return expected.count
        case SnappyChunk.compressed, SnappyChunk.uncompressed:
            return try decodeData(bytes, type: type, length: length, into: &output)
        case ...SnappyChunk.lastReserved:
            throw .unknownType(UInt16(type))
        default:
            skippedByteCount = length
            return header
        }
    }

    private func decodeData(
        _ bytes: RawSpan,
        type: UInt8,
        length: Int,
        into output: inout [UInt8]
    ) throws(WireError) -> Int {
        let isCompressed = type == SnappyChunk.compressed
        let checksumLength = SnappyChunk.checksumByteCount
        let limit =
            checksumLength + (isCompressed ? SnappyChunk.compressedByteLimit : SnappyCompressor.blockByteLimit)
        guard length >= checksumLength, length <= limit else { throw .length(Int64(length), limit: limit) }
        let start = SnappyChunk.headerByteCount + checksumLength
        let end = SnappyChunk.headerByteCount + length
        guard bytes.byteCount >= end else { return 0 }
        let expected = bytes.bigEndianUInt32(at: SnappyChunk.headerByteCount).byteSwapped
        let block = bytes.extracting(start..<end)
        let kept = output.count
        if isCompressed {
            try SnappyDecompressor.decompress(block, limit: SnappyCompressor.blockByteLimit, into: &output)
        } else {
            output.append(contentsOf: block.copyBytes(in: 0..<block.byteCount))
        }
        let found = CRC32C.masked(unsafe output.span.bytes.extracting(kept..<output.count))
        guard found == expected else {
            output.removeSubrange(kept...)
            throw .checksum(expected: expected, found: found)
        }
        return end
    }
}
