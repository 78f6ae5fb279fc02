// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Lets the side that closes a TLS connection finish as soon as the other side has answered; goes right behind TLS.
///
/// While remote half-closure is allowed, NIOSSL passes the answering close_notify on as an end of input and goes on
/// waiting for it until its shutdown timeout. Once everything is to be closed, half-closure means nothing any more.
final class TLSCloseHandler: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if case .all = mode {
            try? context.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
        }
        context.close(mode: mode, promise: promise)
    }
}
