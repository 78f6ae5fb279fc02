// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditTraversal
import DequeModule
package import NIOCore

/// A QUIC connection on an event loop: its streams are channels, its packets go wherever the owner sends them.
///
/// Everything happens on the event loop. Without a way to the peer the owner calls `pause`: nothing is sent, nothing is lost and
/// no timer runs until `resume`.
package final class QUICPeerConnection: PeerConnection, StreamCarrier {
    /// What the owner hears and does.
    package struct Owner {
        /// Sends packets to the peer; they may be lost.
        package var send: (PacketBatch) -> Void
        /// How large packets may be on the way that they go now, in bytes.
        package var packetSize: () -> Int
        /// Both ends have proved their keys.
        package var established: () -> Void
        /// The peer opened a stream; throwing breaks it off.
        package var opened: (any Channel) throws -> Void
        /// The connection is over; it is told once, after all streams have been.
        package var ended: (QUICEnd) -> Void

        /// Makes an owner.
        package init(
            send: @escaping (PacketBatch) -> Void,
            packetSize: @escaping () -> Int = { QUICLimits().packetSize.first },
            established: @escaping () -> Void,
            opened: @escaping (any Channel) throws -> Void,
            ended: @escaping (QUICEnd) -> Void
        ) {
            self.send = send
            self.packetSize = packetSize
            self.established = established
            self.opened = opened
            self.ended = ended
        }
    }

    /// What counts as a stream's code when this end breaks it off.
    package static let resetCode: UInt64 = 1
    /// So many bytes of a stream wait in the connection; further ones wait in the stream's channel.
    private static let queueLimit = 256 * 1024
    /// So many datagrams wait for their stream.
    private static let earlyLimit = 32
    /// A stream id takes so many bytes before a datagram, at most.
    private static let idLength = 8

    package let eventLoop: any EventLoop
    private let connection: QUICConnection
    private var owner: Owner?
    private var streams: [Int64: StreamChannel] = [:]
    private var touched: [StreamChannel] = []
    private var pending: [ByteBuffer] = []
    private var waiting: [StreamChannel] = []
    /// Datagrams of streams that the peer has not opened yet.
    private var early: [(id: Int64, payload: ByteBuffer)] = []
    private var lastAccepted: Int64 = -1
    private var timer: (at: Instant, scheduled: Scheduled<Void>)?
    private var isFlushScheduled = false
    private var isBusy = false
    private var isPaused = false
    private var lastTime = Instant.zero

    /// Runs a connection; `write` what it has to say first follows at once.
    package init(_ connection: QUICConnection, on eventLoop: any EventLoop, owner: Owner) {
        self.connection = connection
        self.eventLoop = eventLoop
        self.owner = owner
    }

    /// Begins.
    package func start() {
        flush()
    }

    // MARK: What the owner does

    /// Whether packets are of this connection, by the first one.
    package func owns(_ batch: PacketBatch) -> Bool {
        connection.owns(batch.bytes[batch.range(0)])
    }

    /// Takes packets from the peer. What they bring is passed on at the end of the event loop's turn: all that a socket had
    /// is answered by one acknowledgement, and reaches each stream as one round of reads.
    package func receive(_ batch: PacketBatch) {
        guard owner != nil else { return }
        connection.receive(batch, at: now())
        scheduleFlush()
    }

    /// There is no way to the peer: time stands still for the connection.
    package func pause() {
        isPaused = true
        timer?.scheduled.cancel()
        timer = nil
    }

    /// There is a way again: what is overdue is done, and what waits is sent, at once.
    package func resume() {
        isPaused = false
        guard owner != nil else { return }
        due()
        hurry()
    }

    /// The way is another one: what was lost on the old one is found out now.
    package func hurry() {
        guard owner != nil, !isPaused else { return }
        connection.hurry(at: now())
        settle()
    }

    /// Closes the connection and breaks its streams off.
    package func close(code: UInt64 = 0) {
        guard owner != nil else { return }
        connection.close(code: code, at: now())
        settle()
    }

    /// Whether both ends have proved their keys, and it is not over.
    package var isEstablished: Bool { connection.isEstablished && connection.end == nil }

    /// How many streams are open.
    package var streamCount: Int { streams.count }

    /// What it measures.
    package var figures: QUICFigures { connection.figures }

    /// Sends something when nothing came for so long; nil for never.
    package func keepAlive(after time: Duration?) {
        connection.keepAlive(after: time)
        scheduleFlush()
    }

    // MARK: Streams

    package func openStream(_ initialize: @escaping (any Channel) throws -> Void) -> EventLoopFuture<any Channel> {
        guard owner != nil, connection.isEstablished else {
            return eventLoop.makeFailedFuture(QUICStreamError.connectionLost)
        }
        guard let id = connection.open() else { return eventLoop.makeFailedFuture(QUICStreamError.tooManyStreams) }
        let stream = StreamChannel(streamID: id, carrier: self, connection: nil, on: eventLoop)
        streams[id] = stream
        do {
            try initialize(stream)
        } catch {
            stream.close(promise: nil)
            return eventLoop.makeFailedFuture(error)
        }
        stream.activate()
        return eventLoop.makeSucceededFuture(stream)
    }

    package func exportKeyingMaterial(label: String) -> [UInt8]? { connection.exportKeyingMaterial(label: label) }

    private func accept(_ id: Int64) {
        lastAccepted = max(lastAccepted, id)
        let stream = StreamChannel(streamID: id, carrier: self, connection: nil, on: eventLoop)
        streams[id] = stream
        do {
            guard let owner else { throw QUICStreamError.connectionLost }
            try owner.opened(stream)
        } catch {
            return stream.close(promise: nil)
        }
        stream.activate()
    }

    // MARK: Datagrams

    package func sendDatagram(_ payload: ByteBuffer, of stream: any Channel) -> Bool {
        guard let stream = stream as? StreamChannel, streams[stream.streamID] === stream else { return false }
        var datagram = ByteBuffer()
        datagram.reserveCapacity(payload.readableBytes + Self.idLength)
        // Here either end's streams have datagrams, so it is not a quarter of the id that goes first, but the id.
        datagram.writeEncodedInteger(UInt64(stream.streamID), strategy: .quic)
        datagram.writeImmutableBuffer(payload)
        guard connection.sendDatagram(datagram) else { return false }
        scheduleFlush()
        return true
    }

    private func take(_ datagram: ByteBuffer) {
        var datagram = datagram
        guard let number = datagram.readEncodedInteger(as: UInt64.self, strategy: .quic) else { return }
        let id = Int64(clamping: number)
        if let stream = streams[id] { return deliver(datagram, to: stream) }
        // It may have overtaken its stream's first bytes.
        guard id > lastAccepted else { return }
        if early.count == Self.earlyLimit { early.removeFirst() }
        early.append((id, datagram))
    }

    private func deliver(_ datagram: ByteBuffer, to stream: StreamChannel) {
        guard stream.isActive else { return }
        stream.pipeline.fireUserInboundEventTriggered(QUICDatagram(payload: datagram))
    }

    /// Hands out what came before its stream.
    private func deliverEarly() {
        guard !early.isEmpty else { return }
        let waiting = early
        early = waiting.filter { $0.id > lastAccepted }
        for (id, datagram) in waiting {
            if let stream = streams[id] { deliver(datagram, to: stream) }
        }
    }

    // MARK: StreamCarrier

    func sendWindow(of stream: StreamChannel) -> Int {
        owner == nil ? 0 : max(0, Self.queueLimit - connection.unsentBytes(of: stream.streamID))
    }

    func streamHasData(_ stream: StreamChannel) {
        fill(stream)
        scheduleFlush()
    }

    /// Takes what a stream has to send, as far as there is room.
    private func fill(_ stream: StreamChannel) {
        while stream.sendFrame() {}
        guard stream.hasFlushedData, !stream.isInLine else { return }
        stream.isInLine = true
        waiting.append(stream)
    }

    func append(payload: ByteBuffer) { pending.append(payload) }

    func transmitData(_ count: Int, on stream: StreamChannel) {
        for buffer in pending { connection.send(buffer, on: stream.streamID) }
        pending.removeAll(keepingCapacity: true)
        scheduleFlush()
    }

    func finish(_ stream: StreamChannel) {
        connection.finish(stream.streamID)
        scheduleFlush()
    }

    func close(_ stream: StreamChannel) {
        connection.finish(stream.streamID)
        connection.stop(stream.streamID, code: 0)
        scheduleFlush()
    }

    func reset(_ stream: StreamChannel) {
        connection.reset(stream.streamID, code: Self.resetCode)
        connection.stop(stream.streamID, code: Self.resetCode)
        scheduleFlush()
    }

    func consumed(_ count: Int, of stream: StreamChannel) {
        connection.consumed(count, of: stream.streamID)
        scheduleFlush()
    }

    func keepShort(_ stream: StreamChannel) {}

    func touch(_ stream: StreamChannel) {
        guard !stream.isTouched else { return }
        stream.isTouched = true
        touched.append(stream)
    }

    func forget(_ stream: StreamChannel) {
        if streams[stream.streamID] === stream { streams[stream.streamID] = nil }
    }

    // MARK: Its turn

    /// Acts on what has happened, and sends.
    private func settle() {
        guard !isBusy else { return scheduleFlush() }
        isBusy = true
        while let event = connection.nextEvent() { handle(event) }
        deliverEarly()
        var index = 0
        while index < touched.count {
            let stream = touched[index]
            index += 1
            stream.isTouched = false
            stream.completeReads()
        }
        touched.removeAll(keepingCapacity: touched.count <= 256)
        isBusy = false
        flush()
    }

    private func handle(_ event: QUICConnection.Event) {
        switch event {
        case .established: owner?.established()
        case .opened(let id): accept(id)
        case .data(let id, let buffer, let isEnd):
            guard let stream = streams[id] else { return connection.consumed(buffer.readableBytes, of: id) }
            if buffer.readableBytes > 0 { stream.receive(buffer) }
            if isEnd { stream.receiveEnd() }
        case .reset(let id, let code):
            connection.reset(id, code: Self.resetCode)
            streams[id]?.breakOff(QUICStreamError.resetByPeer(code))
        case .stopped(let id):
            streams[id]?.refuseOutput(QUICStreamError.resetByPeer(Self.resetCode))
        case .closed(let id):
            // A stream that is over before this end's data has ended: the peer wanted no more.
            streams[id]?.refuseOutput(QUICStreamError.resetByPeer(Self.resetCode))
        case .streamsAllowed: break
        case .datagram(let datagram): take(datagram)
        case .ended(let end): finish(end)
        }
    }

    private func finish(_ end: QUICEnd) {
        guard let owner else { return }
        self.owner = nil
        timer?.scheduled.cancel()
        timer = nil
        if let farewell = connection.farewell { owner.send(farewell) }
        let open = streams.values
        streams = [:]
        waiting = []
        for stream in open { stream.breakOff(QUICStreamError.connectionLost) }
        owner.ended(end)
    }

    /// At the end of the event loop's turn, so that all streams that write in it share packets.
    private func scheduleFlush() {
        guard !isFlushScheduled, owner != nil else { return }
        isFlushScheduled = true
        eventLoop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.settle()
        }
    }

    private func flush() {
        guard let owner, !isPaused, !isBusy else { return }
        isBusy = true
        connection.packetSize = owner.packetSize()
        connection.write(at: now()) { owner.send($0) }
        isBusy = false
        // Streams that waited for room have it now.
        let streams = waiting
        waiting = []
        for stream in streams {
            stream.isInLine = false
            fill(stream)
        }
        if connection.hasEvents { return scheduleFlush() }
        schedule()
    }

    /// Keeps one timer that fires no later than the deadline; firing early costs less than moving it with each packet.
    private func schedule() {
        guard !isPaused, owner != nil, let deadline = connection.deadline else { return }
        if let timer, timer.at <= deadline { return }
        timer?.scheduled.cancel()
        // After a pause it may lie far back.
        let wait = max(deadline - now(), .zero)
        let at = eventLoop.now + .nanoseconds(wait.wholeNanoseconds)
        let scheduled = eventLoop.assumeIsolated().scheduleTask(deadline: at) {
            self.timer = nil
            self.due()
        }
        timer = (deadline, scheduled)
    }

    private func due() {
        guard owner != nil, !isPaused else { return }
        let now = now()
        guard let deadline = connection.deadline, deadline <= now else { return schedule() }
        connection.expire(at: now)
        settle()
    }

    private func now() -> Instant {
        let now = Instant(nanoseconds: Int64(clamping: eventLoop.now.uptimeNanoseconds))
        lastTime = max(lastTime, now)
        return lastTime
    }
}
