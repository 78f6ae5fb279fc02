// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal
import CAditPlatform
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Who answers the datagrams of a lane; called on the lane's thread alone.
package protocol DatagramAnswerer: AnyObject, Sendable {
    /// Whether a round is wanted each second, though nothing may have come.
    var isTicking: Bool { get }

    /// A round begins: datagrams that came, ICMP errors, or nothing but time.
    func beganRound(_ batch: DatagramBatch)

    /// A datagram came. It lies in `buffer`, which may be written to `DatagramBatch.headroom` bytes around it, and stays
    /// until the end of the round; what is put into `batch` leaves then.
    func received(
        _ buffer: UnsafeMutableRawBufferPointer,
        _ datagram: Range<Int>,
        from path: DatagramPath,
        on socket: LaneSocket,
        batch: DatagramBatch
    )

    /// What a socket had sent met an ICMP error.
    func refused(_ refusal: SocketRefusal, on socket: LaneSocket, batch: DatagramBatch)

    /// Everything that had come was told; now it is sent.
    func decidedRound()

    /// Everything was sent; `lost` datagrams were not taken by the system.
    func endedRound(lost: Int)
}

extension DatagramAnswerer {
    package var isTicking: Bool { false }
    package func beganRound(_ batch: DatagramBatch) {}
    package func refused(_ refusal: SocketRefusal, on socket: LaneSocket, batch: DatagramBatch) {}
    package func decidedRound() {}
}

