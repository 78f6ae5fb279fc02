// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// What a TLS client says first, as far as it decides where the connection goes (RFC 8446 section 4.1.2).
///
/// Nothing is taken out of the connection: whoever serves it gets the same bytes.
package struct ClientHello: Sendable, Hashable {
    /// The longest message that is read, in bytes.
    package static let messageByteLimit = 16 * 1024
    /// How many records the message may be cut into.
    package static let recordLimit = 64
    /// How many bytes decide at most: the message and the headers of its records.
    package static let byteLimit = 4 + messageByteLimit + recordLimit * recordHeaderByteCount + recordByteLimit

    /// The host that the client wants, byte for byte, 1 to 255 characters of ASCII; nil when it names none
    /// (RFC 6066 section 3).
    package var serverName: String?
    /// The protocols that the client can speak inside, the preferred one first; names that are not ASCII are left out
    /// (RFC 7301 section 3.1).
    package var protocols: [String]
    /// Whether the client offers TLS 1.3 (RFC 8446 section 4.2.1).
    package var offersTLS13: Bool

    /// Makes a value from its parts.
    package init(serverName: String?, protocols: [String] = [], offersTLS13: Bool = false) {
        self.serverName = serverName
        self.protocols = protocols
        self.offersTLS13 = offersTLS13
    }

    private static let recordHeaderByteCount = 5
    /// A plaintext record has at most this many bytes (RFC 8446 section 5.1).
    private static let recordByteLimit = 1 << 14

    /// Reads the message at the start of a connection's bytes; nil when more bytes are needed.
    ///
    /// The message may be cut into records anywhere. Throws what is wrong as soon as the bytes show it; the answer for
    /// some bytes, once it is not nil, stays the same whatever follows.
    package static func decode(_ bytes: RawSpan) throws(ClientHelloError) -> ClientHello? {
        // Fragments are only put together when all are there: a client that drips bytes costs a walk over record headers.
        var fragments: [Range<Int>] = []
        var head: [UInt8] = []
        var count = 0
        var offset = 0
        while let length = try recordLength(bytes, at: offset) {
            guard fragments.count < recordLimit else { throw .tooLong(limit: messageByteLimit) }
            let start = offset + recordHeaderByteCount
            let end = min(start + length, bytes.byteCount)
            fragments.append(start..<end)
            count += end - start
            if head.count < 4 { head += bytes.copyBytes(in: start..<min(end, start + 4 - head.count)) }
            if let type = head.first, type != 1 { throw .notClientHello(type) }
            if head.count == 4 {
                let size = Int(head[1]) << 16 | Int(head[2]) << 8 | Int(head[3])
                guard size <= messageByteLimit else { throw .tooLong(limit: messageByteLimit) }
                if count >= 4 + size {
                    let message = fragments.flatMap { bytes.copyBytes(in: $0) }
                    return try ClientHelloReader.read(Array(message[4..<(4 + size)]))
                }
            }
            guard start + length <= bytes.byteCount else { return nil }
            offset = start + length
        }
        return nil
    }

    /// The length of the record whose header begins at `offset`; nil when the header is not all there.
    private static func recordLength(_ bytes: RawSpan, at offset: Int) throws(ClientHelloError) -> Int? {
        let available = bytes.byteCount - offset
        // Content type handshake, any version 3.x (RFC 8446 section 5.1: legacy_record_version is to be ignored).
        if available >= 1, bytes.byte(at: offset) != 22 { throw .notHandshake(offset: offset) }
        if available >= 2, bytes.byte(at: offset + 1) != 3 { throw .notHandshake(offset: offset) }
        guard available >= recordHeaderByteCount else { return nil }
        let length = Int(bytes.bigEndianUInt16(at: offset + 3))
        // Handshake records of no bytes are forbidden.
        guard (1...recordByteLimit).contains(length) else { throw .recordLength(length) }
        return length
    }
}
