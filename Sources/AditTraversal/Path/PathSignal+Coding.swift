// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
package import AditWire

// A version, a kind, the numbers of the sessions, then fields of a tag (1 byte), a length (2 bytes) and a value. A reader skips
// tags that it does not know, so that a later version may say more.

extension PathSignal {
    /// The version that is written, and the only one that is read.
    package static let version: UInt8 = 1
    /// The longest signal, in bytes.
    package static let byteLimit = 8192

    static let headerByteCount = 26

    private enum Kind {
        static let description: UInt8 = 0
        static let acknowledgement: UInt8 = 1
        static let end: UInt8 = 2
    }

    /// The signal as bytes, at most `byteLimit`.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = [Self.version]
        switch content {
        case .description: bytes.append(Kind.description)
        case .acknowledgement: bytes.append(Kind.acknowledgement)
        case .end: bytes.append(Kind.end)
        }
        bytes.appendBigEndian(session)
        bytes.appendBigEndian(peerSession)
        bytes.appendBigEndian(revision)
        bytes.appendBigEndian(acknowledged)
        if case .description(let description) = content { description.encode(into: &bytes) }
        return bytes
    }

    /// Reads a signal.
    ///
    /// Throws when it is too long, of another version, breaks off, or holds what it cannot hold.
    package static func decode(_ bytes: RawSpan) throws(WireError) -> PathSignal {
        guard bytes.byteCount <= byteLimit else { throw .length(Int64(bytes.byteCount), limit: byteLimit) }
        try bytes.need(headerByteCount)
        guard bytes.byte(at: 0) == version else { throw .invalidField(offset: 0, found: UInt64(bytes.byte(at: 0))) }
        let session = bytes.bigEndianUInt64(at: 2)
        guard session != 0 else { throw .invalidField(offset: 2, found: 0) }
        let content: Content
        switch bytes.byte(at: 1) {
        case Kind.description:
            content = .description(
                try PathDescription.decode(bytes.extracting(headerByteCount..<bytes.byteCount))
            )
        case Kind.acknowledgement: content = .acknowledgement
        case Kind.end: content = .end
        default: throw .invalidField(offset: 1, found: UInt64(bytes.byte(at: 1)))
        }
        return PathSignal(
            session: session,
            peerSession: bytes.bigEndianUInt64(at: 10),
            revision: bytes.bigEndianUInt32(at: 18),
            acknowledged: bytes.bigEndianUInt32(at: 22),
            content
        )
    }
}
