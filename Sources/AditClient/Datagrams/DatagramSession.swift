// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore

/// One visitor's way to the target of its tunnel.
final class DatagramSession: DatagramSocketDelegate {
    /// The index of its flow.
    let index: Int
    let visitor: IPEndpoint
    /// The socket that is connected to the target; nil for a moment while it is replaced.
    var socket: DatagramSocket?
    /// Which of the target's addresses it is connected to.
    var place = 0
    /// Whether a datagram was sent to the target.
    var hasBegun = false
    /// Whether the target sent one.
    var hasAnswered = false
    /// Whether something waits for `flush`.
    var isTouched = false
    /// The datagram that is sent again when another address has its turn.
    var unanswered: ByteBuffer?
    /// How many of the socket's drops were counted.
    var sendDrops = 0

    /// How many of the socket's drops were not counted yet.
    var unseenSendDrops: Int { socket.map { $0.sendDrops - sendDrops } ?? 0 }

    private let service: DatagramService

    init(index: Int, visitor: IPEndpoint, service: DatagramService) {
        self.index = index
        self.visitor = visitor
        self.service = service
    }

    func received(_ payload: UnsafeRawBufferPointer, from path: DatagramPath) {
        service.reply(payload, of: self)
    }

    func endedRound() {
        service.endedRound()
    }

    func peerRefused() {
        service.refused(self)
    }

    func closed() {
        // One that was replaced, or closed by the service, is not the session's any more.
        guard socket?.isOpen == false else { return }
        service.closed(self)
    }
}
