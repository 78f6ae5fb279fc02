// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import CAditPlatform

/// The place into which the UDP sockets of a driver receive, one after another: 256 sockets need it once.
final class ProbeSlab {
    private let places: UnsafeMutableRawBufferPointer
    private let received: UnsafeMutableBufferPointer<adit_datagram>

    init() {
        // The kernel gives a page of it only when a datagram reaches so far.
        places = .allocate(byteCount: ADIT_PROBE_SLOTS * ADIT_PROBE_SLOT_SIZE, alignment: 16)
        received = .allocate(capacity: ADIT_PROBE_SLOTS)
        received.initialize(repeating: adit_datagram())
    }

    deinit {
        received.deallocate()
        places.deallocate()
    }

    /// Receives what waits at a socket, at most `ADIT_PROBE_SLOTS` datagrams; their number.
    func receive(_ descriptor: CInt, _ take: ([UInt8], IPEndpoint) -> Void) -> Int {
        let count = max(0, Int(adit_probe_receive(descriptor, places.baseAddress, received.baseAddress)))
        for slot in 0..<count {
            let start = slot * ADIT_PROBE_SLOT_SIZE
            let bytes = places[start..<start + Int(received[slot].length)]
            take([UInt8](UnsafeRawBufferPointer(rebasing: bytes)), DatagramPath(received[slot].peer).endpoint)
        }
        return count
    }
}
