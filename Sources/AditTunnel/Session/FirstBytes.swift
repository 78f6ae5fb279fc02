// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// What the first bytes of a connection say that it speaks (docs/wire.md, Layers).
package enum FirstBytes: Sendable, Hashable {
    /// Too few bytes to say.
    case undecided
    /// A TLS record with a handshake.
    case tls
    /// frp's custom byte 0x17, with TLS behind it.
    case markedTLS
    /// A yamux header.
    case yamux
    /// The magic of wire v2.
    case v2
    /// A message of wire v1 that may come first.
    case v1
    /// A request of HTTP.
    case http
    /// Nothing that is served here.
    case unknown

    /// How many bytes decide at most.
    package static let byteLimit = 10

    /// Recognises the beginning of a connection.
    ///
    /// The answer for some bytes, once it is not `undecided`, stays the same whatever follows.
    package static func recognise(_ bytes: RawSpan) -> FirstBytes {
        guard bytes.byteCount > 0 else { return .undecided }
        switch bytes.byte(at: 0) {
        case 0x16:
            // Record header: handshake, major version 3 (RFC 8446 section 5.1).
            guard bytes.byteCount >= 2 else { return .undecided }
            return bytes.byte(at: 1) == 3 ? .tls : .unknown
        case 0x17:
            guard bytes.byteCount >= 3 else { return .undecided }
            return bytes.byte(at: 1) == 0x16 && bytes.byte(at: 2) == 3 ? .markedTLS : .unknown
        case 0:
            guard bytes.byteCount >= 2 else { return .undecided }
            return bytes.byte(at: 1) <= 3 ? .yamux : .unknown
        case UInt8(ascii: "F"):
            return match(bytes, FRPWireMagic.bytes, .v2)
        case UInt8(ascii: "o"), UInt8(ascii: "w"), UInt8(ascii: "v"):
            // The length is 64 bits and at most 10 240, so its upper six bytes are zero.
            for index in 1..<7 {
                guard bytes.byteCount > index else { return .undecided }
                if bytes.byte(at: index) != 0 { return .unknown }
            }
            return .v1
        default:
            return recogniseHTTP(bytes)
        }
    }

    private static let methods: [[UInt8]] = [
        "GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "CONNECT ", "OPTIONS ", "TRACE ", "PATCH ",
        // The preface of HTTP/2 (RFC 9113 section 3.4).
        "PRI ",
    ].map { Array($0.utf8) }

    private static func recogniseHTTP(_ bytes: RawSpan) -> FirstBytes {
        var answer = FirstBytes.unknown
        for method in methods {
            switch match(bytes, method, .http) {
            case .http: return .http
            case .undecided: answer = .undecided
            default: break
            }
        }
        return answer
    }

    private static func match(_ bytes: RawSpan, _ pattern: [UInt8], _ found: FirstBytes) -> FirstBytes {
        for index in pattern.indices {
            guard bytes.byteCount > index else { return .undecided }
            if bytes.byte(at: index) != pattern[index] { return .unknown }
        }
        return found
    }
}
