// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

extension STUNMessage {
    /// Whether a datagram may be a message of RFC 5389 or later: enough to tell STUN from another protocol on one socket.
    ///
    /// The first two bits, the length and the magic cookie are looked at (RFC 8489 section 6.3).
    package static func looksLikeSTUN(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= headerByteCount, bytes.byte(at: 0) & 0xC0 == 0,
            bytes.bigEndianUInt32(at: 4) == magicCookie
        else { return false }
        let length = Int(bytes.bigEndianUInt16(at: 2))
        return length & 3 == 0 && headerByteCount + length == bytes.byteCount
    }

    /// The length, in bytes, of the message that a stream is at the beginning of (RFC 8489 section 6.2.2); nil when more
    /// bytes are needed to tell, which are at most 4.
    ///
    /// Throws `STUNError.notSTUN` or `length`; the stream is useless then.
    package static func byteCount(inStream bytes: RawSpan, limit: Int = byteLimit) throws(STUNError) -> Int? {
        guard bytes.byteCount > 0 else { return nil }
        guard bytes.byte(at: 0) & 0xC0 == 0 else { throw .notSTUN }
        guard bytes.byteCount >= 4 else { return nil }
        let length = Int(bytes.bigEndianUInt16(at: 2))
        guard length & 3 == 0, headerByteCount + length <= limit else { throw .length(length) }
        return headerByteCount + length
    }

    /// Reads a message, which has to be all of the bytes.
    ///
    /// Of attributes of one type only the first is kept. What follows MESSAGE-INTEGRITY is left out, except for
    /// MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489 sections 14.5 and 14.6).
    package static func decode(_ bytes: RawSpan) throws(STUNError) -> STUNMessage {
        guard bytes.byteCount >= headerByteCount else { throw .length(bytes.byteCount) }
        let type = bytes.bigEndianUInt16(at: 0)
        guard type & 0xC000 == 0 else { throw .notSTUN }
        let length = Int(bytes.bigEndianUInt16(at: 2))
        guard length & 3 == 0, headerByteCount + length == bytes.byteCount else { throw .length(length) }
        guard let kind = STUNKind(rawValue: UInt8(type >> 7 & 2 | type >> 4 & 1)) else { throw .notSTUN }
        var message = STUNMessage(
            kind,
            STUNMethod(rawValue: type & 0xF | type >> 1 & 0x70 | type >> 2 & 0xF80),
            transactionID: STUNTransactionID(
                high: bytes.bigEndianUInt32(at: 8),
                low: bytes.bigEndianUInt64(at: 12)
            ),
            cookie: bytes.bigEndianUInt32(at: 4)
        )
        try message.decodeAttributes(of: bytes)
        return message
    }

    private mutating func decodeAttributes(of bytes: RawSpan) throws(STUNError) {
        var walk = STUNAttributeWalk()
        var count = 0
        while let field = try walk.next(in: bytes) {
            count += 1
            guard count <= Self.attributeLimit else { throw .tooManyAttributes }
            if field.type == STUNAttributeType.fingerprint {
                hasFingerprint = true
                continue
            }
            guard field.counts else { continue }
            let isDuplicate = attributes.contains { $0.type == field.type }
            if isDuplicate, !STUNAttributeType.mayRepeat(field.type) { continue }
            attributes.append(
                try STUNAttribute.decode(field, in: bytes, cookie: cookie, transactionID: transactionID)
            )
        }
    }
}

/// One attribute in the bytes of a message.
package struct STUNAttributeField: Sendable, Hashable {
    /// The number of its type.
    package var type: UInt16
    /// Where its value begins, in bytes from the start of the message.
    package var offset: Int
    /// The length of the value, in bytes, without padding.
    package var byteCount: Int
    /// Whether it counts: not when it stands behind the attribute that protects the message.
    package var counts: Bool
}

/// Goes over the attributes of a message in place, with the rules about their order.
package struct STUNAttributeWalk: Sendable {
    private var offset = STUNMessage.headerByteCount
    private var hasIntegrity = false
    private var hasIntegritySHA256 = false

    /// Starts at the first attribute.
    package init() {}

    /// The next attribute; nil at the end. The header's length is to have been checked against the bytes.
    ///
    /// FINGERPRINT is checked when it is met, and has to be the last.
    package mutating func next(in bytes: RawSpan) throws(STUNError) -> STUNAttributeField? {
        guard offset < bytes.byteCount else { return nil }
        guard bytes.byteCount - offset >= 4 else { throw .length(bytes.byteCount) }
        let type = bytes.bigEndianUInt16(at: offset)
        let byteCount = Int(bytes.bigEndianUInt16(at: offset + 2))
        let end = offset + 4 + (byteCount + 3) & ~3
        guard end <= bytes.byteCount else { throw .truncated(type) }
        var counts = true
        switch type {
        case STUNAttributeType.fingerprint:
            guard byteCount == 4, end == bytes.byteCount else { throw .invalidAttribute(type) }
            let expected = STUNFingerprint.value(of: bytes.extracting(0..<offset))
            guard bytes.bigEndianUInt32(at: offset + 4) == expected else { throw .fingerprint }
        case STUNAttributeType.messageIntegrity:
            counts = !hasIntegrity && !hasIntegritySHA256
            hasIntegrity = true
        case STUNAttributeType.messageIntegritySHA256:
            counts = !hasIntegritySHA256
            hasIntegritySHA256 = true
        default:
            counts = !hasIntegrity && !hasIntegritySHA256
        }
        defer { offset = end }
        return STUNAttributeField(type: type, offset: offset + 4, byteCount: byteCount, counts: counts)
    }
}
