// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// Walks over fields of a tag (1 byte), a length (1 byte) and a value, as descriptions of NATs and reasons have them.
struct PathFields {
    struct Field {
        let tag: UInt8
        let value: Range<Int>
    }

    private let byteCount: Int
    private var offset = 0

    init(byteCount: Int) {
        self.byteCount = byteCount
    }

    /// The next field; nil at the end of the span.
    mutating func next(in bytes: RawSpan) throws(WireError) -> Field? {
        guard offset < byteCount else { return nil }
        guard byteCount - offset >= 2 else { throw .truncated(expected: 2, found: byteCount - offset) }
        let length = Int(bytes.byte(at: offset + 1))
        let start = offset + 2
        guard byteCount - start >= length else { throw .truncated(expected: length, found: byteCount - start) }
        defer { offset = start + length }
        return Field(tag: bytes.byte(at: offset), value: start..<start + length)
    }
}

extension [UInt8] {
    /// Appends a field, unless there is no value; the value has at most 255 bytes.
    mutating func appendField(_ tag: UInt8, _ value: [UInt8]?) {
        guard let value else { return }
        precondition(value.count <= 255, "a field of at most 255 bytes")
        append(tag)
        append(UInt8(truncatingIfNeeded: value.count))
        append(contentsOf: value)
    }
}

extension RawSpan {
    /// Throws unless there are that many bytes.
    func need(_ count: Int) throws(WireError) {
        guard byteCount >= count else { throw .truncated(expected: count, found: byteCount) }
    }

    /// Its first byte as a number.
    func number() throws(WireError) -> UInt8 {
        try need(1)
        return byte(at: 0)
    }

    /// Its first byte as 0 or 1.
    func flag() throws(WireError) -> Bool {
        let value = try number()
        guard value <= 1 else { throw .invalidField(offset: 0, found: UInt64(value)) }
        return value == 1
    }

    /// An address of 4 or 16 bytes.
    func address() throws(WireError) -> IPAddress {
        switch byteCount {
        case 4: return .v4(bigEndianUInt32(at: 0))
        case 16: return .v6(high: bigEndianUInt64(at: 0), low: bigEndianUInt64(at: 8))
        default: throw .length(Int64(byteCount), limit: 16)
        }
    }
}
