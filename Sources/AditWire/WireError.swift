// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A fault in bytes that a peer sent, or a value that the wire cannot carry.
///
/// Each case says where the fault is or what was expected, never the bytes themselves: they may be secret.
package enum WireError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A length field is above the wire's limit, or negative (then `length` is negative).
    case length(Int64, limit: Int)
    /// A frame or message of a type that the wire does not define.
    case unknownType(UInt16)
    /// A frame or message that is defined, but not at this point.
    case unexpectedType(UInt16)
    /// A field that must hold one value holds another; `offset` counts from the start of the frame.
    case invalidField(offset: Int, found: UInt64)
    /// The bytes ended before the value did.
    case truncated(expected: Int, found: Int)
    /// The JSON of the message with this v2 id, or of the hello frame with this type, is not what the wire defines.
    case malformedJSON(UInt16)
    /// A list or a map has more elements than the wire allows.
    case tooManyElements(Int, limit: Int)
    /// The connection did not start with the bytes that announce wire v2.
    case missingMagic
    /// A checksum over the data does not match.
    case checksum(expected: UInt32, found: UInt32)
    /// A compressed block refers to bytes that do not exist or breaks off.
    case malformedCompression(offset: Int)
    /// The wire version has no form for this value.
    case notEncodable

    /// The fault in one English line, for logs.
    package var description: String {
        switch self {
        case .length(let length, let limit): "length \(length) is outside 0...\(limit)"
        case .unknownType(let type): "unknown type \(type)"
        case .unexpectedType(let type): "unexpected type \(type)"
        case .invalidField(let offset, let found): "invalid value \(found) at offset \(offset)"
        case .truncated(let expected, let found): "truncated: \(expected) bytes expected, \(found) found"
        case .malformedJSON(let type): "malformed JSON in type \(type)"
        case .tooManyElements(let count, let limit): "\(count) elements, at most \(limit) allowed"
        case .missingMagic: "the wire v2 magic is missing"
        case .checksum(let expected, let found): "checksum \(found), expected \(expected)"
        case .malformedCompression(let offset): "malformed compressed data at offset \(offset)"
        case .notEncodable: "the wire version cannot carry this value"
        }
    }
}
