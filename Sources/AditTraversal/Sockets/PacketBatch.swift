// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Packets to one place or from one, back to back, so that each layer handles a run of them at once (udp(7), UDP_SEGMENT and
/// UDP_GRO).
package struct PacketBatch: Sendable, Equatable {
    /// A batch has at most so many packets.
    package static let countLimit = 64
    /// A batch has at most so many bytes.
    package static let byteLimit = 65_507

    /// The packets, one after another.
    package var bytes: [UInt8]
    /// The length of each packet, in bytes, but the last, which may be shorter.
    package var segmentSize: Int

    /// Makes a batch of one packet, which may be empty.
    package init(_ packet: [UInt8]) {
        bytes = packet
        segmentSize = packet.count
    }

    /// Makes a batch of packets that are `segmentSize` bytes long each, the last one perhaps shorter.
    package init(bytes: [UInt8], segmentSize: Int) {
        precondition(segmentSize > 0 || bytes.isEmpty, "packets have a length")
        self.bytes = bytes
        self.segmentSize = min(segmentSize, bytes.count)
        precondition(count <= Self.countLimit && bytes.count <= Self.byteLimit, "a batch has limits")
    }

    /// How many packets there are.
    package var count: Int { segmentSize == 0 ? 1 : (bytes.count + segmentSize - 1) / segmentSize }

    /// Where a packet stands in `bytes`.
    package func range(_ index: Int) -> Range<Int> {
        index * segmentSize..<min((index + 1) * segmentSize, bytes.count)
    }

    /// A copy of one packet.
    package subscript(index: Int) -> [UInt8] { count == 1 ? bytes : Array(bytes[range(index)]) }

    /// Copies of all packets, in order.
    package var packets: [[UInt8]] { (0..<count).map { self[$0] } }
}

/// Puts packets that come one after another into as few batches as they fit.
package struct PacketRun: Sendable {
    private(set) var batch: PacketBatch?
    private var isFull = false

    /// Makes an empty run.
    package init() {}

    /// Takes a packet; gives what is complete when it does not belong to it.
    package mutating func append(_ packet: RawSpan) -> PacketBatch? {
        let count = packet.byteCount
        if var open = batch, !isFull, count > 0, count <= open.segmentSize,
            open.bytes.count + count <= PacketBatch.byteLimit
        {
            batch = nil
            open.bytes.append(packet)
            isFull = count < open.segmentSize || open.count == PacketBatch.countLimit
            batch = open
            return nil
        }
        let complete = batch
        guard count <= PacketBatch.byteLimit else {
            batch = nil
            return complete
        }
        var bytes: [UInt8] = []
        // What follows is likely to be as long.
        bytes.reserveCapacity(min(count * 16, PacketBatch.byteLimit))
        bytes.append(packet)
        batch = PacketBatch(bytes)
        isFull = count == 0
        return complete
    }

    /// Gives what is left.
    package mutating func take() -> PacketBatch? {
        defer { batch = nil }
        return batch
    }
}
