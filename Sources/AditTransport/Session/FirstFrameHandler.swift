// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTunnel
import AditWire
import NIOCore

/// Reads the first frame of a connection or stream, then holds everything behind it until somebody takes over.
///
/// It asks for reads by itself, because an `EarlyDataHandler` behind it may be holding them back. Meanwhile `autoRead` is
/// off: only then does TLS read on by itself after bytes that carry no data, such as session tickets.
final class FirstFrameHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    /// Which framing the frame has.
    enum Framing {
        /// Wire v2 when its magic comes first, else wire v1.
        case either
        /// This version, without magic.
        case known(FRPWireVersion)
    }

    private enum State {
        case reading
        case holding
        case released
    }

    private let framing: Framing
    private let onFrame: (FRPFrame, FRPWireVersion, FirstFrameHandler) -> Void
    private let onEnd: (SessionEnd) -> Void
    private var context: ChannelHandlerContext?
    private var version: FRPWireVersion?
    private var state = State.reading
    private var buffer = ByteBuffer()
    private var isInputClosed = false
    private let wait: FirstFrameWait?
    private var isCounted = false

    /// Makes a handler.
    ///
    /// - Parameters:
    ///   - wait: bounds how long the frame may take; nil for ever.
    ///   - onFrame: takes the frame; calls `release` now or later.
    ///   - onEnd: the connection ended, or broke the protocol and was closed, before `release`.
    init(
        framing: Framing,
        wait: FirstFrameWait?,
        onFrame: @escaping (FRPFrame, FRPWireVersion, FirstFrameHandler) -> Void,
        onEnd: @escaping (SessionEnd) -> Void
    ) {
        self.framing = framing
        self.wait = wait
        self.onFrame = onFrame
        self.onEnd = onEnd
        if case .known(let version) = framing { self.version = version }
    }

    /// Passes on what came behind the frame and leaves the pipeline; called on the event loop.
    func release() {
        guard let context, state == .holding else { return }
        state = .released
        if buffer.readableBytes > 0 {
            context.fireChannelRead(wrapInboundOut(buffer))
            context.fireChannelReadComplete()
        }
        buffer = ByteBuffer()
        if isInputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    /// Whether the frame is still to come.
    var isWaiting: Bool { isCounted }

    /// The time for the frame is over.
    func expire() {
        if isWaiting { fail("nothing came in time") }
    }

    private func stopWaiting() {
        guard isCounted else { return }
        isCounted = false
        wait?.end()
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        if let wait, state == .reading {
            isCounted = true
            wait.begin(self)
        }
        try? context.channel.syncOptions?.setOption(.autoRead, value: false)
        if context.channel.isActive { context.read() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        stopWaiting()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard state != .released else { return context.fireChannelRead(data) }
        var chunk = unwrapInboundIn(data)
        buffer.writeBuffer(&chunk)
        if state == .reading { decode(context) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        if state == .reading { context.read() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if state != .released {
            state = .released
            stopWaiting()
            onEnd(.peerClosed)
        }
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard state != .released, case .some(.inputClosed) = event as? ChannelEvent else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        isInputClosed = true
        if state == .reading { fail("the stream ended before its first frame") }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard state != .released else { return context.fireErrorCaught(error) }
        fail("\(error)")
    }

    private func decode(_ context: ChannelHandlerContext) {
        guard let version = version ?? detect() else { return }
        self.version = version
        do throws(WireError) {
            guard let (frame, count) = try FRPFrame.decode(buffer.readableBytesSpan, version: version) else { return }
            buffer.moveReaderIndex(forwardBy: count)
            state = .holding
            stopWaiting()
            onFrame(frame, version, self)
        } catch {
            fail("\(error)")
        }
    }

    private func detect() -> FRPWireVersion? {
        // The only first message of a device's own stream that is Adit's; frp's are known by their first bytes.
        if buffer.readableBytesView.first == FRPMessageID.peerStream.v1Type { return .v1 }
        switch FirstBytes.recognise(buffer.readableBytesSpan) {
        case .undecided: return nil
        case .v2:
            buffer.moveReaderIndex(forwardBy: FRPWireMagic.bytes.count)
            return .v2
        case .v1: return .v1
        default:
            fail("neither wire v1 nor wire v2")
            return nil
        }
    }

    private func fail(_ reason: String) {
        guard state != .released, let context else { return }
        state = .released
        stopWaiting()
        buffer.clear()
        onEnd(.protocolBroken(reason))
        context.close(promise: nil)
    }
}
