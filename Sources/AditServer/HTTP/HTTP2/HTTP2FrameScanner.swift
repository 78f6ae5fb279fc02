// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Finds the headers of frames (RFC 9113 section 4.1) in bytes that come in pieces, and steps over their payload.
struct HTTP2FrameScanner {
    /// A frame's header.
    struct Header: Equatable {
        var length: Int
        var type: UInt8
        var flags: UInt8
    }

    private static let headerBytes = 9

    /// Bytes of the present payload, or of the preface, that are still to come.
    private(set) var payloadLeft: Int
    /// The frame whose payload is still to come.
    private(set) var present: Header?
    /// The bytes of a header that are there, the latest lowest.
    private var partial: UInt64 = 0
    /// How many bytes of a header are there.
    private(set) var partialBytes = 0

    /// Makes a scanner that steps over so many bytes first.
    init(skipping count: Int) {
        payloadLeft = count
    }

    /// Whether the next byte is a frame's first.
    var isBetweenFrames: Bool { payloadLeft == 0 && partialBytes == 0 }

    /// Walks over the bytes and calls `found` for each header that is complete, before its payload is stepped over.
    mutating func scan(_ bytes: ByteBuffer, _ found: (Header) -> Void) {
        var at = bytes.readerIndex
        let end = bytes.writerIndex
        while at < end {
            if payloadLeft > 0 {
                let count = min(payloadLeft, end - at)
                payloadLeft -= count
                at += count
                if payloadLeft == 0 { present = nil }
            } else if partialBytes == 0, end - at >= Self.headerBytes,
                let word = bytes.getInteger(at: at, as: UInt64.self)
            {
                at += Self.headerBytes
                take(word, found)
            } else {
                guard let byte = bytes.getInteger(at: at, as: UInt8.self) else { return }
                at += 1
                partialBytes += 1
                guard partialBytes == Self.headerBytes else {
                    partial = partial << 8 | UInt64(byte)
                    continue
                }
                partialBytes = 0
                let word = partial
                partial = 0
                take(word, found)
            }
        }
    }

    /// The first eight bytes of a header are enough: length, type, flags and most of the stream.
    private mutating func take(_ word: UInt64, _ found: (Header) -> Void) {
        let header = Header(
            length: Int(word >> 40),
            type: UInt8(truncatingIfNeeded: word >> 32),
            flags: UInt8(truncatingIfNeeded: word >> 24)
        )
        payloadLeft = header.length
        present = header.length > 0 ? header : nil
        found(header)
    }
}
