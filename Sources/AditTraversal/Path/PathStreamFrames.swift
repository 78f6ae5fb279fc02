// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Packets on a TCP connection, each behind its length in two bytes (RFC 4571).
struct PathStreamFrames: Sendable {
    private var pending: [UInt8] = []

    /// What is whole by now, in order: each STUN message for itself, other packets in batches.
    ///
    /// At most one packet, 65 537 bytes, and what the driver read at once are held.
    mutating func take(_ bytes: [UInt8]) -> [PacketBatch] {
        if pending.isEmpty { pending = bytes } else { pending += bytes }
        var batches: [PacketBatch] = []
        var run = PacketRun()
        var start = 0
        while pending.count - start >= 2 {
            let length = Int(pending[start]) << 8 | Int(pending[start + 1])
            guard pending.count - start - 2 >= length else { break }
            let packet = pending[start + 2..<start + 2 + length]
            start += 2 + length
            guard length > 0 else { continue }
            if PathPacket.mayBeSTUN(packet) {
                if let batch = run.take() { batches.append(batch) }
                if length <= PacketBatch.byteLimit { batches.append(PacketBatch(Array(packet))) }
            } else if let batch = run.append(packet) {
                batches.append(batch)
            }
        }
        if let batch = run.take() { batches.append(batch) }
        if start == pending.count { pending = [] } else { pending.removeFirst(start) }
        return batches
    }

    /// A packet as it goes over the connection; nil when it is too long.
    static func frame(_ packet: [UInt8]) -> [UInt8]? {
        packet.count <= PacketBatch.byteLimit ? frames(PacketBatch(packet)) : nil
    }

    /// Packets as they go over the connection.
    static func frames(_ batch: PacketBatch) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(batch.bytes.count + 2 * batch.count)
        for index in 0..<batch.count {
            let range = batch.range(index)
            bytes.appendBigEndian(UInt16(range.count))
            bytes += batch.bytes[range]
        }
        return bytes
    }
}
