// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import CAditPlatform

/// The place into which the UDP sockets of a driver receive, one after another: 256 sockets need it once.
final class ProbeSlab {
    /// Whether the system may put datagrams of one sender together.
    let takesRuns: Bool

    private let slotSize: Int
    private let places: UnsafeMutableRawBufferPointer
    private let received: UnsafeMutableBufferPointer<adit_datagram>

    init(takesRuns: Bool) {
        self.takesRuns = takesRuns
        slotSize = takesRuns ? ADIT_PROBE_RUN_SIZE : ADIT_PROBE_SLOT_SIZE
        // The kernel gives a page of it only when a datagram reaches so far.
        places = .allocate(byteCount: ADIT_PROBE_SLOTS * slotSize, alignment: 16)
        received = .allocate(capacity: ADIT_PROBE_SLOTS)
        received.initialize(repeating: adit_datagram())
    }

    deinit {
        received.deallocate()
        places.deallocate()
    }

    /// Receives what waits at a socket, and fills at most `ADIT_PROBE_SLOTS` places; how many it filled.
    func receive(_ descriptor: CInt, _ take: (PacketBatch, IPEndpoint) -> Void) -> Int {
        let count = max(0, Int(adit_probe_receive(descriptor, places.baseAddress, slotSize, received.baseAddress)))
        for slot in 0..<count {
            let start = slot * slotSize
            let length = Int(received[slot].length)
            let segment = Int(received[slot].segment)
            let source = DatagramPath(received[slot].peer).endpoint
            // The kernel's own limits are those of a batch, save for a few bytes over IPv6.
            let step =
                segment == 0 ? length : segment * max(1, min(PacketBatch.countLimit, PacketBatch.byteLimit / segment))
            var offset = 0
            repeat {
                let end = min(offset + step, length)
                let bytes = [UInt8](UnsafeRawBufferPointer(rebasing: places[start + offset..<start + end]))
                let isRun = segment > 0 && end - offset > segment
                take(isRun ? PacketBatch(bytes: bytes, segmentSize: segment) : PacketBatch(bytes), source)
                offset = end
            } while offset < length
        }
        return count
    }
}
