// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTraversal
package import NIOCore

/// Writes packets for a TCP connection, each behind its length (RFC 4571).
///
/// It is the same memory again as soon as it is sent: what the processor has in its cache costs half.
package struct PacketFrameWriter {
    private var buffer = ByteBuffer()
    /// What is smaller has memory of its own, and this one's is given back: no bulk goes this way now.
    private static let leastByteCount = 16 * 1024

    /// Makes a writer without memory.
    package init() {}

    /// Packets as they go over the connection.
    package mutating func frames(of batch: PacketBatch) -> ByteBuffer {
        let count = PacketFrames.byteCount(batch)
        // Another memory, while the last one waits to be sent.
        buffer.clear(minimumCapacity: count)
        for index in 0..<batch.count {
            let range = batch.range(index)
            buffer.writeInteger(UInt16(range.count))
            buffer.writeBytes(batch.bytes[range])
        }
        defer { if count < Self.leastByteCount { buffer = ByteBuffer() } }
        return buffer
    }
}
