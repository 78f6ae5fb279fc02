// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTraversal
package import NIOCore

extension ByteBuffer {
    /// Writes packets, each behind its length in two bytes (RFC 4571).
    package mutating func writeFrames(_ batch: PacketBatch) {
        for index in 0..<batch.count {
            let range = batch.range(index)
            writeInteger(UInt16(range.count))
            writeBytes(batch.bytes[range])
        }
    }
}
