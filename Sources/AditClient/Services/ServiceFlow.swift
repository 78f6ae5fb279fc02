// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore

/// One flow of datagrams at the service's end: a stream of a visitor, and a socket of its own that is connected to the target.
final class ServiceFlow: DatagramSocketDelegate {
    private let addresses: [IPEndpoint]
    private let idleTimeout: Duration
    private let eventLoop: any EventLoop
    private let tell: (Event) -> Void
    private var stream: FlowStreamHandler?
    private var socket: DatagramSocket?
    private var place = 0
    private var hasAnswered = false
    /// The datagram that is sent again when another address has its turn.
    private var unanswered: ByteBuffer?
    private var lastActivity: NIODeadline
    private var timer: Scheduled<Void>?
    private var sendDrops = 0
    private(set) var figures = ServiceFigures()
    private var isOver = false

    /// What happens to the flow.
    enum Event {
        /// Nobody listens at any address of the target.
        case refused
        /// The target sent its first datagram.
        case answered
        /// The flow is over.
        case ended
    }

    /// Makes a flow to the addresses of a target, of which there is at least one.
    init(
        to addresses: [IPEndpoint],
        idleTimeout: Duration,
        on eventLoop: any EventLoop,
        tell: @escaping (Event) -> Void
    ) {
        self.addresses = addresses
        self.idleTimeout = idleTimeout
        self.eventLoop = eventLoop
        self.tell = tell
        lastActivity = eventLoop.now
    }

    /// Opens the socket; false when the system has none for any of the addresses.
    func open() -> Bool {
        for place in addresses.indices where connect(place) { return true }
        return false
    }

    /// The handler of the visitor's stream, which is accepted already.
    func makeStream(_ connection: any PeerConnection) -> FlowStreamHandler {
        let made = FlowStreamHandler(connection, isAccepted: true) { [weak self] payload in
            self?.forward(payload)
        } closed: { [self] in
            end()
        }
        stream = made
        schedule()
        return made
    }

    /// Sends a datagram of the visitor to the target.
    func forward(_ payload: ByteBuffer) {
        guard !isOver else { return }
        lastActivity = eventLoop.now
        figures.datagramsIn += 1
        figures.bytesIn += UInt64(payload.readableBytes)
        if !hasAnswered, addresses.count > 1 { unanswered = payload }
        send(payload)
    }

    /// Ends the flow from this end.
    func end() {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        timer = nil
        countSocketDrops()
        socket?.close()
        socket = nil
        stream?.end()
        stream = nil
        tell(.ended)
    }

    private func send(_ payload: ByteBuffer) {
        guard let socket else {
            figures.drops += 1
            return
        }
        payload.withUnsafeReadableBytes { bytes in
            socket.send(bytes)
            socket.flush()
        }
        let drops = socket.sendDrops - sendDrops
        sendDrops += drops
        figures.drops += UInt64(drops)
    }

    private func connect(_ place: Int) -> Bool {
        guard let made = try? DatagramSocket.connect(to: addresses[place], on: eventLoop, delegate: self) else {
            return false
        }
        socket = made.socket
        sendDrops = 0
        self.place = place
        return true
    }

    private func countSocketDrops() {
        figures.drops += UInt64(socket?.takeKernelDrops() ?? 0)
    }

    private func schedule() {
        let due = lastActivity + TimeAmount(idleTimeout)
        timer = eventLoop.assumeIsolated().scheduleTask(deadline: due) { [self] in
            timer = nil
            guard !isOver else { return }
            if eventLoop.now >= lastActivity + TimeAmount(idleTimeout) { end() } else { schedule() }
        }
    }

    // MARK: The socket

    func received(_ payload: UnsafeRawBufferPointer, from path: DatagramPath) {
        guard !isOver else { return }
        lastActivity = eventLoop.now
        if !hasAnswered {
            hasAnswered = true
            unanswered = nil
            tell(.answered)
        }
        figures.datagramsOut += 1
        figures.bytesOut += UInt64(payload.count)
        if stream?.send(ByteBuffer(bytes: payload)) != true { figures.drops += 1 }
    }

    func endedRound() {}

    /// Nobody listens at this address: the next has its turn, and after the last the first again.
    func peerRefused() {
        guard !isOver else { return }
        let isLast = hasAnswered || place + 1 >= addresses.count
        if isLast {
            hasAnswered = false
            tell(.refused)
        }
        guard !hasAnswered, addresses.count > 1 else { return }
        let former = place
        // Called from within the socket that is given up.
        eventLoop.assumeIsolated().execute { [self] in
            guard !isOver, place == former else { return }
            countSocketDrops()
            let old = socket
            socket = nil
            old?.close()
            let next = isLast ? 0 : former + 1
            guard connect(next) || connect(0) else { return }
            // Each address gets it once; what comes later is the visitor's to send again.
            if !isLast, let again = unanswered { send(again) }
        }
    }

    func closed() {
        // One that was replaced is not the flow's any more.
        guard !isOver, socket?.isOpen == false else { return }
        end()
    }
}
