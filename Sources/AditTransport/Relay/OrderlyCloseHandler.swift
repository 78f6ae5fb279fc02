// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Makes the close of a socket wait for everything that was written to it before.
///
/// NIO throws away queued writes when a socket is closed, and TLS closes the socket right after it has written
/// close_notify: without this handler in front of the socket a peer that reads slowly would see a broken connection.
final class OrderlyCloseHandler: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let patience: TimeAmount

    /// A peer that takes nothing for `patience` while the close waits is given up.
    init(patience: TimeAmount = .seconds(60)) {
        self.patience = patience
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        guard mode != .input, context.channel.isActive else {
            context.close(mode: mode, promise: promise)
            return
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        let giveUp = context.eventLoop.assumeIsolated().scheduleTask(in: patience) { context.close(promise: nil) }
        written.futureResult.assumeIsolated().whenComplete { _ in
            giveUp.cancel()
            context.close(mode: mode, promise: promise)
        }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
    }
}
