// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditPlatform

/// Datagrams that leave together, each from and to whom it likes, with few system calls; used by one thread at a time.
package final class DatagramBatch {
    /// How many bytes are free in front of a datagram that came on a lane or was copied here, and behind it.
    package static let headroom = Int(ADIT_ROUND_HEADROOM)
    /// How many bytes of copies may leave together.
    private static let copiesByteCount = 512 * 1024
    /// How many datagrams may leave together.
    private static let answerLimit = 2048

    let round: OpaquePointer
    private let copies: UnsafeMutableRawBufferPointer
    private var used = 0
    private var answers: [adit_round_answer] = []
    private var sockets: [LaneSocket] = []
    private var dropped = 0

    /// Makes an empty one.
    package init() {
        guard let round = adit_round_create() else { preconditionFailure("memory for a round of datagrams") }
        self.round = round
        copies = .allocate(byteCount: Self.copiesByteCount, alignment: 64)
    }

    deinit {
        adit_round_destroy(round)
        copies.deallocate()
    }

    /// Whether it is time for `flush`: after less than this everything that is put has room.
    package var isFilled: Bool {
        answers.count >= Self.answerLimit / 2 || used >= Self.copiesByteCount / 2
    }

    /// A copy that stays until `flush`, with `headroom` in front of it and behind it; nil when there is no room for it.
    ///
    /// The range is the copy's in the buffer.
    package func copy(_ bytes: UnsafeRawBufferPointer) -> (buffer: UnsafeMutableRawBufferPointer, range: Range<Int>)? {
        let needed = bytes.count + 2 * Self.headroom
        guard Self.copiesByteCount - used >= needed else {
            dropped += 1
            return nil
        }
        let start = used + Self.headroom
        used += needed
        UnsafeMutableRawBufferPointer(rebasing: copies[start..<start + bytes.count]).copyMemory(from: bytes)
        return (copies, start..<start + bytes.count)
    }

    /// Puts a copy of a datagram behind the others that leave with `flush`.
    ///
    /// - Parameters:
    ///   - path: where to, and from which address of this machine where the socket is bound to all of them.
    ///   - socket: the socket that it leaves from.
    package func put(_ bytes: [UInt8], to path: DatagramPath, from socket: LaneSocket) {
        bytes.withUnsafeBytes { bytes in
            guard let copy = copy(bytes) else { return }
            put(UnsafeRawBufferPointer(rebasing: copy.buffer[copy.range]), to: path, from: socket)
        }
    }

    /// Puts a datagram behind the others; its bytes have to stay as they are until `flush`.
    package func put(_ bytes: UnsafeRawBufferPointer, to path: DatagramPath, from socket: LaneSocket) {
        guard answers.count < Self.answerLimit else {
            dropped += 1
            return
        }
        let place = Int32(answers.count)
        answers.append(
            adit_round_answer(
                peer: path.raw,
                bytes: bytes.baseAddress,
                length: UInt32(truncatingIfNeeded: bytes.count),
                next: -1
            )
        )
        if socket.lastAnswer >= 0 {
            answers[Int(socket.lastAnswer)].next = place
        } else {
            socket.firstAnswer = place
            sockets.append(socket)
        }
        socket.lastAnswer = place
    }

    /// Sends everything; gives how many datagrams were lost here, which the system did not take or which had no room.
    package func flush() -> Int {
        var lost = dropped
        for socket in sockets {
            let result = answers.withUnsafeBufferPointer { answers in
                adit_round_send(round, socket.descriptor, socket.family, answers.baseAddress, socket.firstAnswer)
            }
            lost += max(0, Int(result))
            socket.firstAnswer = -1
            socket.lastAnswer = -1
        }
        sockets.removeAll(keepingCapacity: true)
        answers.removeAll(keepingCapacity: true)
        used = 0
        dropped = 0
        return lost
    }
}
