// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import CAditPlatform
import Glibc
import NIOCore
import NIOPosix

/// Who answers the datagrams of a lane; called on the lane's thread alone.
package protocol DatagramAnswerer: AnyObject, Sendable {
    /// A datagram came on one of the lane's sockets; the bytes are only there during the call. At most one answer to it
    /// may be put into `answers`.
    func received(
        _ bytes: UnsafeRawBufferPointer,
        from path: DatagramPath,
        on socket: Int,
        answers: borrowing DatagramAnswers
    )

    /// Everything that had come was told; `lost` answers could not be sent.
    func endedRound(lost: Int)
}

/// UDP sockets whose datagrams are answered at once, on a thread of their own.
///
/// Each answer depends on its question alone, so there is nothing for an event loop to do: a wake-up receives up to 64
/// datagrams with one call and sends the answers with another. However many come, the sessions' event loops notice nothing
/// but a busier processor. What comes faster than it is answered is thrown away by the kernel.
package final class DatagramLane: Sendable {
    /// A socket of a lane.
    package struct Socket: Sendable, Hashable {
        /// The address that it is bound to; unspecified for every address of both families.
        package let address: IPAddress
        /// Its port.
        package let port: UInt16
        fileprivate let descriptor: CInt
        fileprivate let family: CInt
    }

    private static let stopToken = UInt64.max

    /// The sockets, in the order in which they were asked for.
    package let sockets: [Socket]
    private let epoll: CInt
    private let signal: CInt
    private let thread = NIOThreadPool(numberOfThreads: 1)

    /// Binds a socket to an address, or to every address of both families where the machine has both.
    ///
    /// - Throws: `IOError` of the system.
    package static func bind(_ address: IPAddress, port: UInt16) throws -> Socket {
        var family: CInt = 6
        var descriptor: CInt
        switch address.unmapped {
        case _ where address.isUnspecified:
            descriptor = adit_datagram_bind(0, 0, 0, port)
            if [-EAFNOSUPPORT, -EADDRNOTAVAIL, -EPROTONOSUPPORT].contains(descriptor) {
                family = 4
                descriptor = adit_datagram_bind(4, 0, 0, port)
            }
        case .v4(let number):
            family = 4
            descriptor = adit_datagram_bind(4, 0, UInt64(number), port)
        case .v6(let high, let low): descriptor = adit_datagram_bind(6, high, low, port)
        }
        guard descriptor >= 0 else { throw IOError(errnoCode: -descriptor, reason: "bind") }
        adit_round_prepare(descriptor)
        let bound = UInt16(clamping: adit_datagram_port(descriptor))
        return Socket(address: address, port: bound, descriptor: descriptor, family: family)
    }

    /// Closes a socket that was not given to a lane.
    package static func close(_ socket: Socket) {
        adit_close(socket.descriptor)
    }

    /// Begins to answer what comes on the sockets, which from now on belong to the lane.
    ///
    /// - Throws: `IOError` of the system; the sockets still belong to the caller then.
    package static func start(_ sockets: [Socket], name: String, answerer: any DatagramAnswerer) throws -> DatagramLane
    {
        let epoll = adit_epoll_create()
        let signal = epoll >= 0 ? adit_signal_create() : epoll
        var result = min(epoll, signal, 0)
        if result == 0 { result = adit_epoll_add_signal(epoll, signal, stopToken) }
        for (index, socket) in sockets.enumerated() where result == 0 {
            result = adit_epoll_add_signal(epoll, socket.descriptor, UInt64(index))
        }
        guard result == 0 else {
            for descriptor in [signal, epoll] where descriptor >= 0 { adit_close(descriptor) }
            throw IOError(errnoCode: -result, reason: "epoll")
        }
        let lane = DatagramLane(sockets, epoll: epoll, signal: signal)
        lane.thread.start()
        lane.thread.submit { _ in
            adit_prepare_thread(name)
            lane.run(answerer)
        }
        return lane
    }

    private init(_ sockets: [Socket], epoll: CInt, signal: CInt) {
        self.sockets = sockets
        self.epoll = epoll
        self.signal = signal
    }

    /// Closes the sockets and ends the thread; to be called once.
    package func stop() {
        adit_signal_raise(signal)
        thread.shutdownGracefully { _ in }
    }

    private func run(_ answerer: any DatagramAnswerer) {
        let round = DatagramRounds(sockets.count)
        withUnsafeTemporaryAllocation(of: adit_event.self, capacity: 16) { events in
            while true {
                let count = adit_epoll_wait(epoll, events.baseAddress, 16, -1)
                for index in 0..<max(0, Int(count)) {
                    if events[index].token == Self.stopToken { return }
                    serve(Int(events[index].token), round, answerer)
                }
            }
        }
        for socket in sockets { adit_close(socket.descriptor) }
        adit_close(signal)
        adit_close(epoll)
    }

    /// Answers what has come on one socket, so much that the others have their turn soon.
    private func serve(_ index: Int, _ round: DatagramRounds, _ answerer: any DatagramAnswerer) {
        for _ in 0..<8 {
            let count = adit_round_receive(
                sockets[index].descriptor,
                round.slab.baseAddress,
                round.received.baseAddress
            )
            guard count > 0 else { return }
            let answers = DatagramAnswers(round)
            for slot in 0..<Int(count) {
                let datagram = round.received[slot]
                guard datagram.length > 0 else { continue }
                let start = slot * ADIT_ROUND_SLOT_SIZE
                let bytes = UnsafeRawBufferPointer(rebasing: round.slab[start..<start + Int(datagram.length)])
                answerer.received(bytes, from: DatagramPath(datagram.peer), on: index, answers: answers)
            }
            var lost = 0
            for (index, socket) in sockets.enumerated() where !round.answers[index].isEmpty {
                let result = round.answers[index].withUnsafeBufferPointer { answers in
                    adit_round_send(socket.descriptor, socket.family, answers.baseAddress, answers.count)
                }
                lost += max(0, Int(result))
            }
            round.clear()
            answerer.endedRound(lost: lost)
            guard count == CInt(ADIT_ROUND_SLOTS) else { return }
        }
    }
}

