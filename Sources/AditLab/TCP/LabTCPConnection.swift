// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// What happened on a TCP connection.
package enum LabTCPEvent: Sendable, Equatable {
    /// The handshake is done.
    case connected
    /// Bytes came.
    case bytes([UInt8])
    /// `finished`: the other side has sent everything, and may still be written to. Otherwise it is no more.
    case ended(SocketEnd)
}

/// Why a socket could not be had.
package struct LabSocketFailure: Error, Sendable, Hashable {
    /// As a machine is told.
    package var end: SocketEnd

    /// Makes it from what a machine is told.
    package init(end: SocketEnd) {
        self.end = end
    }
}

/// One end of a TCP connection (RFC 9293).
package final class LabTCPConnection: LabTimed {
    /// The states that matter here; closing is told by the FINs.
    enum State {
        case synSent, synReceived, established, timeWait, closed
    }

    /// This end.
    package let local: IPEndpoint
    /// The other end.
    package let remote: IPEndpoint
    /// Called with what happens.
    package var onEvent: ((LabTCPEvent) -> Void)?
    /// Whether the handshake is done and the connection is not over.
    package var isConnected: Bool { state == .established }
    /// How many segments were sent again.
    package private(set) var retransmissionCount = 0

    var state: State
    weak var listener: LabTCPListener?
    /// Whether its listener has yet to hand it out.
    private var isWaiting: Bool
    unowned let host: LabHost

    var send: TCPSendQueue
    var receive: TCPReceiveQueue
    private var isFinished = false
    private var isAbandoned = false
    private var retries = 0
    private var timeout = Duration.seconds(1)

    init(local: IPEndpoint, remote: IPEndpoint, host: LabHost, answering segment: LabSegment?) {
        self.local = local
        self.remote = remote
        self.host = host
        let first = UInt32(truncatingIfNeeded: host.random.next())
        send = TCPSendQueue(first: first, maximumSize: host.maximumSegmentSize(to: remote.address))
        receive = TCPReceiveQueue(next: (segment?.sequence ?? 0) &+ 1)
        state = segment == nil ? .synSent : .synReceived
        isWaiting = segment != nil
        super.init()
        if let size = segment?.maximumSize { send.maximumSize = min(send.maximumSize, Int(size)) }
    }

    /// Sends the first SYN or SYN-ACK.
    func start() {
        sendSYN()
        restartTimer()
    }

    // MARK: The user's side

    /// Sends bytes; ignored after `close`.
    package func write(_ bytes: [UInt8]) {
        guard !send.finIsQueued, state != .closed, state != .timeWait else { return }
        send.append(bytes)
        if state == .established { pump() }
    }

    /// Sends bytes, all of them, or none when too many wait to be sent.
    package func offer(_ bytes: [UInt8]) {
        if send.waitingCount + bytes.count <= Self.offerLimit { write(bytes) }
    }

    private static let offerLimit = 256 * 1024

    /// Sends what waits, then FIN; nothing is reported any more.
    ///
    /// A connect that is still under way is given up without a word.
    package func close() {
        isAbandoned = true
        onEvent = nil
        if state == .synSent { vanish() } else { finish() }
    }

    /// Sends what waits, then FIN, and goes on receiving.
    package func finish() {
        switch state {
        case .synSent, .synReceived, .established:
            send.finIsQueued = true
            if state == .established { pump() }
            settle()
        case .timeWait, .closed: break
        }
    }

    /// Sends RST; nothing is reported any more.
    package func abort() {
        onEvent = nil
        if state == .synReceived || state == .established {
            emit(LabSegment(sequence: send.next, acknowledgment: receive.next, flags: [.rst, .ack]))
        }
        vanish()
    }

    // MARK: Segments

    func take(_ segment: LabSegment) {
        switch state {
        case .synSent: takeInSYNSent(segment)
        case .synReceived: takeInSYNReceived(segment)
        case .established: takeInEstablished(segment)
        case .timeWait: if segment.sequenceLength > 0, !segment.flags.contains(.rst) { acknowledge() }
        case .closed: break
        }
    }

    private func takeInSYNSent(_ segment: LabSegment) {
        let flags = segment.flags
        let acknowledges = flags.contains(.ack)
        if acknowledges, segment.acknowledgment != send.next {
            if !flags.contains(.rst) { emit(LabSegment(sequence: segment.acknowledgment, flags: .rst)) }
            return
        }
        if flags.contains(.rst) {
            if acknowledges { end(.refused) }
            return
        }
        guard flags.contains(.syn) else { return }
        receive = TCPReceiveQueue(next: segment.sequence &+ 1)
        if let size = segment.maximumSize { send.maximumSize = min(send.maximumSize, Int(size)) }
        if acknowledges {
            establish(acknowledgment: segment.acknowledgment)
            acknowledge()
            pump()
        } else {
            // Simultaneous open (RFC 9293 section 3.5, figure 8).
            state = .synReceived
            sendSYN()
        }
    }

    private func takeInSYNReceived(_ segment: LabSegment) {
        let flags = segment.flags
        if flags.contains(.rst) {
            guard segment.sequence == receive.next else { return }
            return end(.refused)
        }
        if flags.contains(.syn) {
            guard segment.sequence &+ 1 == receive.next else { return acknowledge() }
            if flags.contains(.ack), segment.acknowledgment == send.next {
                establish(acknowledgment: segment.acknowledgment)
                acknowledge()
                return pump()
            }
            return sendSYN()
        }
        guard flags.contains(.ack) else { return }
        guard segment.acknowledgment == send.next else {
            return emit(LabSegment(sequence: segment.acknowledgment, flags: .rst))
        }
        establish(acknowledgment: segment.acknowledgment)
        guard state == .established else { return }
        takeInEstablished(segment)
        if state == .established { pump() }
    }

    private func takeInEstablished(_ segment: LabSegment) {
        let flags = segment.flags
        if flags.contains(.rst) {
            // Only the exact number ends it (RFC 5961 section 3.2).
            if segment.sequence == receive.next { end(.reset) }
            return
        }
        if flags.contains(.syn) { return acknowledge() }
        if flags.contains(.ack) { takeAcknowledgment(segment) }
        guard state == .established, segment.sequenceLength > 0 else { return settle() }
        if isAbandoned, !segment.payload.isEmpty {
            // Nobody is left to read it.
            emit(LabSegment(sequence: send.next, acknowledgment: receive.next, flags: [.rst, .ack]))
            return vanish()
        }
        let bytes = receive.take(segment)
        acknowledge()
        if !bytes.isEmpty { onEvent?(.bytes(bytes)) }
        if receive.isFinished, !isFinished {
            isFinished = true
            onEvent?(.ended(.finished))
        }
        settle()
    }

    private func takeAcknowledgment(_ segment: LabSegment) {
        switch send.acknowledge(segment, at: host.lab.now) {
        case .nothing: break
        case .lost:
            retransmissionCount += 1
            emitData(send.firstUnacknowledged())
        case .progress(let sample):
            retries = 0
            timeout = sample ?? timeout
            restartTimer()
            pump()
        }
    }

    /// Ends what is over on both sides.
    private func settle() {
        guard state == .established, send.finIsAcknowledged else { return }
        if receive.isFinished {
            if send.finWasFirst {
                state = .timeWait
                host.lab.arm(self, at: host.lab.now + .seconds(60))
            } else {
                vanish()
            }
        } else if isAbandoned {
            host.lab.arm(self, at: host.lab.now + .seconds(60))
        }
    }

    private func establish(acknowledgment: UInt32) {
        state = .established
        send.established(acknowledgment)
        retries = 0
        timeout = .seconds(1)
        host.lab.arm(self, at: nil)
        guard isWaiting else {
            onEvent?(.connected)
            return
        }
        isWaiting = false
        if let listener { listener.accept(self) } else { abort() }
    }

    private func pump() {
        while state == .established, let segment = send.nextSegment(finAfterPeer: receive.isFinished, host.lab.now) {
            emitData(segment)
            if deadline == nil { restartTimer() }
        }
    }

    private func emitData(_ segment: LabSegment?) {
        guard var segment else { return }
        segment.acknowledgment = receive.next
        segment.flags.insert(.ack)
        emit(segment)
    }

    private func sendSYN() {
        let isAnswer = state == .synReceived
        emit(
            LabSegment(
                sequence: send.first,
                acknowledgment: isAnswer ? receive.next : 0,
                flags: isAnswer ? [.syn, .ack] : .syn,
                maximumSize: UInt16(clamping: send.maximumSize)
            )
        )
    }

    private func acknowledge() {
        emit(LabSegment(sequence: send.next, acknowledgment: receive.next, flags: .ack))
    }

    private func emit(_ segment: LabSegment) {
        host.output(segment, from: local, to: remote)
    }

    // MARK: Time

    override func fire() {
        switch state {
        case .timeWait, .closed: return vanish()
        case .synSent, .synReceived:
            let limit = state == .synSent ? host.synRetries : 5
            guard retries < limit else { return end(.timedOut) }
        case .established:
            guard send.hasUnacknowledged else { return vanish() }
            guard retries < 12 else { return end(.timedOut) }
        }
        retries += 1
        retransmissionCount += 1
        timeout = min(timeout * 2, .seconds(120))
        if state == .established {
            send.timedOut()
            emitData(send.firstUnacknowledged())
        } else {
            sendSYN()
        }
        host.lab.arm(self, at: host.lab.now + timeout)
    }

    private func restartTimer() {
        let isDue = state == .synSent || state == .synReceived || send.hasUnacknowledged
        host.lab.arm(self, at: isDue ? host.lab.now + timeout : nil)
    }

    // MARK: Errors

    func take(_ error: LabICMPError) {
        if case .tooBig(let mtu) = error.kind {
            let header = error.isIPv6 ? 60 : 40
            guard state == .established, mtu > header, Int(mtu) - header < send.maximumSize else { return }
            send.shrink(to: Int(mtu) - header)
            return pump()
        }
        guard state == .synSent, error.sequence == send.first else { return }
        end(error.kind == .portUnreachable ? .refused : .unreachable)
    }

    private func end(_ end: SocketEnd) {
        let event = onEvent
        vanish()
        event?(.ended(end))
    }

    /// Is no more, without a word to the other side.
    func vanish() {
        state = .closed
        onEvent = nil
        host.lab.timers.forget(self)
        host.tcp.remove(self)
    }
}
