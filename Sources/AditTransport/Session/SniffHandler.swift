// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTunnel
import NIOCore

/// Keeps the first bytes of a connection until they say what it speaks, then makes way for the handlers of that.
final class SniffHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let patience: TimeAmount
    /// Puts the next handlers behind this one; false when the connection is not served.
    private let decide: (FirstBytes, SniffHandler) -> Bool
    private var buffer = ByteBuffer()
    private var timeout: Scheduled<Void>?
    private var isDone = false

    init(patience: TimeAmount, decide: @escaping (FirstBytes, SniffHandler) -> Bool) {
        self.patience = patience
        self.decide = decide
    }

    func handlerAdded(context: ChannelHandlerContext) {
        timeout = context.eventLoop.assumeIsolated().scheduleTask(in: patience) {
            context.close(promise: nil)
        }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timeout?.cancel()
        timeout = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isDone else { return context.fireChannelRead(data) }
        var chunk = unwrapInboundIn(data)
        buffer.writeBuffer(&chunk)
        let found = FirstBytes.recognise(buffer.readableBytesSpan)
        guard found != .undecided else { return }
        isDone = true
        guard decide(found, self) else {
            buffer.clear()
            context.close(promise: nil)
            return
        }
        if found == .markedTLS { buffer.moveReaderIndex(forwardBy: 1) }
        context.fireChannelRead(wrapInboundOut(buffer))
        context.fireChannelReadComplete()
        context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if isDone { context.fireErrorCaught(error) } else { context.close(promise: nil) }
    }
}