/// UDP sockets whose datagrams are answered or sent on at once, on a thread of their own.
///
/// What becomes of a datagram depends on little, so there is nothing for an event loop to do: a wake-up receives up to 64
/// datagrams or runs of them (udp(7), UDP_GRO), of one socket with one call, and sends what they lead to with one call for
/// each socket. However many come, the sessions' event loops notice nothing but a busier processor. What comes faster than it
/// is answered is thrown away by the kernel.
package final class DatagramLane: Sendable {
    private struct Table {
        var sockets: [UInt64: LaneSocket] = [:]
        var count: UInt64 = 0
        var isStopped = false
    }

    private static let signalToken = UInt64.max
    private static let refusalLimit = 16
    private static let slotCount = Int(ADIT_ROUND_SLOTS)

    private let table = NIOLockedValueBox(Table())
    private let epoll: CInt
    private let signal: CInt
    private let thread = NIOThreadPool(numberOfThreads: 1)

    /// Binds a socket to an address, or to every address of both families where the machine has both.
    ///
    /// - Throws: `IOError` of the system.
    package static func bind(_ address: IPAddress, port: UInt16) throws -> LaneSocket {
        try LaneSocket.bind(address, port: port, tag: 0)
    }

    /// Closes a socket that was not given to a lane.
    package static func close(_ socket: LaneSocket) {
        socket.close()
    }

    /// Begins to answer what comes on the sockets, which from now on belong to the lane.
    ///
    /// - Throws: `IOError` of the system; the sockets still belong to the caller then.
    package static func start(
        _ sockets: [LaneSocket],
        name: String,
        answerer: any DatagramAnswerer
    ) throws -> DatagramLane {
        let epoll = adit_epoll_create()
        let signal = epoll >= 0 ? adit_signal_create() : epoll
        let result = min(epoll, signal, 0)
        let lane = DatagramLane(epoll: epoll, signal: signal)
        do {
            guard result == 0 else { throw IOError(errnoCode: -result, reason: "epoll") }
            let added = adit_epoll_add_signal(epoll, signal, signalToken)
            guard added == 0 else { throw IOError(errnoCode: -added, reason: "epoll_ctl") }
            for socket in sockets { try lane.add(socket) }
        } catch {
            for descriptor in [signal, epoll] where descriptor >= 0 { adit_close(descriptor) }
            throw error
        }
        lane.thread.start()
        lane.thread.submit { _ in
            adit_prepare_thread(name)
            lane.run(answerer, closing: sockets)
        }
        return lane
    }

    private init(epoll: CInt, signal: CInt) {
        self.epoll = epoll
        self.signal = signal
    }

    /// Also answers what comes on this socket, until `remove`; from any thread.
    ///
    /// - Throws: `IOError` of the system.
    package func add(_ socket: LaneSocket) throws {
        try table.withLockedValue { table in
            guard !table.isStopped else { throw IOError(errnoCode: ESHUTDOWN, reason: "epoll_ctl") }
            let result = adit_epoll_add_signal(epoll, socket.descriptor, table.count)
            guard result == 0 else { throw IOError(errnoCode: -result, reason: "epoll_ctl") }
            table.sockets[table.count] = socket
            socket.token = table.count
            table.count += 1
        }
    }

    /// Lets go of a socket, which closes with the last reference to it; from any thread.
    package func remove(_ socket: LaneSocket) {
        table.withLockedValue { _ = $0.sockets.removeValue(forKey: socket.token) }
    }

    /// Has a round begin soon, though nothing may have come; from any thread.
    package func wake() {
        table.withLockedValue { if !$0.isStopped { adit_signal_raise(signal) } }
    }

    /// Closes the sockets and ends the thread.
    package func stop() {
        let wasStopped = table.withLockedValue { table in
            defer { table.isStopped = true }
            if !table.isStopped { adit_signal_raise(signal) }
            return table.isStopped
        }
        if !wasStopped { thread.shutdownGracefully { _ in } }
    }

    // MARK: Rounds

    /// What came and is not answered yet.
    private struct Catch {
        let batch = DatagramBatch()
        let slab: UnsafeMutableRawBufferPointer
        let received = UnsafeMutableBufferPointer<adit_datagram>.allocate(capacity: slotCount)
        var owners: [LaneSocket] = []
        var refusals: [(SocketRefusal, LaneSocket)] = []
        /// A round is due without any of them.
        var isDue = false

        init() {
            guard let start = adit_round_slab(batch.round) else { preconditionFailure("memory for datagrams") }
            slab = UnsafeMutableRawBufferPointer(start: start, count: slotCount * Int(ADIT_ROUND_SLOT_SIZE))
            received.initialize(repeating: adit_datagram())
            owners.reserveCapacity(slotCount)
        }
    }

    private func run(_ answerer: any DatagramAnswerer, closing sockets: [LaneSocket]) {
        var round = Catch()
        withUnsafeTemporaryAllocation(of: adit_event.self, capacity: Self.slotCount) { events in
            while true {
                let pause: CInt = answerer.isTicking ? 1000 : -1
                let count = adit_epoll_wait(epoll, events.baseAddress, CInt(Self.slotCount), pause)
                round.isDue = count == 0
                for index in 0..<max(0, Int(count)) {
                    if events[index].token == Self.signalToken {
                        guard !table.withLockedValue({ $0.isStopped }) else { return }
                        adit_signal_clear(signal)
                        round.isDue = true
                    } else {
                        receive(events[index], &round, answerer)
                    }
                }
                if round.isDue || !round.owners.isEmpty || !round.refusals.isEmpty { serve(&round, answerer) }
            }
        }
        for socket in sockets { socket.close() }
        table.withLockedValue { table in
            table.sockets = [:]
            adit_close(signal)
            adit_close(epoll)
        }
        round.received.deallocate()
    }

    /// Takes what has come on one socket, so much that the others have their turn soon.
    private func receive(_ event: adit_event, _ round: inout Catch, _ answerer: any DatagramAnswerer) {
        guard let socket = table.withLockedValue({ $0.sockets[event.token] }) else { return }
        if event.bits & UInt32(ADIT_EVENT_FAILED) != 0 {
            var raw = adit_probe_refusal()
            for _ in 0..<Self.refusalLimit {
                guard adit_probe_next_refusal(socket.descriptor, &raw) == 0 else { break }
                if let refusal = SocketRefusal(raw) { round.refusals.append((refusal, socket)) }
            }
        }
        let first = round.owners.count
        let count = adit_round_receive(
            round.batch.round,
            socket.descriptor,
            CInt(first),
            round.received.baseAddress
        )
        guard count > 0 else { return }
        for _ in 0..<count { round.owners.append(socket) }
        if round.owners.count == Self.slotCount { serve(&round, answerer) }
    }

    /// Has everything answered that came: at once, or bit by bit where it is much.
    private func serve(_ round: inout Catch, _ answerer: any DatagramAnswerer) {
        let batch = round.batch
        var slot = 0
        repeat {
            answerer.beganRound(batch)
            while slot < round.owners.count, !batch.isFilled {
                answer(slot, &round, answerer)
                slot += 1
            }
            if slot == round.owners.count {
                for (refusal, socket) in round.refusals { answerer.refused(refusal, on: socket, batch: batch) }
            }
            answerer.decidedRound()
            answerer.endedRound(lost: batch.flush())
        } while slot < round.owners.count
        round.owners.removeAll(keepingCapacity: true)
        round.refusals.removeAll(keepingCapacity: true)
        round.isDue = false
    }

    private func answer(_ slot: Int, _ round: inout Catch, _ answerer: any DatagramAnswerer) {
        let datagram = round.received[slot]
        let batch = round.batch
        let socket = round.owners[slot]
        let path = DatagramPath(datagram.peer)
        let start = slot * Int(ADIT_ROUND_SLOT_SIZE) + DatagramBatch.headroom
        let end = start + Int(datagram.length)
        guard datagram.segment > 0 else {
            guard datagram.length > 0 else { return }
            return answerer.received(round.slab, start..<end, from: path, on: socket, batch: batch)
        }
        for first in stride(from: start, to: end, by: Int(datagram.segment)) {
            // Around each of a run are the others.
            let part = round.slab[first..<min(first + Int(datagram.segment), end)]
            guard let copy = batch.copy(UnsafeRawBufferPointer(rebasing: part)) else { continue }
            answerer.received(copy.buffer, copy.range, from: path, on: socket, batch: batch)
        }
    }
}
