// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not a STUN message, or not one that may be believed (RFC 8489 section 6.3).
///
/// Each case says where the fault is, never the bytes themselves.
package enum STUNError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The first two bits are not zero: some other protocol.
    case notSTUN
    /// The length field is no multiple of 4, does not match the bytes, or is above the limit; the length that it says.
    case length(Int)
    /// An attribute reaches beyond the end of the message; its type.
    case truncated(UInt16)
    /// An attribute's value is not what its type demands; its type.
    case invalidAttribute(UInt16)
    /// More attributes than `STUNMessage.attributeLimit`.
    case tooManyAttributes
    /// FINGERPRINT does not match the bytes before it.
    case fingerprint

    /// The fault in one English line, for logs.
    package var description: String {
        switch self {
        case .notSTUN: "not a STUN message"
        case .length(let length): "the length \(length) does not fit"
        case .truncated(let type): "attribute 0x\(String(type, radix: 16)) is truncated"
        case .invalidAttribute(let type): "attribute 0x\(String(type, radix: 16)) is invalid"
        case .tooManyAttributes: "more than \(STUNMessage.attributeLimit) attributes"
        case .fingerprint: "the fingerprint does not match"
        }
    }
}
