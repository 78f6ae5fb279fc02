// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditPlatform
import Glibc

/// What one thread of the forwarder does: waits for its sockets and moves what they bring.
///
/// epoll is edge-triggered, so each direction remembers whether reading and writing may still give something, and forgets
/// it only at EAGAIN. A read that does not fill its buffer has emptied the socket, unless the end of data is near.
final class SpliceLoop {
    static let signalToken = UInt64.max
    /// A read of this size is a short message; one that fills it is the beginning of more.
    private static let messageSize = 16 * 1024
    /// A read where no pipe is to be had.
    private static let copySize = 32 * 1024

    private enum Turn {
        case waiting
        case unfinished
        case failed(RelayOutcome.Side, CInt)
    }

    private let lane: SpliceLane
    private let limits: SpliceLimits
    private let scratch: UnsafeMutableRawBufferPointer
    private var pipes: SplicePipes
    private var slots: [SpliceConnection?] = []
    private var freeSlots: [Int] = []
    private var nextGeneration: UInt32 = 0
    private var queue: [SpliceConnection] = []
    private var round: [SpliceConnection] = []
    private var isStopped = false

    init(lane: SpliceLane, limits: SpliceLimits) {
        self.lane = lane
        self.limits = limits
        scratch = .allocate(byteCount: Self.copySize, alignment: 64)
        pipes = SplicePipes(maximumCount: limits.pipesPerThread)
    }

    deinit {
        scratch.deallocate()
    }

    func run() {
        withUnsafeTemporaryAllocation(of: adit_event.self, capacity: 256) { events in
            while !isStopped {
                let count = adit_epoll_wait(lane.epoll, events.baseAddress, 256, queue.isEmpty ? -1 : 0)
                for index in 0..<max(0, Int(count)) { note(events[index]) }
                runQueue()
            }
        }
        end()
    }

    // MARK: Events

    private func note(_ event: adit_event) {
        if event.token == Self.signalToken {
            for command in lane.collect() { perform(command) }
            return
        }
        // The generation tells an event of a socket that had the slot before.
        let slot = Int((event.token & 0xFFFF_FFFF) >> 1)
        guard slot < slots.count, let connection = slots[slot], connection.generation == UInt32(event.token >> 32)
        else { return }
        let isReadable = event.bits & UInt32(ADIT_EVENT_READABLE) != 0
        let isWritable = event.bits & UInt32(ADIT_EVENT_WRITABLE) != 0
        let isEnding = event.bits & UInt32(ADIT_EVENT_ENDING) != 0
        let hasFailed = event.bits & UInt32(ADIT_EVENT_FAILED) != 0
        if event.token & 1 == 0 {
            if isReadable { connection.forward.canRead = true }
            if isWritable { connection.backward.canWrite = true }
            if isEnding { connection.forward.isEnding = true }
            if hasFailed { connection.hasFirstFailed = true }
        } else {
            if isReadable { connection.backward.canRead = true }
            if isWritable { connection.forward.canWrite = true }
            if isEnding { connection.backward.isEnding = true }
            if hasFailed { connection.hasSecondFailed = true }
        }
        enqueue(connection)
    }

    private func perform(_ command: SpliceLane.Command) {
        switch command {
        case .join(let connection): begin(connection)
        case .abort(let connection): finish(connection, .reset, by: nil, isBroken: true)
        case .stop: isStopped = true
        }
    }

