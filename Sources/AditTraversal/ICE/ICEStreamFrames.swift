// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Packets in a TCP connection, each behind its length of 16 bits (RFC 4571, RFC 6544 section 3).
package struct ICEStreamFrames: Sendable {
    private var waiting: [UInt8] = []
    private var offset = 0

    /// Starts at the beginning of a connection.
    package init() {}

    /// A packet as it goes into the connection; nil when it is longer than 65 535 bytes.
    package static func frame(_ packet: [UInt8]) -> [UInt8]? {
        guard let length = UInt16(exactly: packet.count) else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(packet.count + 2)
        bytes.appendBigEndian(length)
        bytes.append(contentsOf: packet)
        return bytes
    }

    /// Takes bytes as they came. What is held is never more than what came last and one packet.
    package mutating func append(_ bytes: [UInt8]) {
        if offset == waiting.count {
            waiting = bytes
        } else {
            waiting.removeFirst(offset)
            waiting.append(contentsOf: bytes)
        }
        offset = 0
    }

    /// The next whole packet; nil when more bytes are needed. Packets of no length are left out.
    package mutating func next() -> [UInt8]? {
        while waiting.count - offset >= 2 {
            let length = Int(waiting[offset]) << 8 | Int(waiting[offset + 1])
            guard waiting.count - offset >= 2 + length else { return nil }
            let start = offset + 2
            offset = start + length
            if length > 0 { return Array(waiting[start..<offset]) }
        }
        return nil
    }
}
