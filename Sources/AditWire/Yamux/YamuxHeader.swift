// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Why 12 bytes are not a yamux header.
package enum YamuxHeaderError: Error, Sendable, Equatable {
    /// The version at offset 0 is not 0.
    case version(UInt8)
    /// The type at offset 1 is none of the four.
    case type(UInt8)
    /// The flags at offset 2 hold bits that the specification does not define.
    case flags(UInt16)
}

/// The header of a yamux frame: 12 bytes, big-endian (hashicorp/yamux specification, "Framing").
package struct YamuxHeader: Sendable, Equatable {
    /// What a frame is for.
    package enum Kind: UInt8, Sendable {
        /// Data of a stream: `length` bytes follow the header.
        case data = 0
        /// More credit for a stream: `length` is the number of bytes added.
        case windowUpdate = 1
        /// A ping or, with `.acknowledge`, its answer: `length` is an opaque value that the answer repeats.
        case ping = 2
        /// The sender takes no new streams: `length` is a code.
        case goAway = 3
    }

    /// The flags of a frame.
    package struct Flags: OptionSet, Sendable {
        package let rawValue: UInt16
        package init(rawValue: UInt16) {
            self.rawValue = rawValue
        }
        /// Opens a stream, or asks for the answer to a ping.
        package static let open = Flags(rawValue: 1)
        /// Acknowledges a stream, or answers a ping.
        package static let acknowledge = Flags(rawValue: 2)
        /// Ends the sender's direction of a stream.
        package static let finish = Flags(rawValue: 4)
        /// Ends a stream in both directions at once.
        package static let reset = Flags(rawValue: 8)
    }

    /// The size of a header in bytes.
    package static let byteCount = 12

    /// What the frame is for.
    package var kind: Kind
    /// The flags.
    package var flags: Flags
    /// The stream, or 0 for ping and go-away.
    package var streamID: UInt32
    /// Bytes that follow, bytes of credit, an opaque value or a code, by `kind`.
    package var length: UInt32

    /// Makes a header from its fields.
    package init(_ kind: Kind, _ flags: Flags = [], streamID: UInt32 = 0, length: UInt32 = 0) {
        self.kind = kind
        self.flags = flags
        self.streamID = streamID
        self.length = length
    }

    /// Reads a header from the three 32-bit words that it is made of, in host order.
    package init(_ first: UInt32, _ streamID: UInt32, _ length: UInt32) throws(YamuxHeaderError) {
        let version = UInt8(truncatingIfNeeded: first >> 24)
        guard version == 0 else { throw .version(version) }
        let type = UInt8(truncatingIfNeeded: first >> 16)
        guard let kind = Kind(rawValue: type) else { throw .type(type) }
        let flags = UInt16(truncatingIfNeeded: first)
        guard flags <= 0xF else { throw .flags(flags) }
        self.init(kind, Flags(rawValue: flags), streamID: streamID, length: length)
    }

    /// Reads the header at the beginning of `bytes`; nil when fewer than 12 bytes are there.
    package static func decode(_ bytes: RawSpan) throws(YamuxHeaderError) -> YamuxHeader? {
        guard bytes.byteCount >= byteCount else { return nil }
        return try YamuxHeader(
            bytes.bigEndianUInt32(at: 0),
            bytes.bigEndianUInt32(at: 4),
            bytes.bigEndianUInt32(at: 8)
        )
    }

    /// The first of the three 32-bit words of the header, in host order: version, type and flags.
    package var firstWord: UInt32 {
        UInt32(kind.rawValue) << 16 | UInt32(flags.rawValue)
    }

    /// Appends the 12 bytes of the header.
    package func encode(into bytes: inout [UInt8]) {
        bytes.appendBigEndian(firstWord)
        bytes.appendBigEndian(streamID)
        bytes.appendBigEndian(length)
    }
}
