// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTraversal

/// Gathers packets of one size, back to back in the memory of its owner, until another size or the limit ends the batch.
struct QUICBatch {
    private let memory: UnsafeMutablePointer<UInt8>
    private let packetSize: Int
    private var count = 0
    private var packets = 0
    private var segmentSize = 0

    init(_ memory: UnsafeMutablePointer<UInt8>, packetSize: Int) {
        self.memory = memory
        self.packetSize = packetSize
    }

    /// Where the next packet goes; a batch without room for it is emitted first.
    mutating func space(_ emit: (PacketBatch) -> Void) -> UnsafeMutablePointer<UInt8> {
        if count + packetSize > PacketBatch.byteLimit || packets == PacketBatch.countLimit { finish(emit) }
        return memory + count
    }

    /// A packet was written there.
    mutating func add(_ length: Int, _ emit: (PacketBatch) -> Void) {
        if packets > 0, length > segmentSize {
            // A larger one after the others begins a batch of its own.
            let start = count
            finish(emit)
            memory.update(from: memory + start, count: length)
        }
        if packets == 0 { segmentSize = length }
        count += length
        packets += 1
        // A smaller one is the last.
        if length < segmentSize { finish(emit) }
    }

    mutating func finish(_ emit: (PacketBatch) -> Void) {
        guard packets > 0 else { return }
        let bytes = [UInt8](UnsafeBufferPointer(start: memory, count: count))
        emit(PacketBatch(bytes: bytes, segmentSize: segmentSize))
        count = 0
        packets = 0
    }
}
