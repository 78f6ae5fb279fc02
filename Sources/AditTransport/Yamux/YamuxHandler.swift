// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditTunnel
import AditWire
import DequeModule
package import NIOCore

/// Carries many streams over one connection: the last handler of a connection (TCP, or TLS on it) that speaks yamux.
///
/// Each stream is a `Channel` of its own. All of it happens on the connection's event loop; other threads use
/// `multiplexer`. Payload is never copied but for short frames, which travel in one buffer with their header.
package final class YamuxHandler: ChannelDuplexHandler, StreamCarrier {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = Never
    package typealias OutboundIn = Never
    package typealias OutboundOut = ByteBuffer

    /// Payload up to this size is cheaper copied behind its header than sent as a buffer of its own.
    private static let copiedPayload = 2048
    /// How much may be handed to the connection before it is asked whether it takes more.
    private static let flushThreshold = 256 * 1024
    /// How long a finished session waits for its last bytes to leave and for the peer to close.
    private static let closePatience = TimeAmount.seconds(30)

    private let inboundStreamInitializer: (@Sendable (any Channel) -> EventLoopFuture<Void>)?
    private var session: YamuxSession
    private var context: ChannelHandlerContext?
    private var eventLoop: (any EventLoop)?
    private var isEnded = false

    private var streams: [UInt32: StreamChannel] = [:]
    private var line = Deque<StreamChannel>()
    private var touched: [StreamChannel] = []
    private var isPerforming = false
    private var isPumping = false
    private var isReading = false

    private var partialHeader = ByteBuffer()
    private var payloads = Deque<ByteBuffer>()
    private var gathered = ByteBuffer()
    private var unflushedBytes = 0
    private var isFlushScheduled = false

    private var timer: Scheduled<Void>?
    private var timerDeadline: Instant?

    /// Makes a handler; streams that the peer opens are prepared by `inboundStreamInitializer`, or refused without one.
    package init(
        role: YamuxRole,
        configuration: YamuxConfiguration = YamuxConfiguration(),
        inboundStreamInitializer: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil
    ) {
        self.inboundStreamInitializer = inboundStreamInitializer
        session = YamuxSession(role: role, configuration: configuration, at: .zero)
    }

    /// How many streams are open.
    package var activeStreamCount: Int { streams.count }

    /// The latest measured round trip; nil before the first.
    package var roundTripTime: Duration? { session.roundTripTime }

    /// A handle for other threads; valid once the handler is in a pipeline.
    package var multiplexer: YamuxMultiplexer {
        guard let context else { preconditionFailure("the handler is not in a pipeline") }
        return YamuxMultiplexer(connection: context.channel, handler: self)
    }

    /// Opens a stream; called on the event loop. See `YamuxMultiplexer.openStream`.
    package func openStream(
        initializer: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil
    ) -> EventLoopFuture<any Channel> {
        guard let eventLoop else { preconditionFailure("the handler is not in a pipeline") }
        let stream: StreamChannel
        do throws(YamuxStreamError) {
            stream = try makeStream()
        } catch {
            return eventLoop.makeFailedFuture(error)
        }
        guard let initializer else {
            stream.activate()
            return eventLoop.makeSucceededFuture(stream)
        }
        return initializer(stream).flatMapThrowing {
            stream.activate()
            guard stream.isActive else { throw YamuxStreamError.connectionLost }
            return stream
        }.flatMapErrorThrowing { error in
            stream.close(promise: nil)
            throw error
        }
    }

    /// Opens a stream whose only handler is `first`; called on the event loop.
    func openStream(_ first: any ChannelHandler) throws -> any Channel {
        let stream = try makeStream()
        do {
            try stream.pipeline.syncOperations.addHandler(first)
        } catch {
            stream.close(promise: nil)
            throw error
        }
        stream.activate()
        guard stream.isActive else { throw YamuxStreamError.connectionLost }
        return stream
    }

    private func makeStream() throws(YamuxStreamError) -> StreamChannel {
        guard let context, !isEnded, context.channel.isActive else { throw .connectionLost }
        let id: UInt32
        do {
            id = try session.open(at: now())
        } catch {
            throw error == .tooManyStreams ? .tooManyStreams : .goingAway
        }
        let stream = StreamChannel(
            streamID: Int64(id),
            carrier: self,
            connection: context.channel,
            on: context.eventLoop
        )
        streams[id] = stream
        performOutputs()
        return stream
    }

    /// Something has to come from the peer within this time, or the session fails; called on the event loop.
    package func check(within patience: Duration) {
        handle(.check(patience))
    }

    /// Says go-away, lets the open streams end, then closes the connection; called on the event loop.
    package func shutdown() {
        handle(.shutDown)
    }

    // MARK: ChannelHandler

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        eventLoop = context.eventLoop
        try? context.channel.syncOptions?.setOption(
            .writeBufferWaterMark,
            value: .init(low: Self.flushThreshold / 2, high: Self.flushThreshold)
        )
        try? context.channel.syncOptions?.setOption(.recvAllocator, value: RelaySocket.receiveBuffers)
        Self.limitUnsentBytes(of: context.channel)
        if context.channel.isActive { scheduleTimer() }
    }

    /// Keeps the kernel's queue of unsent bytes short, so that a ping or a short stream does not stand behind megabytes
    /// of a long one; bytes in flight are not limited.
    private static func limitUnsentBytes(of channel: any Channel) {
        guard let socket = channel as? any SocketOptionProvider else { return }
        #if os(Linux)
        let notSentLowWater = NIOBSDSocket.Option(rawValue: 25)
        #else
        let notSentLowWater = NIOBSDSocket.Option(rawValue: 0x201)
        #endif
        // A connection that is not TCP does without.
        _ = socket.unsafeSetSocketOption(level: .tcp, name: notSentLowWater, value: CInt(flushThreshold))
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        endSession(.connectionLost)
        self.context = nil
    }

    package func channelActive(context: ChannelHandlerContext) {
        scheduleTimer()
        context.fireChannelActive()
    }

    package func channelInactive(context: ChannelHandlerContext) {
        endSession(.connectionLost)
        context.fireChannelInactive()
    }

    package func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.fireErrorCaught(error)
        endSession(.connectionLost)
        context.close(promise: nil)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        // A connection that can only be written to is of no use to yamux.
        if case .some(.inputClosed) = event as? ChannelEvent { context.close(promise: nil) }
    }

    package func channelWritabilityChanged(context: ChannelHandlerContext) {
        handle(.writability(context.channel.isWritable))
        pump()
        context.fireChannelWritabilityChanged()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        var buffer = unwrapInboundIn(data)
        let now = now()
        while !isEnded {
            if session.payloadRemaining > 0 {
                guard receivePayload(&buffer, at: now) else { break }
            } else {
                guard receiveHeader(&buffer, at: now) else { break }
            }
        }
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        isReading = true
        var index = 0
        while index < touched.count {
            let stream = touched[index]
            index += 1
            stream.isTouched = false
            stream.completeReads()
        }
        touched.removeAll(keepingCapacity: touched.count <= 256)
        isReading = false
        pump()
        flushConnection()
        scheduleTimer()
        context.fireChannelReadComplete()
    }

    // MARK: Receiving

    private func receiveHeader(_ buffer: inout ByteBuffer, at now: Instant) -> Bool {
        if partialHeader.readableBytes > 0 || buffer.readableBytes < YamuxHeader.byteCount {
            let missing = min(YamuxHeader.byteCount - partialHeader.readableBytes, buffer.readableBytes)
            guard missing > 0, var slice = buffer.readSlice(length: missing) else { return false }
            partialHeader.writeBuffer(&slice)
            guard partialHeader.readableBytes == YamuxHeader.byteCount else { return false }
            handleHeader(&partialHeader, at: now)
            partialHeader.clear()
        } else {
            handleHeader(&buffer, at: now)
        }
        performOutputs()
        return true
    }

    private func handleHeader(_ buffer: inout ByteBuffer, at now: Instant) {
        guard let (first, id, length) = buffer.readMultipleIntegers(as: (UInt32, UInt32, UInt32).self) else { return }
        do {
            session.handle(.header(try YamuxHeader(first, id, length)), at: now)
        } catch {
            session.handle(.malformedHeader(error), at: now)
        }
    }

    private func receivePayload(_ buffer: inout ByteBuffer, at now: Instant) -> Bool {
        let count = min(session.payloadRemaining, buffer.readableBytes)
        guard count > 0, let slice = buffer.readSlice(length: count) else { return false }
        let stream = session.payloadStreamID.flatMap { streams[$0] }
        session.handle(.payload(count), at: now)
        stream?.receive(slice)
        performOutputs()
        return true
    }

    func touch(_ stream: StreamChannel) {
        guard !stream.isTouched else { return }
        stream.isTouched = true
        touched.append(stream)
    }

    // MARK: What streams ask for

    func sendWindow(of stream: StreamChannel) -> Int { session.sendWindow(of: stream.yamuxID) }

    func streamHasData(_ stream: StreamChannel) {
        if !stream.isInLine {
            stream.isInLine = true
            line.append(stream)
        }
        pump()
    }

    func append(payload: ByteBuffer) {
        payloads.append(payload)
    }

    func transmitData(_ count: Int, on stream: StreamChannel) { handle(.send(stream.yamuxID, count)) }

    func finish(_ stream: StreamChannel) { handle(.finish(stream.yamuxID)) }

    func close(_ stream: StreamChannel) { handle(.close(stream.yamuxID)) }

    func reset(_ stream: StreamChannel) { handle(.reset(stream.yamuxID)) }

    func consumed(_ count: Int, of stream: StreamChannel) { handle(.consumed(stream.yamuxID, count)) }

    func keepShort(_ stream: StreamChannel) { handle(.keepShort(stream.yamuxID)) }

    func forget(_ stream: StreamChannel) {
        if streams[stream.yamuxID] === stream { streams[stream.yamuxID] = nil }
    }

    /// Tells the session something that happened on this end.
    func handle(_ input: YamuxSession.Input) {
        guard !isEnded else { return }
        session.handle(input, at: now())
        performOutputs()
    }

    // MARK: Outputs

    private func performOutputs() {
        guard !isPerforming else { return }
        isPerforming = true
        while let output = session.nextOutput() { perform(output) }
        isPerforming = false
        if !line.isEmpty { pump() }
        if !isReading { scheduleFlush() }
    }

    private func perform(_ output: YamuxSession.Output) {
        switch output {
        case .transmit(let header): transmit(header)
        case .streamOpened(let id): acceptStream(id)
        case .windowOpened(let id):
            if let stream = streams[id], stream.hasFlushedData, !stream.isInLine {
                stream.isInLine = true
                line.append(stream)
            }
        case .streamFinished(let id): streams[id]?.receiveEnd()
        case .streamReset(let id, let cause):
            streams[id]?.breakOff(cause == .peer ? YamuxStreamError.resetByPeer : .resetLocally)
        case .roundTrip(let time): context?.fireUserInboundEventTriggered(YamuxEvent.roundTrip(time))
        case .peerGoingAway: context?.fireUserInboundEventTriggered(YamuxEvent.peerGoingAway)
        case .finished:
            endSession(.goingAway)
            context?.fireUserInboundEventTriggered(YamuxEvent.finished)
            closeInOrder()
        case .failed(let failure): failConnection(failure)
        }
    }

    private func failConnection(_ failure: YamuxFailure) {
        flushConnection()
        endSession(.connectionLost)
        guard let context else { return }
        context.fireUserInboundEventTriggered(YamuxEvent.failed(failure))
        switch failure {
        case .peerUnresponsive, .repliesNotTaken: ChannelReset.close(context.channel)
        default: context.close(promise: nil)
        }
    }

    /// Ends the connection without a reset, which would destroy what the peer has not read: sends everything, then the
    /// end of data, then waits for the peer's.
    private func closeInOrder() {
        guard let context else { return }
        writeGathered()
        unflushedBytes = 0
        let channel = context.channel
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.whenSuccess { channel.close(mode: .output, promise: nil) }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
        let giveUp = context.eventLoop.assumeIsolated().scheduleTask(in: Self.closePatience) {
            channel.close(promise: nil)
        }
        channel.closeFuture.whenComplete { _ in giveUp.cancel() }
    }

    private func acceptStream(_ id: UInt32) {
        guard let context, let inboundStreamInitializer else {
            session.handle(.reset(id), at: now())
            return
        }
        let stream = StreamChannel(
            streamID: Int64(id),
            carrier: self,
            connection: context.channel,
            on: context.eventLoop
        )
        streams[id] = stream
        inboundStreamInitializer(stream).assumeIsolated().whenComplete { result in
            switch result {
            case .success:
                guard self.streams[id] === stream else { return }
                self.handle(.accept(id))
                stream.activate()
            case .failure:
                stream.close(promise: nil)
            }
        }
    }

    private func transmit(_ header: YamuxHeader) {
        gathered.writeMultipleIntegers(header.firstWord, header.streamID, header.length)
        unflushedBytes += YamuxHeader.byteCount
        guard header.kind == .data else { return }
        var missing = Int(header.length)
        unflushedBytes += missing
        while missing > 0, let payload = payloads.popFirst() {
            missing -= payload.readableBytes
            if payload.readableBytes <= Self.copiedPayload {
                gathered.writeImmutableBuffer(payload)
            } else {
                writeGathered()
                context?.write(wrapOutboundOut(payload), promise: nil)
            }
        }
    }

    private func writeGathered() {
        guard gathered.readableBytes > 0 else { return }
        context?.write(wrapOutboundOut(gathered), promise: nil)
        gathered = ByteBuffer()
    }

    /// Lets the streams in the line send in turn, a frame each, for as long as the connection takes bytes.
    private func pump() {
        guard !isPumping, !isPerforming else { return }
        isPumping = true
        while !line.isEmpty, connectionTakesBytes(), let stream = line.popFirst() {
            stream.isInLine = false
            if stream.sendFrame(), !stream.isInLine {
                stream.isInLine = true
                line.append(stream)
            }
        }
        isPumping = false
        if !isReading { scheduleFlush() }
    }

    private func connectionTakesBytes() -> Bool {
        guard let context, !isEnded else { return false }
        if unflushedBytes >= Self.flushThreshold || !context.channel.isWritable { flushConnection() }
        return context.channel.isWritable
    }

    private func flushConnection() {
        guard unflushedBytes > 0, let context else { return }
        unflushedBytes = 0
        writeGathered()
        context.flush()
    }

    /// Flushes at the end of the event loop's turn, so that all streams that write in it share one flush.
    private func scheduleFlush() {
        guard unflushedBytes > 0, !isFlushScheduled, let context else { return }
        isFlushScheduled = true
        context.eventLoop.assumeIsolated().execute {
            self.isFlushScheduled = false
            self.flushConnection()
        }
    }

    // MARK: Time and the end

    private func now() -> Instant {
        Instant(nanoseconds: Int64(clamping: eventLoop?.now.uptimeNanoseconds ?? 0))
    }

    /// Keeps one timer that fires no later than the session's deadline; firing early costs less than moving it often.
    private func scheduleTimer() {
        guard let context, !isEnded, let deadline = session.nextDeadline else { return }
        if timer != nil, let timerDeadline, timerDeadline <= deadline { return }
        timer?.cancel()
        timerDeadline = deadline
        let at = NIODeadline.uptimeNanoseconds(UInt64(clamping: deadline.nanoseconds))
        timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: at) {
            self.timer = nil
            self.handle(.deadline)
            self.scheduleTimer()
        }
    }

    private func endSession(_ error: YamuxStreamError) {
        guard !isEnded else { return }
        isEnded = true
        timer?.cancel()
        timer = nil
        line.removeAll()
        payloads.removeAll()
        let remaining = streams
        streams = [:]
        for stream in remaining.values { stream.breakOff(error) }
    }
}

extension StreamChannel {
    /// A yamux stream id has 32 bits.
    fileprivate var yamuxID: UInt32 { UInt32(truncatingIfNeeded: streamID) }
}
