// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// The two attributes that protect a message with a key (RFC 8489 sections 14.5 and 14.6).
package enum STUNIntegrity: Sendable, Hashable, CaseIterable {
    /// MESSAGE-INTEGRITY: HMAC-SHA1.
    case sha1
    /// MESSAGE-INTEGRITY-SHA256: HMAC-SHA256, which may be cut to 16 bytes.
    case sha256

    /// The length of the whole code, in bytes.
    package var byteCount: Int {
        switch self {
        case .sha1: 20
        case .sha256: 32
        }
    }

    var type: UInt16 {
        switch self {
        case .sha1: STUNAttributeType.messageIntegrity
        case .sha256: STUNAttributeType.messageIntegritySHA256
        }
    }
}

extension STUNMessage {
    /// What the protecting attribute of a message covers: the bytes before it, with a length field that ends with it, and
    /// the code that it holds; nil when the message does not have the attribute.
    ///
    /// Throws what `decode(_:)` throws about the attributes' form.
    package static func covered(
        by integrity: STUNIntegrity,
        in bytes: RawSpan
    ) throws(STUNError) -> (bytes: [UInt8], code: [UInt8])? {
        guard bytes.byteCount >= headerByteCount else { throw .length(bytes.byteCount) }
        var walk = STUNAttributeWalk()
        while let field = try walk.next(in: bytes) {
            guard field.type == integrity.type, field.counts else { continue }
            switch integrity {
            case .sha1: guard field.byteCount == 20 else { throw .invalidAttribute(field.type) }
            case .sha256:
                guard (16...32).contains(field.byteCount), field.byteCount & 3 == 0 else {
                    throw .invalidAttribute(field.type)
                }
            }
            var covered = bytes.copyBytes(in: 0..<(field.offset - 4))
            let length = field.range.upperBound - headerByteCount
            covered[2] = UInt8(truncatingIfNeeded: length >> 8)
            covered[3] = UInt8(truncatingIfNeeded: length)
            return (covered, bytes.copyBytes(in: field.range))
        }
        return nil
    }
}