    private func begin(_ connection: SpliceConnection) {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
        } else {
            slot = slots.count
            slots.append(nil)
        }
        nextGeneration &+= 1
        connection.slot = slot
        connection.generation = nextGeneration
        slots[slot] = connection
        let token = UInt64(nextGeneration) << 32 | UInt64(slot) << 1
        for (socket, token) in [(connection.first, token), (connection.second, token | 1)] {
            let result = adit_epoll_add_socket(lane.epoll, socket, token)
            guard result == 0 else {
                finish(connection, .failed(Self.words(-result)), by: nil, isBroken: true)
                return
            }
        }
        // An edge that came before the registration is never told: look at once.
        enqueue(connection)
    }

    // MARK: Turns

    private func enqueue(_ connection: SpliceConnection) {
        guard !connection.isQueued, !connection.isOver else { return }
        connection.isQueued = true
        queue.append(connection)
    }

    /// Gives each connection in the queue one turn; those that have more to do wait for the next round.
    private func runQueue() {
        swap(&queue, &round)
        for connection in round {
            connection.isQueued = false
            guard !connection.isOver else { continue }
            takeTurn(connection)
        }
        round.removeAll(keepingCapacity: true)
    }

    private func takeTurn(_ connection: SpliceConnection) {
        let forward = pump(&connection.forward, from: .first, to: .second)
        if connection.forward.hasEnded, connection.endedBy == nil { connection.endedBy = .first }
        if case .failed(let side, let error) = forward { return fail(connection, side, error) }
        let backward = pump(&connection.backward, from: .second, to: .first)
        if connection.backward.hasEnded, connection.endedBy == nil { connection.endedBy = .second }
        if case .failed(let side, let error) = backward { return fail(connection, side, error) }
        tell(connection)
        if connection.forward.isFinished, connection.backward.isFinished {
            finish(connection, .finished, by: connection.endedBy, isBroken: false)
        } else if connection.hasFirstFailed || connection.hasSecondFailed, findFailure(connection) {
            return
        } else if case .unfinished = forward {
            enqueue(connection)
        } else if case .unfinished = backward {
            enqueue(connection)
        }
    }

    /// An error that neither direction ran into, because neither had anything to do at that socket.
    private func findFailure(_ connection: SpliceConnection) -> Bool {
        for side in [RelayOutcome.Side.first, .second] {
            guard side == .first ? connection.hasFirstFailed : connection.hasSecondFailed else { continue }
            let error = adit_take_error(side == .first ? connection.first : connection.second)
            if error != 0 {
                fail(connection, side, error)
                return true
            }
        }
        connection.hasFirstFailed = false
        connection.hasSecondFailed = false
        return false
    }

    /// Moves what can be moved in one direction, up to the limit of a turn.
    private func pump(
        _ direction: inout SpliceDirection,
        from source: RelayOutcome.Side,
        to sink: RelayOutcome.Side
    ) -> Turn {
        guard !direction.isFinished else { return .waiting }
        defer {
            if direction.bytesInPipe == 0, let pipe = direction.pipe {
                pipes.giveBack(pipe, isEmpty: true)
                direction.pipe = nil
            }
        }
        var budget = limits.bytesPerTurn
        while true {
            if direction.heldStart < direction.held.count || direction.bytesInPipe > 0 {
                guard direction.canWrite else { return .waiting }
                let sent = passOn(&direction)
                if sent == -Int(EAGAIN) {
                    direction.canWrite = false
                } else if sent <= 0 {
                    return .failed(sink, sent == 0 ? EPIPE : CInt(-sent))
                }
                continue
            }
            if direction.hasEnded {
                direction.isFinished = true
                let result = adit_end_output(direction.sink)
                // A sink that is not connected any more has had its own end.
                return result == 0 || result == -ENOTCONN ? .waiting : .failed(sink, -result)
            }
            // Nothing is read that cannot be written: the kernel's buffers are the only ones that fill.
            guard direction.canRead, direction.canWrite else { return .waiting }
            guard budget > 0 else { return .unfinished }
            let received = take(&direction)
            if received > 0 {
                direction.byteCount += Int64(received)
                budget -= received
            } else if received == 0 {
                direction.hasEnded = true
            } else if received == -Int(EAGAIN) {
                direction.canRead = false
            } else {
                return .failed(source, CInt(-received))
            }
        }
    }

    /// Sends what is on its way; gives how much, or a negative errno.
    private func passOn(_ direction: inout SpliceDirection) -> Int {
        if direction.heldStart < direction.held.count {
            let start = direction.heldStart
            let sink = direction.sink
            let sent = direction.held.withUnsafeBytes { bytes in
                adit_send(sink, bytes.baseAddress?.advanced(by: start), bytes.count - start)
            }
            if sent > 0 { direction.heldStart += sent }
            if direction.heldStart == direction.held.count {
                direction.held = []
                direction.heldStart = 0
            }
            return sent
        }
        guard let pipe = direction.pipe else { return 0 }
        let sent = adit_splice(pipe.output, direction.sink, direction.bytesInPipe)
        if sent > 0 { direction.bytesInPipe -= sent }
        return sent
    }

    /// Receives from the source and sends on or holds what came; gives how much, 0 at the end, or a negative errno.
    private func take(_ direction: inout SpliceDirection) -> Int {
        if direction.isBulk {
            if direction.pipe == nil { direction.pipe = pipes.take() }
            if let pipe = direction.pipe {
                let received = adit_splice(direction.source, pipe.input, SplicePipes.capacity)
                if received > 0 {
                    direction.bytesInPipe = received
                    direction.isBulk = received >= Self.messageSize
                }
                return received
            }
        }
        let size = direction.isBulk ? Self.copySize : Self.messageSize
        let received = adit_receive(direction.source, scratch.baseAddress, size)
        guard received > 0 else { return received }
        direction.isBulk = received == size
        if received < size, !direction.isEnding { direction.canRead = false }
        let sent = adit_send(direction.sink, scratch.baseAddress, received)
        if sent == received { return received }
        // Whatever kept the sink from taking it is found when it is tried again.
        let rest = scratch[max(0, sent)..<received]
        direction.held = [UInt8](rest)
        direction.heldStart = 0
        return received
    }

    // MARK: Ends

    private func tell(_ connection: SpliceConnection) {
        let fromFirst = connection.forward.byteCount - connection.forward.toldCount
        let fromSecond = connection.backward.byteCount - connection.backward.toldCount
        guard fromFirst > 0 || fromSecond > 0 else { return }
        connection.forward.toldCount += fromFirst
        connection.backward.toldCount += fromSecond
        connection.onBytes(Int(fromFirst), Int(fromSecond))
    }

    private func fail(_ connection: SpliceConnection, _ side: RelayOutcome.Side, _ error: CInt) {
        let end: RelayOutcome.End =
            error == ECONNRESET || error == EPIPE ? .reset : .failed(Self.words(error))
        finish(connection, end, by: side, isBroken: true)
    }

    private func finish(
        _ connection: SpliceConnection,
        _ end: RelayOutcome.End,
        by side: RelayOutcome.Side?,
        isBroken: Bool
    ) {
        guard !connection.isOver else { return }
        connection.isOver = true
        tell(connection)
        if let slot = connection.slot {
            slots[slot] = nil
            freeSlots.append(slot)
            connection.slot = nil
        }
        for pipe in [connection.forward.pipe, connection.backward.pipe] {
            if let pipe { pipes.giveBack(pipe, isEmpty: false) }
        }
        connection.forward.pipe = nil
        connection.backward.pipe = nil
        connection.forward.held = []
        connection.backward.held = []
        for socket in [connection.first, connection.second] {
            if isBroken { adit_close_with_reset(socket) } else { adit_close(socket) }
        }
        connection.onEnd(
            RelayOutcome(
                bytesFromFirst: connection.forward.byteCount,
                bytesFromSecond: connection.backward.byteCount,
                endedBy: side,
                end: end
            )
        )
    }

    private func end() {
        for connection in slots.compactMap({ $0 }) { finish(connection, .reset, by: nil, isBroken: true) }
        for case .join(let connection) in lane.close() { finish(connection, .reset, by: nil, isBroken: true) }
        pipes.closeAll()
    }

    private static func words(_ error: CInt) -> String {
        strerror(error).map { String(cString: $0) } ?? "error \(error)"
    }
}
