// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Hears what the multiplexer says about the connection, and what breaks it.
final class ConnectionWatcher: ChannelInboundHandler {
    typealias InboundIn = Never

    private let onEvent: (YamuxEvent) -> Void
    private let onError: (any Error) -> Void

    init(onEvent: @escaping (YamuxEvent) -> Void, onError: @escaping (any Error) -> Void = { _ in }) {
        self.onEvent = onEvent
        self.onError = onError
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? YamuxEvent { onEvent(event) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        onError(error)
        context.close(promise: nil)
    }
}
