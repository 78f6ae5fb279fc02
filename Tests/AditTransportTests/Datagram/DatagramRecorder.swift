// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore

/// A datagram as a test sees it.
struct SeenDatagram: Sendable, Equatable {
    var visitor: IPEndpoint
    var payload: [UInt8]
}

/// Keeps what a link brings, and sends it back when it is told to.
final class DatagramRecorder: DatagramLinkDelegate {
    private(set) var datagrams: [SeenDatagram] = []
    private(set) var rounds = 0
    private(set) var writableCount = 0
    private(set) var closings: [String] = []
    /// The link to which everything is sent back.
    var echo: DatagramLink?
    /// Called with everything that came, after each round.
    var onRound: (([SeenDatagram]) -> Void)?

    func received(_ payload: UnsafeRawBufferPointer, visitor: IPEndpoint) {
        datagrams.append(SeenDatagram(visitor: visitor, payload: Array(payload)))
        _ = echo?.write(payload, visitor: visitor)
    }

    func linkEndedRound() {
        rounds += 1
        echo?.flush()
        onRound?(datagrams)
    }

    func linkBecameWritable() {
        writableCount += 1
    }

    func linkClosed(_ link: DatagramLink, because reason: String) {
        closings.append(reason)
        echo = nil
    }
}
