// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTraversal
import CAditQUIC

/// Packets of one size, back to back in memory, until another size or a limit ends the batch.
struct QUICBatch {
    private let memory: UnsafeMutablePointer<UInt8>
    private let byteLimit: Int
    private let packetSize: Int
    /// How many bytes there are.
    private(set) var count = 0
    /// How long a packet is, but the last; 0 while there is none.
    private(set) var segmentSize = 0
    /// The length of a packet behind the others, which is larger than they are and begins a batch of its own.
    private(set) var overhang = 0
    private var packets = 0
    private var isComplete = false

    /// Makes a batch of packets that are at most `packetSize` bytes long, in memory for `byteLimit`.
    init(_ memory: UnsafeMutablePointer<UInt8>, byteLimit: Int, packetSize: Int) {
        self.memory = memory
        self.byteLimit = byteLimit
        self.packetSize = packetSize
    }

    /// Where the next packet goes, or the overhang is.
    var space: UnsafeMutablePointer<UInt8> { memory + count }

    /// Whether the batch takes one more packet.
    var hasRoom: Bool { !isComplete && packets < PacketBatch.countLimit && byteLimit - count >= packetSize }

    /// What QUIC is given to write into.
    var run: adit_quic_run {
        var run = adit_quic_run()
        run.packets = space
        run.room = byteLimit - count
        run.limit = PacketBatch.countLimit - packets
        run.packet = segmentSize
        return run
    }

    /// Packets were written there.
    mutating func add(_ run: adit_quic_run) {
        add(run.length, count: run.count, packet: run.packet, last: run.last_packet)
    }

    /// Packets were written there: each `packet` bytes long, as those before them are, but the last.
    private mutating func add(_ length: Int, count: Int, packet: Int, last: Int) {
        guard length > 0 else { return }
        segmentSize = packet
        packets += count
        self.count += length
        if last > packet {
            packets -= 1
            self.count -= last
            overhang = last
        }
        // A smaller one is the last.
        isComplete = last != packet
    }

    /// A packet was written there.
    mutating func add(_ length: Int) {
        add(length, count: 1, packet: segmentSize == 0 ? length : segmentSize, last: length)
    }

    /// Begins with a packet that was behind another batch.
    mutating func begin(with packet: [UInt8]) {
        packet.withUnsafeBufferPointer {
            if let start = $0.baseAddress { memory.update(from: start, count: packet.count) }
        }
        add(packet.count)
    }
}
