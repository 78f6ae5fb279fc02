// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// A handle on the yamux session of a connection that any thread may use.
package struct YamuxMultiplexer: Sendable {
    /// The connection's channel.
    package let connection: any Channel
    private let handler: NIOLoopBound<YamuxHandler>

    init(connection: any Channel, handler: YamuxHandler) {
        self.connection = connection
        self.handler = NIOLoopBound(handler, eventLoop: connection.eventLoop)
    }

    /// The event loop of the connection and of all its streams.
    package var eventLoop: any EventLoop { connection.eventLoop }

    /// Opens a stream; the future succeeds when `initializer` has, without waiting for the peer.
    ///
    /// It fails with `YamuxStreamError` when the session takes no more streams.
    package func openStream(
        initializer: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil
    ) -> EventLoopFuture<any Channel> {
        if eventLoop.inEventLoop { return handler.value.openStream(initializer: initializer) }
        return eventLoop.flatSubmit { [handler] in handler.value.openStream(initializer: initializer) }
    }

    /// Opens a stream at once and without waiting for the peer; called on the event loop.
    ///
    /// - Throws: `YamuxStreamError` when the session takes no more streams.
    func openStreamOnLoop(_ first: any ChannelHandler) throws -> any Channel {
        try handler.value.openStream(first)
    }

    /// Says go-away, lets the open streams end, then closes the connection.
    package func shutdown() {
        eventLoop.execute { [handler] in handler.value.shutdown() }
    }

    /// The way to the peer may be gone: something has to come from it within this time, or the session fails.
    package func check(within patience: Duration) {
        eventLoop.execute { [handler] in handler.value.check(within: patience) }
    }

    /// How many streams are open, asked on the event loop.
    package func activeStreamCount() -> EventLoopFuture<Int> {
        eventLoop.submit { [handler] in handler.value.activeStreamCount }
    }
}
