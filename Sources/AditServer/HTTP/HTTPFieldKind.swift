// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a header field is to the proxy, by its name.
enum HTTPFieldKind: UInt8, Sendable {
    /// End to end: passed on byte for byte.
    case plain
    case host
    case contentLength
    case transferEncoding
    case connection
    case te
    case upgrade
    /// Meant for the next hop only (RFC 9110 section 7.6.1), never passed on.
    case hopByHop
    case expect
    case authorization
    case accept
    case trailer
    case via
    /// Says where a request came from: taken from nobody, written anew.
    case forwarded
    case loop
    /// A name that a server behind CGI or WSGI cannot tell from one of the above, because it reads `_` as `-`.
    case lookalike

    /// Names without their case; `_` counts as `-`, because servers behind CGI and WSGI make them one.
    init(_ name: String) {
        let kind = name.utf8.withContiguousStorageIfAvailable(Self.classify) ?? Self.classify(Array(name.utf8))
        guard kind != .plain, name.utf8.contains(UInt8(ascii: "_")) else {
            self = kind
            return
        }
        self = .lookalike
    }

    private static func classify(_ name: [UInt8]) -> HTTPFieldKind {
        name.withUnsafeBufferPointer(classify)
    }

    private static func classify(_ name: UnsafeBufferPointer<UInt8>) -> HTTPFieldKind {
        switch name.count {
        case 2: name.spells("te") ? .te : .plain
        case 3: name.spells("via") ? .via : .plain
        case 4: name.spells("host") ? .host : .plain
        case 6: name.spells("expect") ? .expect : name.spells("accept") ? .accept : .plain
        case 7:
            name.spells("upgrade") ? .upgrade : name.spells("trailer") ? .trailer : .plain
        case 8: name.spells("cdn-loop") ? .loop : .plain
        case 9: name.spells("forwarded") || name.spells("x-real-ip") ? .forwarded : .plain
        case 10: name.spells("connection") ? .connection : name.spells("keep-alive") ? .hopByHop : .plain
        case 13: name.spells("authorization") ? .authorization : forwarded(name)
        case 14:
            name.spells("content-length") ? .contentLength : name.spells("http2-settings") ? .hopByHop : forwarded(name)
        case 16: name.spells("proxy-connection") ? .hopByHop : forwarded(name)
        case 17: name.spells("transfer-encoding") ? .transferEncoding : forwarded(name)
        case 18: name.spells("proxy-authenticate") ? .hopByHop : forwarded(name)
        case 19: name.spells("proxy-authorization") ? .hopByHop : forwarded(name)
        default: forwarded(name)
        }
    }

    private static func forwarded(_ name: UnsafeBufferPointer<UInt8>) -> HTTPFieldKind {
        guard name.count > 12 else { return .plain }
        return UnsafeBufferPointer(rebasing: name[..<12]).spells("x-forwarded-") ? .forwarded : .plain
    }
}

extension UnsafeBufferPointer<UInt8> {
    fileprivate func spells(_ lowerCase: StaticString) -> Bool {
        guard count == lowerCase.utf8CodeUnitCount else { return false }
        let expected = lowerCase.utf8Start
        for index in 0..<count {
            let byte = self[index]
            let folded = byte == UInt8(ascii: "_") ? UInt8(ascii: "-") : HTTPField.asciiLower(byte)
            if folded != expected[index] { return false }
        }
        return true
    }
}
