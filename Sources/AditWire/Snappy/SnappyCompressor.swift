// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Compresses blocks into snappy's raw format: a length, then literals and copies of what came before.
package struct SnappyCompressor: Sendable {
    /// The longest block, in bytes; positions in it fit into 16 bits.
    package static let blockByteLimit = 65_536

    private static let largestTableBits = 14
    /// Matches are not looked for so close to the end, so that eight bytes can be loaded anywhere before it.
    private static let tailByteCount = 15

    private var table: [UInt16] = []

    /// Makes a compressor; it keeps a table of 32 KiB for its next block.
    package init() {}

    /// Appends the compressed form of at most 65,536 bytes.
    package mutating func compress(_ block: RawSpan, into output: inout [UInt8]) {
        precondition(block.byteCount <= Self.blockByteLimit, "a block of snappy has at most 64 KiB")
        var length = UInt32(block.byteCount)
        while length >= 128 {
            output.append(UInt8(truncatingIfNeeded: length) | 128)
            length >>= 7
        }
        output.append(UInt8(length))
        unsafe block.withUnsafeBytes { source in
            if source.count <= Self.tailByteCount + 2 {
                unsafe Self.appendLiteral(source, 0..<source.count, to: &output)
            } else {
                unsafe compressMatches(source, into: &output)
            }
        }
    }

    private mutating func compressMatches(_ source: UnsafeRawBufferPointer, into output: inout [UInt8]) {
        var bits = 8
        while bits < Self.largestTableBits, 1 << bits < source.count { bits += 1 }
        table.removeAll(keepingCapacity: true)
        table.append(contentsOf: repeatElement(0, count: 1 << bits))
        let shift = UInt32(32 - bits)
        let limit = source.count - Self.tailByteCount
        var literalStart = 0
        unsafe table.withUnsafeMutableBufferPointer { table in
            var position = 1
            while position < limit {
                var candidate = 0
                // The longer nothing repeats, the larger the steps: data that cannot be compressed passes quickly.
                var misses = 32
                var isFound = false
                while position < limit {
                    let here = unsafe Self.load32(source, position)
                    let slot = Int((here &* 0x1E35_A7BD) >> shift)
                    candidate = unsafe Int(table[slot])
                    unsafe table[slot] = UInt16(position)
                    if candidate < position, unsafe Self.load32(source, candidate) == here {
                        isFound = true
                        break
                    }
                    position += misses >> 5
                    misses += 1
                }
                guard isFound else { break }
                if literalStart < position {
                    unsafe Self.appendLiteral(source, literalStart..<position, to: &output)
                }
                let start = position
                position += 4
                var behind = candidate + 4
                while unsafe position < source.count && source[position] == source[behind] {
                    position += 1
                    behind += 1
                }
                Self.appendCopy(offset: start - candidate, length: position - start, to: &output)
                literalStart = position
                if position < limit {
                    let before = unsafe Self.load32(source, position - 1)
                    unsafe table[Int((before &* 0x1E35_A7BD) >> shift)] = UInt16(position - 1)
                }
            }
        }
        if literalStart < source.count {
            unsafe Self.appendLiteral(source, literalStart..<source.count, to: &output)
        }
    }

    private static func load32(_ source: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
        unsafe UInt32(littleEndian: source.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }

    private static func appendLiteral(
        _ source: UnsafeRawBufferPointer,
        _ range: Range<Int>,
        to output: inout [UInt8]
    ) {
        guard !range.isEmpty else { return }
        let count = range.count - 1
        if count < 60 {
            output.append(UInt8(count << 2))
        } else if count < 256 {
            output.append(60 << 2)
            output.append(UInt8(count))
        } else {
            output.append(61 << 2)
            output.append(UInt8(truncatingIfNeeded: count))
            output.append(UInt8(truncatingIfNeeded: count >> 8))
        }
        unsafe output.append(contentsOf: UnsafeRawBufferPointer(rebasing: source[range]))
    }

    /// Writes a match as copies of at most 64 bytes, none shorter than 4, the shortest length that one byte can say.
    private static func appendCopy(offset: Int, length: Int, to output: inout [UInt8]) {
        var length = length
        while length > 0 {
            let count = length <= 64 ? length : length < 68 ? 60 : 64
            length -= count
            if count < 12, offset < 2048 {
                output.append(UInt8((offset >> 8) << 5 | (count - 4) << 2 | 1))
                output.append(UInt8(truncatingIfNeeded: offset))
            } else {
                output.append(UInt8((count - 1) << 2 | 2))
                output.append(UInt8(truncatingIfNeeded: offset))
                output.append(UInt8(truncatingIfNeeded: offset >> 8))
            }
        }
    }
}
