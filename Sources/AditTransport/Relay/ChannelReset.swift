// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
package import NIOCore
import NIOSSL

/// Closes channels in such a way that the peer sees a broken connection, never an orderly end of data.
package enum ChannelReset {
    /// Closes `channel` at once and throws away what it has not sent; called on its event loop.
    ///
    /// A socket sends a TCP reset, a yamux stream a frame with RST, and TLS does not say close_notify.
    package static func close(_ channel: any Channel) {
        channel.eventLoop.preconditionInEventLoop()
        if channel is StreamChannel {
            channel.triggerUserOutboundEvent(ResetConnection(), promise: nil)
            channel.close(promise: nil)
            return
        }
        if let socket = channel as? any SocketOptionProvider {
            _ = socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
        }
        // From these handlers the close goes straight to the socket, past TLS and past the wait for writes.
        let operations = channel.pipeline.syncOperations
        if let context = try? operations.context(handlerType: OrderlyCloseHandler.self) {
            context.close(promise: nil)
        } else if let context = try? operations.context(handlerType: NIOSSLHandler.self) {
            context.close(promise: nil)
        } else {
            channel.close(promise: nil)
        }
    }
}
