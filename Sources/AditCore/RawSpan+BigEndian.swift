// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

extension RawSpan {
    /// The byte at `offset`; the caller has checked that it is there.
    package func byte(at offset: Int) -> UInt8 {
        unsafe unsafeLoad(fromByteOffset: checked(offset, 1), as: UInt8.self)
    }

    /// The 16-bit number in network byte order at `offset`; traps when it is not all there.
    package func bigEndianUInt16(at offset: Int) -> UInt16 {
        UInt16(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: checked(offset, 2), as: UInt16.self))
    }

    /// The 32-bit number in network byte order at `offset`; traps when it is not all there.
    package func bigEndianUInt32(at offset: Int) -> UInt32 {
        UInt32(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: checked(offset, 4), as: UInt32.self))
    }

    /// The 64-bit number in network byte order at `offset`; traps when it is not all there.
    package func bigEndianUInt64(at offset: Int) -> UInt64 {
        UInt64(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: checked(offset, 8), as: UInt64.self))
    }

    /// A copy of the bytes in `range`; traps when they are not all there.
    package func copyBytes(in range: Range<Int>) -> [UInt8] {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "range outside the span")
        return unsafe withUnsafeBytes { bytes in unsafe [UInt8](bytes[range]) }
    }

    private func checked(_ offset: Int, _ count: Int) -> Int {
        precondition(offset >= 0 && offset <= byteCount - count, "offset outside the span")
        return offset
    }
}
