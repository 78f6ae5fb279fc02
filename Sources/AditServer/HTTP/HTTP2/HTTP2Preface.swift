// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A connection that begins like HTTP/2, with everything that was read of it (RFC 9113 section 3.4).
struct HTTP2Preface {
    /// What a client of HTTP/2 says first.
    static let text: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    /// How the beginning of a connection compares.
    enum Match {
        case no
        /// Nothing contradicts so far.
        case undecided
        case yes
    }

    let bytes: ByteBuffer

    static func match(_ bytes: ByteBuffer) -> Match {
        // Nearly every connection is decided by its first byte.
        guard bytes.getInteger(at: bytes.readerIndex, as: UInt8.self) == UInt8(ascii: "P") else { return .no }
        return text.withUTF8Buffer { text in
            let count = min(bytes.readableBytes, text.count)
            guard bytes.readableBytesView.prefix(count).elementsEqual(text.prefix(count)) else { return .no }
            return count == text.count ? .yes : .undecided
        }
    }
}
