// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not the beginning of a TLS connection that can be led somewhere.
package enum ClientHelloError: Error, Sendable, Equatable, CustomStringConvertible {
    /// A record that is not a handshake of TLS (RFC 8446 section 5.1); `offset` counts from the first byte.
    case notHandshake(offset: Int)
    /// A record of a length that a record with a ClientHello cannot have (RFC 8446 section 5.1).
    case recordLength(Int)
    /// The first handshake message is another one than ClientHello (RFC 8446 section 4).
    case notClientHello(UInt8)
    /// The message is longer than this many bytes, or cut into too many records.
    case tooLong(limit: Int)
    /// A field runs over the end of what holds it; `offset` counts from the first byte of the message's body.
    case malformed(offset: Int)
    /// An extension comes twice (RFC 8446 section 4.2).
    case repeatedExtension(UInt16)
    /// The server name is not a host name in ASCII (RFC 6066 section 3).
    case serverName

    /// The fault in one English line, for logs.
    package var description: String {
        switch self {
        case .notHandshake(let offset): "no TLS handshake record at offset \(offset)"
        case .recordLength(let length): "a TLS record of \(length) bytes"
        case .notClientHello(let type): "handshake message \(type) in place of ClientHello"
        case .tooLong(let limit): "ClientHello is longer than \(limit) bytes, or in too many pieces"
        case .malformed(let offset): "ClientHello is malformed at offset \(offset)"
        case .repeatedExtension(let type): "extension \(type) comes twice"
        case .serverName: "the server name is not a host name"
        }
    }
}
