// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Holds what a channel receives before anybody is there to take it.
///
/// It is installed in the child initializer, because an event that fires before its handler exists is lost. It stops
/// `read()`, so that normally nothing arrives at all; but when the peer has already ended its direction, NIO reads a
/// socket to its end whatever `autoRead` says. Data and the end of data are kept until `handOver`, and replayed in order.
package final class EarlyDataHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private let maximumBytes: Int
    private var context: ChannelHandlerContext?
    private var chunks = CircularBuffer<ByteBuffer>()
    private var byteCount = 0
    private var isEnded = false
    private var isReadHeld = false
    private var isHandingOver = false
    private var isHandedOver = false

    /// Makes a handler that holds up to `maximumBytes` bytes; a channel that brings more is reset.
    package init(maximumBytes: Int = 16 * 1024 * 1024) {
        self.maximumBytes = maximumBytes
    }

    /// Passes on what was held, in order, and takes the handler out of the pipeline; called on the event loop.
    package func handOver() {
        guard let context, !isHandingOver, !isHandedOver else { return }
        isHandingOver = true
        let isHolding = !chunks.isEmpty
        // Whoever takes one may ask for more, which comes behind all that is held.
        while let chunk = chunks.popFirst() { context.fireChannelRead(wrapInboundOut(chunk)) }
        isHandedOver = true
        if isHolding { context.fireChannelReadComplete() }
        if isEnded { context.fireUserInboundEventTriggered(ChannelEvent.inputClosed) }
        if isReadHeld { context.read() }
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    /// How many bytes are held.
    package var heldByteCount: Int { isHandedOver ? 0 : byteCount }

    /// Gives away what was held instead of passing it on; the channel is closed next. Called on the event loop.
    func surrender() -> [UInt8] {
        isHandedOver = true
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount)
        for chunk in chunks { bytes.append(contentsOf: chunk.readableBytesView) }
        chunks.removeAll()
        return bytes
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        // The end of data has to arrive as an event of its own, not as the end of the channel.
        try? context.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        chunks.removeAll()
    }

    package func read(context: ChannelHandlerContext) {
        if isHandedOver {
            context.read()
        } else {
            isReadHeld = true
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        if isHandedOver {
            context.fireChannelRead(data)
            return
        }
        let chunk = unwrapInboundIn(data)
        byteCount += chunk.readableBytes
        guard byteCount <= maximumBytes else {
            chunks.removeAll()
            ChannelReset.close(context.channel)
            return
        }
        chunks.append(chunk)
    }

    package func channelReadComplete(context: ChannelHandlerContext) {
        if isHandedOver { context.fireChannelReadComplete() }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if !isHandedOver, case .some(.inputClosed) = event as? ChannelEvent {
            isEnded = true
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }
}
