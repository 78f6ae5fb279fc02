// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Packets on a TCP connection, each behind its length in two bytes (RFC 4571).
struct PathStreamFrames: Sendable {
    private var pending: [UInt8] = []

    /// The packets that are whole by now.
    ///
    /// At most one packet, 65 537 bytes, and what the driver read at once are held.
    mutating func take(_ bytes: [UInt8]) -> [[UInt8]] {
        pending += bytes
        var packets: [[UInt8]] = []
        var start = 0
        while pending.count - start >= 2 {
            let length = Int(pending[start]) << 8 | Int(pending[start + 1])
            guard pending.count - start - 2 >= length else { break }
            if length > 0 { packets.append(Array(pending[start + 2..<start + 2 + length])) }
            start += 2 + length
        }
        pending.removeFirst(start)
        return packets
    }

    /// A packet as it goes over the connection; nil when it is too long.
    static func frame(_ packet: [UInt8]) -> [UInt8]? {
        guard packet.count <= 65_535 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(packet.count + 2)
        bytes.appendBigEndian(UInt16(packet.count))
        bytes += packet
        return bytes
    }
}