/// Takes the answers of one round.
package struct DatagramAnswers: ~Copyable {
    private let round: DatagramRounds

    fileprivate init(_ round: DatagramRounds) {
        self.round = round
    }

    /// Puts a datagram behind the others that leave at the end of the round; it has at most 2048 bytes.
    ///
    /// - Parameters:
    ///   - path: where to, and from which address of this machine where the socket is bound to all of them.
    ///   - socket: the number of the socket that it leaves from.
    package func put(_ bytes: [UInt8], to path: DatagramPath, from socket: Int) {
        round.put(bytes, path.raw, socket)
    }
}

/// What one thread receives into and sends from.
private final class DatagramRounds {
    let slab = UnsafeMutableRawBufferPointer.allocate(
        byteCount: ADIT_ROUND_SLOTS * ADIT_ROUND_SLOT_SIZE,
        alignment: 64
    )
    let received = UnsafeMutableBufferPointer<adit_datagram>.allocate(capacity: ADIT_ROUND_SLOTS)
    private let outgoing = UnsafeMutableRawBufferPointer.allocate(
        byteCount: ADIT_ROUND_SLOTS * ADIT_ROUND_SLOT_SIZE,
        alignment: 64
    )
    private var used = 0
    var answers: [[adit_round_answer]]

    init(_ socketCount: Int) {
        received.initialize(repeating: adit_datagram())
        answers = Array(repeating: [], count: socketCount)
        for index in answers.indices { answers[index].reserveCapacity(ADIT_ROUND_SLOTS) }
    }

    deinit {
        slab.deallocate()
        received.deallocate()
        outgoing.deallocate()
    }

    func put(_ bytes: [UInt8], _ peer: adit_datagram_peer, _ socket: Int) {
        precondition(bytes.count <= ADIT_ROUND_SLOT_SIZE, "an answer fits into its place")
        guard used < ADIT_ROUND_SLOTS else { return }
        let place = UnsafeMutableRawBufferPointer(rebasing: outgoing[(used * ADIT_ROUND_SLOT_SIZE)...])
        bytes.withUnsafeBytes { place.copyMemory(from: $0) }
        used += 1
        answers[socket].append(
            adit_round_answer(peer: peer, bytes: UnsafeRawPointer(place.baseAddress), length: UInt32(bytes.count))
        )
    }

    func clear() {
        used = 0
        for index in answers.indices { answers[index].removeAll(keepingCapacity: true) }
    }
}
