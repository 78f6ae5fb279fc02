// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Packets on a TCP connection, each behind its length of 16 bits (RFC 4571, RFC 6544 section 3).
package struct PacketFrames: Sendable {
    /// The beginning of a packet, with its length in front.
    private var begun: [UInt8] = []

    /// Starts at the beginning of a connection.
    package init() {}

    /// How many bytes there are in front of a packet.
    package static let headerByteCount = 2

    /// Takes bytes as they came and gives the packets that are whole now, in order: each that may be a STUN message for itself,
    /// others in batches.
    ///
    /// Packets of no length are left out, and those that no batch holds. What is kept is never more than one packet.
    package mutating func take(_ bytes: RawSpan) -> [PacketBatch] {
        var batches: [PacketBatch] = []
        var run = PacketRun()
        var start = 0
        while !begun.isEmpty, start < bytes.byteCount {
            let end = min(bytes.byteCount, start + Self.frameByteCount(begun.span.bytes) - begun.count)
            begun.append(bytes.extracting(start..<end))
            start = end
            guard begun.count >= Self.headerByteCount, begun.count == Self.frameByteCount(begun.span.bytes) else {
                continue
            }
            Self.add(begun.span.bytes.extracting(Self.headerByteCount...), to: &run, &batches)
            begun = []
        }
        while start < bytes.byteCount {
            let rest = bytes.extracting(start...)
            let count = Self.frameByteCount(rest)
            guard rest.byteCount >= count else {
                begun.reserveCapacity(count)
                begun.append(rest)
                break
            }
            Self.add(rest.extracting(Self.headerByteCount..<count), to: &run, &batches)
            start += count
        }
        if let batch = run.take() { batches.append(batch) }
        return batches
    }

    /// How long a packet is with its length in front; only the latter's length while that is not there.
    private static func frameByteCount(_ bytes: RawSpan) -> Int {
        headerByteCount + (bytes.byteCount < headerByteCount ? 0 : Int(bytes.bigEndianUInt16(at: 0)))
    }

    private static func add(_ packet: RawSpan, to run: inout PacketRun, _ batches: inout [PacketBatch]) {
        guard !packet.isEmpty, packet.byteCount <= PacketBatch.byteLimit else { return }
        if PathPacket.mayBeSTUN(packet) {
            if let batch = run.take() { batches.append(batch) }
            batches.append(PacketBatch(packet.copyBytes(in: 0..<packet.byteCount)))
        } else if let batch = run.append(packet) {
            batches.append(batch)
        }
    }

    /// A packet as it goes over the connection; nil when it is longer than a batch may be.
    package static func frame(_ packet: [UInt8]) -> [UInt8]? {
        packet.count <= PacketBatch.byteLimit ? frames(PacketBatch(packet)) : nil
    }

    /// Packets as they go over the connection.
    package static func frames(_ batch: PacketBatch) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount(batch))
        for index in 0..<batch.count {
            let range = batch.range(index)
            bytes.appendBigEndian(UInt16(range.count))
            bytes += batch.bytes[range]
        }
        return bytes
    }

    /// How many bytes packets are on the connection.
    package static func byteCount(_ batch: PacketBatch) -> Int { batch.bytes.count + headerByteCount * batch.count }
}
