// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded

/// A channel in a test with recorders at both ends of the handlers under test.
struct Pipeline {
    let channel: EmbeddedChannel
    let outbound = OutboundRecorder()
    let inbound = InboundRecorder()

    init(_ handlers: any ChannelHandler...) throws {
        channel = EmbeddedChannel()
        let operations = channel.pipeline.syncOperations
        try operations.addHandler(outbound)
        try operations.addHandlers(handlers)
        try operations.addHandler(inbound)
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/test")).wait()
    }

    /// Puts bytes in as if the socket had brought them.
    func receive(_ bytes: [UInt8]) {
        channel.pipeline.fireChannelRead(channel.allocator.buffer(bytes: bytes))
        channel.pipeline.fireChannelReadComplete()
    }

    /// Puts bytes in one by one.
    func drip(_ bytes: [UInt8]) {
        for byte in bytes { receive([byte]) }
    }

    /// Ends the peer's direction.
    func endInput() {
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    /// Writes bytes from the end of the pipeline.
    func write(_ bytes: [UInt8]) throws {
        try channel.pipeline.syncOperations.writeAndFlush(NIOAny(channel.allocator.buffer(bytes: bytes))).wait()
    }
}
