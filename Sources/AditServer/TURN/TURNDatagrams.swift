// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import AditTraversal

/// Gives the datagrams of a lane to the one whom they are for: STUN's, the relay's clients', and those of peers.
final class TURNDatagrams: DatagramAnswerer {
    private let stun: STUNDatagrams
    private let desk: TURNDesk

    init(_ stun: STUNDatagrams, _ desk: TURNDesk) {
        self.stun = stun
        self.desk = desk
    }

    var isTicking: Bool { desk.isTicking }

    func beganRound(_ batch: DatagramBatch) {
        desk.beganRound(batch)
    }

    func received(
        _ buffer: UnsafeMutableRawBufferPointer,
        _ datagram: Range<Int>,
        from path: DatagramPath,
        on socket: LaneSocket,
        batch: DatagramBatch
    ) {
        guard socket.tag == 0 else { return desk.receive(buffer, datagram, fromPeer: path, on: socket, batch) }
        switch TURNMessageKind(UnsafeRawBufferPointer(rebasing: buffer[datagram])) {
        case .binding: stun.received(buffer, datagram, from: path, on: socket, batch: batch)
        case .relayed: desk.receive(buffer, datagram, fromClient: path, on: socket, batch)
        }
    }

    func refused(_ refusal: SocketRefusal, on socket: LaneSocket, batch: DatagramBatch) {
        desk.refused(refusal, on: socket, batch)
    }

    func decidedRound() {
        desk.decidedRound()
    }

    func endedRound(lost: Int) {
        stun.endedRound(lost: 0)
        if lost > 0 { desk.lost(lost) }
    }
}

/// For whom a message of a client is.
enum TURNMessageKind {
    /// The STUN server, or nobody.
    case binding
    /// The relay.
    case relayed

    /// Looks at the first two bytes: ChannelData (RFC 8656 section 12.4), or a method of TURN (RFC 8656 section 17).
    init(_ message: UnsafeRawBufferPointer) {
        guard message.count >= 4 else {
            self = .binding
            return
        }
        switch (message[0], message[1] & 0xEF) {
        case (0x40...0x7F, _), (0, 3), (0, 4), (0, 6), (0, 8), (0, 9): self = .relayed
        default: self = .binding
        }
    }
}
