// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditWire
package import NIOCore

/// Turns a connection's bytes into frames of frp's protocol and back, until the connection becomes raw.
///
/// A frame that cannot be read is fired as a `WireError`; nothing is read behind it. Whoever takes a frame may call
/// `pause`, `protect` or `switchToRaw` while he is being called: bytes behind that frame wait for it.
package final class FRPFrameHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = FRPFrame
    package typealias OutboundIn = FRPFrame
    package typealias OutboundOut = ByteBuffer

    /// What may wait during a pause, when the peer has ended its direction and NIO reads the socket to its end.
    private static let heldByteLimit = 16 * 1024 * 1024
    /// How many bytes already read may lie in front of the unread ones before they are given back.
    private static let readByteLimit = 64 * 1024

    private enum Phase {
        case magic, frames, raw, failed
    }

    private let version: FRPWireVersion
    private var phase: Phase
    private var emitsMagic: Bool
    private var context: ChannelHandlerContext?
    private var unread = ByteBuffer()
    private var scratch: [UInt8] = []
    private var isDecoding = false
    private var isPaused = false
    private var isReadHeld = false
    private var isInputClosed = false

    /// Makes a handler; `expectsMagic` and `emitsMagic` put the seven bytes of wire v2 before the first frame.
    package init(version: FRPWireVersion, expectsMagic: Bool = false, emitsMagic: Bool = false) {
        self.version = version
        self.emitsMagic = emitsMagic
        phase = expectsMagic ? .magic : .frames
    }

    /// Reads no further frame, and asks the connection for no more bytes, until `resume`, `protect` or `switchToRaw`.
    package func pause() {
        isPaused = true
    }

    /// Goes on reading frames after `pause`.
    package func resume() {
        guard isPaused else { return }
        isPaused = false
        decode()
        releaseRead()
    }

    /// Puts a cipher between the connection and the frames; bytes already received pass through it first.
    ///
    /// Frames written before go out in clear, those written after are encrypted. It ends a pause.
    package func protect(with cipher: some ChannelDuplexHandler) throws {
        guard let context else { preconditionFailure("the handler is not in a pipeline") }
        let operations = context.pipeline.syncOperations
        try operations.addHandler(cipher, position: .before(self))
        isPaused = false
        if unread.readableBytes > 0 {
            let held = unread
            unread = ByteBuffer()
            cipher.channelRead(context: try operations.context(handler: cipher), data: NIOAny(held))
        }
        decode()
        releaseRead()
    }

    /// Takes the handler out of the pipeline; bytes behind the last frame, and then the end of input, go on unchanged.
    ///
    /// They are fired before this returns, so whoever is next in the pipeline takes `ByteBuffer` from now on.
    package func switchToRaw() {
        guard let context, phase == .magic || phase == .frames else { return }
        phase = .raw
        isPaused = false
        if unread.readableBytes > 0 {
            let held = unread
            unread = ByteBuffer()
            context.fireChannelRead(NIOAny(held))
            context.fireChannelReadComplete()
        }
        if isInputClosed { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        releaseRead()
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        unread = ByteBuffer()
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch phase {
        case .raw:
            context.fireChannelRead(data)
        case .failed:
            break
        case .magic, .frames:
            var bytes = unwrapInboundIn(data)
            if unread.readableBytes == 0 {
                unread = bytes
            } else {
                unread.writeBuffer(&bytes)
            }
            if unread.readableBytes > Self.heldByteLimit {
                fail(.length(Int64(unread.readableBytes), limit: Self.heldByteLimit))
            }
            decode()
        }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent, phase != .raw else {
            context.fireUserInboundEventTriggered(event)
            return
        }
        isInputClosed = true
        endInput()
    }

    package func read(context: ChannelHandlerContext) {
        if isPaused {
            isReadHeld = true
        } else {
            context.read()
        }
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard phase != .raw else {
            context.write(data, promise: promise)
            return
        }
        scratch.removeAll(keepingCapacity: true)
        if emitsMagic { scratch += FRPWireMagic.bytes }
        do {
            try unwrapOutboundIn(data).encode(version: version, into: &scratch)
        } catch {
            promise?.fail(error)
            return
        }
        emitsMagic = false
        context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: scratch)), promise: promise)
    }

    private func decode() {
        guard !isDecoding else { return }
        isDecoding = true
        do throws(WireError) {
            while !isPaused, let context, let frame = try nextFrame() {
                context.fireChannelRead(wrapInboundOut(frame))
            }
        } catch {
            fail(error)
        }
        isDecoding = false
        endInput()
    }

    private func nextFrame() throws(WireError) -> FRPFrame? {
        if phase == .magic {
            let magic = FRPWireMagic.bytes
            guard unread.readableBytesView.prefix(magic.count).elementsEqual(magic.prefix(unread.readableBytes)) else {
                throw .missingMagic
            }
            guard unread.readableBytes >= magic.count else { return nil }
            unread.moveReaderIndex(forwardBy: magic.count)
            phase = .frames
        }
        guard phase == .frames else { return nil }
        let bytes = unread
        guard let (frame, byteCount) = try FRPFrame.decode(bytes.readableBytesSpan, version: version) else {
            return nil
        }
        unread.moveReaderIndex(forwardBy: byteCount)
        if unread.readableBytes == 0 {
            unread = ByteBuffer()
        } else if unread.readerIndex > Self.readByteLimit {
            unread.discardReadBytes()
        }
        return frame
    }

    /// Passes the end of input on, once no frame waits in front of it.
    private func endInput() {
        guard isInputClosed, !isPaused, !isDecoding, phase != .raw, let context else { return }
        isInputClosed = false
        let rest = unread.readableBytes
        if rest > 0, phase != .failed { fail(.truncated(expected: rest + 1, found: rest)) }
        context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    private func fail(_ error: WireError) {
        phase = .failed
        unread = ByteBuffer()
        context?.fireErrorCaught(error)
    }

    private func releaseRead() {
        guard isReadHeld, !isPaused else { return }
        isReadHeld = false
        context?.read()
    }
}
