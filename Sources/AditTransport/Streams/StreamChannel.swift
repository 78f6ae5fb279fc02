// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTunnel
import DequeModule
package import NIOCore
import Synchronization

/// One of many streams that share a connection, yamux's or QUIC's, as a channel that carries `ByteBuffer`s.
///
/// The peer's end of data arrives as `ChannelEvent.inputClosed`; `close(mode: .output)` sends this end's after all writes.
/// `close()` ends the stream in order when everything was sent and read, else it resets it, as it does after
/// `ResetConnection`. Credit goes back to the peer only for bytes that the pipeline has read.
package final class StreamChannel: Channel, ChannelCore, @unchecked Sendable {
    // Unchecked: what other threads may ask is constant or atomic; everything else is touched on the event loop only.

    private struct PendingWrite {
        var buffer: ByteBuffer
        var promise: EventLoopPromise<Void>?
    }

    /// How many held bytes one `read()` passes on at most.
    private static let readBurst = 256 * 1024
    /// Up to so many held bytes share a buffer.
    private static let sharedBytes = 16 * 1024
    /// How many bytes one data frame carries at most, so that streams take turns.
    private static let frameBytes = 64 * 1024

    package let allocator = ByteBufferAllocator()
    package let eventLoop: any EventLoop
    package let parent: (any Channel)?
    package let closeFuture: EventLoopFuture<Void>
    /// The stream's id on its connection.
    package let streamID: Int64

    private let closePromise: EventLoopPromise<Void>
    private let activeFlag = Atomic<Bool>(false)
    private let writableFlag = Atomic<Bool>(true)
    private var ownPipeline: ChannelPipeline?
    private var carrier: (any StreamCarrier)?

    private var pendingWrites = Deque<PendingWrite>()
    private var pendingBytes = 0
    private var flushedWrites = 0
    private var flushedBytes = 0
    private var waterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 32 * 1024, high: 64 * 1024)
    private var isOutputClosing = false
    private var isOutputEnded = false
    private var outputClosePromise: EventLoopPromise<Void>?
    /// Why the peer takes no more, although it may send; nil while it does.
    private var refusal: (any Error)?

    private var heldReads = Deque<ByteBuffer>()
    private var unreportedBytes = 0
    private var isReadPending = false
    private var isDelivering = false
    private var isEndReceived = false
    private var isInputEnded = false
    private var autoRead = true
    private var allowsRemoteHalfClosure = true

    private var isClosed = false
    private var isResetWanted = false

    /// Whether the stream waits in the carrier's line of streams that have something to send.
    var isInLine = false
    /// Whether the stream takes part in the carrier's current round of reads.
    var isTouched = false
    /// Whether the pipeline was given bytes whose round of reads is not complete.
    private var isInRound = false
    /// Whether the pipeline may write again, and is told so when the round of reads is complete.
    private var isWritabilityHeld = false

    /// Makes a stream; `connection` is the channel below it, where there is one.
    init(streamID: Int64, carrier: any StreamCarrier, connection: (any Channel)?, on eventLoop: any EventLoop) {
        self.streamID = streamID
        self.carrier = carrier
        parent = connection
        self.eventLoop = eventLoop
        closePromise = eventLoop.makePromise()
        closeFuture = closePromise.futureResult
        ownPipeline = ChannelPipeline(channel: self)
    }

    // MARK: Channel

    package var pipeline: ChannelPipeline {
        guard let ownPipeline else { preconditionFailure("the pipeline is made in the initializer") }
        return ownPipeline
    }

    package var localAddress: SocketAddress? { parent?.localAddress }
    package var remoteAddress: SocketAddress? { parent?.remoteAddress }
    package var isActive: Bool { activeFlag.load(ordering: .relaxed) }
    package var isWritable: Bool { writableFlag.load(ordering: .relaxed) }
    package var _channelCore: any ChannelCore { self }
    package var syncOptions: (any NIOSynchronousChannelOptions)? { StreamChannelOptions(channel: self) }

    package func setOption<Option: ChannelOption>(_ option: Option, value: Option.Value) -> EventLoopFuture<Void> {
        if eventLoop.inEventLoop {
            return eventLoop.makeCompletedFuture { try setOption0(option, value: value) }
        }
        return eventLoop.submit { try self.setOption0(option, value: value) }
    }

    package func getOption<Option: ChannelOption>(_ option: Option) -> EventLoopFuture<Option.Value> {
        if eventLoop.inEventLoop {
            return eventLoop.makeCompletedFuture { try getOption0(option) }
        }
        return eventLoop.submit { try self.getOption0(option) }
    }

    func setOption0<Option: ChannelOption>(_ option: Option, value: Option.Value) throws {
        eventLoop.preconditionInEventLoop()
        switch (option, value) {
        case (_ as ChannelOptions.Types.AutoReadOption, let value as Bool):
            let wasOn = autoRead
            autoRead = value
            if value, !wasOn, isActive { pipeline.syncOperations.read() }
        case (_ as ChannelOptions.Types.AllowRemoteHalfClosureOption, let value as Bool):
            allowsRemoteHalfClosure = value
        case (
            _ as ChannelOptions.Types.WriteBufferWaterMarkOption,
            let value as ChannelOptions.Types.WriteBufferWaterMark
        ):
            waterMark = value
            updateWritability()
        default:
            throw ChannelError.operationUnsupported
        }
    }

    func getOption0<Option: ChannelOption>(_ option: Option) throws -> Option.Value {
        eventLoop.preconditionInEventLoop()
        let value: Any? =
            switch option {
            case _ as ChannelOptions.Types.AutoReadOption: autoRead
            case _ as ChannelOptions.Types.AllowRemoteHalfClosureOption: allowsRemoteHalfClosure
            case _ as ChannelOptions.Types.WriteBufferWaterMarkOption: waterMark
            case _ as ChannelOptions.Types.BufferedWritableBytesOption: pendingBytes
            default: nil
            }
        guard let value = value as? Option.Value else { throw ChannelError.operationUnsupported }
        return value
    }

    // MARK: ChannelCore

    package func localAddress0() throws -> SocketAddress {
        guard let localAddress else { throw ChannelError.operationUnsupported }
        return localAddress
    }

    package func remoteAddress0() throws -> SocketAddress {
        guard let remoteAddress else { throw ChannelError.operationUnsupported }
        return remoteAddress
    }

    package func register0(promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }

    package func bind0(to: SocketAddress, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }

    package func connect0(to: SocketAddress, promise: EventLoopPromise<Void>?) {
        promise?.fail(ChannelError.operationUnsupported)
    }

    package func channelRead0(_ data: NIOAny) {}

    package func errorCaught0(error: any Error) {}

    package func triggerUserOutboundEvent0(_ event: Any, promise: EventLoopPromise<Void>?) {
        guard event is ResetConnection else {
            promise?.fail(ChannelError.operationUnsupported)
            return
        }
        isResetWanted = true
        promise?.succeed()
    }

    package func write0(_ data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !isClosed else {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        guard !isOutputClosing, refusal == nil else {
            promise?.fail(refusal ?? ChannelError.outputClosed)
            return
        }
        let buffer = unwrapData(data, as: ByteBuffer.self)
        pendingWrites.append(PendingWrite(buffer: buffer, promise: promise))
        pendingBytes += buffer.readableBytes
        if pendingBytes > waterMark.high { changeWritability(false) }
    }

    package func flush0() {
        guard !isClosed, flushedWrites < pendingWrites.count else { return }
        flushedWrites = pendingWrites.count
        flushedBytes = pendingBytes
        guard isActive else { return }
        carrier?.streamHasData(self)
        // What is left now waits for the peer's window or for the connection.
        if flushedBytes > 0 { changeWritability(false) }
    }

    package func read0() {
        guard isActive, !isClosed, !isInputEnded else { return }
        isReadPending = true
        deliverHeldReads()
    }

    package func close0(error: any Error, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard !isClosed else {
            promise?.fail(ChannelError.alreadyClosed)
            return
        }
        switch mode {
        case .all: closeByThisEnd(promise: promise)
        case .output: closeOutput(promise: promise)
        case .input: promise?.fail(ChannelError.operationUnsupported)
        }
    }

    // MARK: Sending

    /// Whether something can be sent but for the window and the connection.
    var hasFlushedData: Bool { flushedWrites > 0 || (isOutputClosing && !isOutputEnded) }

    /// Sends one data frame of what was flushed, and the end of data after the last; true when there is more to send now.
    func sendFrame() -> Bool {
        guard !isClosed, isActive, let carrier else { return false }
        let count = min(flushedBytes, Self.frameBytes, carrier.sendWindow(of: self))
        if count > 0 {
            sendData(count, through: carrier)
        } else {
            completeEmptyWrites()
        }
        if flushedWrites == 0, isOutputClosing {
            sendEnd(through: carrier)
            return false
        }
        updateWritability()
        return flushedBytes > 0 && carrier.sendWindow(of: self) > 0
    }

    private func sendData(_ count: Int, through carrier: any StreamCarrier) {
        var missing = count
        pendingBytes -= count
        flushedBytes -= count
        var promises: [EventLoopPromise<Void>] = []
        while missing > 0 || pendingWrites.first.map({ $0.buffer.readableBytes == 0 }) ?? false, flushedWrites > 0 {
            let available = pendingWrites[0].buffer.readableBytes
            if available > missing {
                if let slice = pendingWrites[0].buffer.readSlice(length: missing) { carrier.append(payload: slice) }
                missing = 0
                break
            }
            let write = pendingWrites.removeFirst()
            flushedWrites -= 1
            missing -= available
            if available > 0 { carrier.append(payload: write.buffer) }
            if let promise = write.promise { promises.append(promise) }
        }
        carrier.transmitData(count, on: self)
        for promise in promises { promise.succeed() }
    }

    private func completeEmptyWrites() {
        while flushedWrites > 0, pendingWrites[0].buffer.readableBytes == 0 {
            flushedWrites -= 1
            pendingWrites.removeFirst().promise?.succeed()
        }
    }

    private func closeOutput(promise: EventLoopPromise<Void>?) {
        guard !isOutputClosing else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        isOutputClosing = true
        outputClosePromise = promise
        flushedWrites = pendingWrites.count
        flushedBytes = pendingBytes
        if isActive { carrier?.streamHasData(self) }
    }

    private func sendEnd(through carrier: any StreamCarrier) {
        guard !isOutputEnded else { return }
        isOutputEnded = true
        carrier.finish(self)
        outputClosePromise?.succeed()
        outputClosePromise = nil
        pipeline.fireUserInboundEventTriggered(ChannelEvent.outputClosed)
        if isInputEnded, !isClosed { closeByThisEnd(promise: nil) }
    }

    private func updateWritability() {
        if pendingBytes > waterMark.high {
            changeWritability(false)
        } else if flushedBytes == 0, pendingBytes <= waterMark.low {
            changeWritability(true)
        }
    }

    private func changeWritability(_ isWritable: Bool) {
        // Amid a round of reads, handlers have written what they flush at its end. HTTP/2's takes it for granted that
        // nothing of that is left when it may write again, as with a socket.
        isWritabilityHeld = isWritable && isInRound
        if isWritabilityHeld { return }
        guard writableFlag.exchange(isWritable, ordering: .relaxed) != isWritable, isActive else { return }
        pipeline.syncOperations.fireChannelWritabilityChanged()
    }

    // MARK: Receiving

    /// Makes the channel active once its pipeline is ready.
    func activate() {
        guard !isClosed, !isActive else { return }
        activeFlag.store(true, ordering: .relaxed)
        pipeline.fireChannelRegistered()
        pipeline.fireChannelActive()
        if hasFlushedData, !isClosed { carrier?.streamHasData(self) }
        if autoRead, !isClosed { pipeline.syncOperations.read() }
    }

    /// Lets little be under way to this end: for data that is worth nothing when it is old.
    func keepShort() {
        carrier?.keepShort(self)
    }

    /// Takes bytes that arrived for the stream.
    func receive(_ buffer: ByteBuffer) {
        guard !isClosed else { return }
        guard isReadPending, !isDelivering, heldReads.isEmpty else { return hold(buffer) }
        carrier?.touch(self)
        unreportedBytes += buffer.readableBytes
        isInRound = true
        pipeline.syncOperations.fireChannelRead(NIOAny(buffer))
    }

    /// Keeps bytes until the pipeline asks for them. Small ones share a buffer: a window counts bytes, and a peer that sends
    /// one at a time must not make it cost a buffer for each.
    private func hold(_ buffer: ByteBuffer) {
        guard let last = heldReads.last, last.readableBytes + buffer.readableBytes <= Self.sharedBytes else {
            return heldReads.append(buffer)
        }
        heldReads[heldReads.count - 1].writeImmutableBuffer(buffer)
    }

    /// Notes that the peer sends no more.
    func receiveEnd() {
        guard !isClosed else { return }
        isEndReceived = true
        if isReadPending, !isDelivering, heldReads.isEmpty { carrier?.touch(self) }
    }

    /// Ends a round of reads: gives credit back and lets the pipeline ask for more.
    func completeReads() {
        guard !isClosed else { return }
        isReadPending = false
        reportConsumedBytes()
        pipeline.syncOperations.fireChannelReadComplete()
        isInRound = false
        if isWritabilityHeld, !isClosed { updateWritability() }
        if isEndReceived, heldReads.isEmpty, !isInputEnded, !isClosed { endInput() }
        if autoRead, !isClosed, !isInputEnded { pipeline.syncOperations.read() }
    }

    private func deliverHeldReads() {
        guard !isDelivering else { return }
        isDelivering = true
        defer { isDelivering = false }
        while isReadPending, !isClosed, !isTouched, !heldReads.isEmpty || (isEndReceived && !isInputEnded) {
            var burst = 0
            while burst < Self.readBurst, !isClosed, let buffer = heldReads.popFirst() {
                burst += buffer.readableBytes
                unreportedBytes += buffer.readableBytes
                isInRound = true
                pipeline.syncOperations.fireChannelRead(NIOAny(buffer))
            }
            completeReads()
        }
    }

    private func reportConsumedBytes() {
        guard unreportedBytes > 0 else { return }
        let count = unreportedBytes
        unreportedBytes = 0
        carrier?.consumed(count, of: self)
    }

    private func endInput() {
        isInputEnded = true
        guard allowsRemoteHalfClosure else {
            closeByThisEnd(promise: nil)
            return
        }
        pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        if let refusal { return breakOff(refusal) }
        if isOutputEnded, !isClosed { closeByThisEnd(promise: nil) }
    }

    // MARK: Closing

    private func closeByThisEnd(promise: EventLoopPromise<Void>?) {
        reportConsumedBytes()
        let isBroken = isResetWanted || pendingBytes > 0 || !heldReads.isEmpty || !isActive
        if isBroken { carrier?.reset(self) } else { carrier?.close(self) }
        end(ChannelError.ioOnClosedChannel, promise: promise)
    }

    /// The peer takes no more: what was written is lost, what it sent is still read.
    func refuseOutput(_ error: any Error) {
        guard !isClosed, !isOutputEnded, refusal == nil else { return }
        refusal = error
        let writes = pendingWrites
        pendingWrites = []
        pendingBytes = 0
        flushedBytes = 0
        flushedWrites = 0
        for write in writes { write.promise?.fail(error) }
        if isInputEnded { return breakOff(error) }
        changeWritability(false)
    }

    /// The stream is gone: the peer reset it, or the connection went away.
    func breakOff(_ error: any Error) {
        guard !isClosed else { return }
        let wasActive = isActive
        end(error, promise: nil) {
            if wasActive { self.pipeline.fireErrorCaught(error) }
        }
    }

    private func end(_ error: any Error, promise: EventLoopPromise<Void>?, beforeInactive: () -> Void = {}) {
        guard !isClosed else {
            promise?.succeed()
            return
        }
        isClosed = true
        carrier?.forget(self)
        carrier = nil
        let wasActive = activeFlag.exchange(false, ordering: .relaxed)
        let writes = pendingWrites
        pendingWrites = []
        pendingBytes = 0
        flushedBytes = 0
        flushedWrites = 0
        heldReads = []
        for write in writes { write.promise?.fail(error) }
        outputClosePromise?.fail(error)
        outputClosePromise = nil
        promise?.succeed()
        beforeInactive()
        if wasActive {
            pipeline.fireChannelInactive()
            pipeline.fireChannelUnregistered()
        }
        eventLoop.execute {
            self.removeHandlers(pipeline: self.pipeline)
            self.closePromise.succeed()
        }
    }
}
