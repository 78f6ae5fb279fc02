// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// The messages that carry data through a TURN channel (RFC 8656 section 12.4): a number, a length, the data.
///
/// Over TCP and TLS each is padded to a multiple of 4 bytes; over UDP it may be.
package enum ChannelData {
    /// The numbers of channels (RFC 8656 section 12).
    package static let numbers: ClosedRange<UInt16> = 0x4000...0x4FFF
    /// The numbers that clients of RFC 5766 section 11 use; a server takes them all.
    package static let numbersOfOlderClients: ClosedRange<UInt16> = 0x4000...0x7FFF
    /// The length of number and length field, in bytes.
    package static let headerByteCount = 4

    /// Whether the first two bits are those of a channel's number rather than those of STUN (RFC 5766 section 11).
    package static func looksLike(_ bytes: RawSpan) -> Bool {
        bytes.byteCount >= headerByteCount && bytes.byte(at: 0) & 0xC0 == 0x40
    }

    /// The number, and where the data lies; nil when it is no such message, or is cut.
    ///
    /// What follows the data is padding and not looked at.
    package static func decode(_ bytes: RawSpan) -> (number: UInt16, payload: Range<Int>)? {
        guard looksLike(bytes) else { return nil }
        let end = headerByteCount + Int(bytes.bigEndianUInt16(at: 2))
        guard end <= bytes.byteCount else { return nil }
        return (bytes.bigEndianUInt16(at: 0), headerByteCount..<end)
    }

    /// Appends a message; `payload` has at most 65 535 bytes.
    package static func encode(
        _ number: UInt16,
        _ payload: some Collection<UInt8>,
        isPadded: Bool,
        into bytes: inout [UInt8]
    ) {
        precondition(payload.count <= 0xFFFF, "the length has 16 bits")
        bytes.appendBigEndian(number)
        bytes.appendBigEndian(UInt16(payload.count))
        bytes.append(contentsOf: payload)
        if isPadded { bytes.append(contentsOf: repeatElement(0, count: -payload.count & 3)) }
    }

    /// The length, in bytes and with its padding, of the STUN or ChannelData message that a stream is at the beginning of
    /// (RFC 8656 section 12.5); nil when more bytes are needed to tell, which are at most 4.
    ///
    /// Throws `STUNError.notSTUN` or `length`; the stream is useless then.
    package static func byteCount(
        inStream bytes: RawSpan,
        limit: Int = STUNMessage.byteLimit
    ) throws(STUNError) -> Int? {
        guard bytes.byteCount > 0 else { return nil }
        guard bytes.byte(at: 0) & 0xC0 != 0 else { return try STUNMessage.byteCount(inStream: bytes, limit: limit) }
        guard bytes.byte(at: 0) & 0xC0 == 0x40 else { throw .notSTUN }
        guard bytes.byteCount >= headerByteCount else { return nil }
        let length = Int(bytes.bigEndianUInt16(at: 2))
        let count = headerByteCount + (length + 3) & ~3
        guard count <= limit else { throw .length(length) }
        return count
    }
}
