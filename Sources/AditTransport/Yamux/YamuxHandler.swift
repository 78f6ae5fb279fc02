// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTunnel
package import NIOCore

/// Carries many streams over one connection: the last handler of a connection (TCP, or TLS on it) that speaks yamux.
///
/// Each stream is a `Channel` of its own. All of it happens on the connection's event loop; other threads use
/// `multiplexer`.
package final class YamuxHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = Never
    package typealias OutboundIn = Never
    package typealias OutboundOut = ByteBuffer

    /// Makes a handler; streams that the peer opens are prepared by `inboundStreamInitializer`, or refused without one.
    package init(
        role: YamuxRole,
        configuration: YamuxConfiguration = YamuxConfiguration(),
        inboundStreamInitializer: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil
    ) {
    }

    /// How many streams are open.
    package var activeStreamCount: Int { 0 }

    /// The latest measured round trip; nil before the first.
    package var roundTripTime: Duration? { nil }

    /// Opens a stream; called on the event loop. See `YamuxMultiplexer.openStream`.
    package func openStream(
        initializer: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil
    ) -> EventLoopFuture<any Channel> {
        preconditionFailure("the handler is not in a pipeline")
    }

    /// Says go-away, lets the open streams end, then closes the connection; called on the event loop.
    package func shutdown() {
    }

    /// A handle for other threads; valid once the handler is in a pipeline.
    package var multiplexer: YamuxMultiplexer {
        preconditionFailure("the handler is not in a pipeline")
    }
}
