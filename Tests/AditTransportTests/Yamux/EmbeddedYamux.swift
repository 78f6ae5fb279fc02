// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import AditTunnel
import AditWire
import NIOCore
import NIOEmbedded

/// A yamux handler in a channel without a socket, whose peer is the test.
final class EmbeddedYamux {
    let loop = EmbeddedEventLoop()
    let channel: EmbeddedChannel
    let handler: YamuxHandler
    let events = RecordedEvents()

    final class RecordedEvents: ChannelInboundHandler {
        typealias InboundIn = Never
        var events: [YamuxEvent] = []
        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if let event = event as? YamuxEvent { events.append(event) }
        }
    }

    init(
        _ role: YamuxRole,
        configuration: YamuxConfiguration = .withoutPings,
        inbound: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil
    ) throws {
        handler = YamuxHandler(role: role, configuration: configuration, inboundStreamInitializer: inbound)
        channel = EmbeddedChannel(loop: loop)
        try channel.pipeline.syncOperations.addHandlers([handler, events])
        channel.connect(to: try SocketAddress(ipAddress: "127.0.0.1", port: 1), promise: nil)
        loop.run()
    }

    /// Receives headers, each followed by `length` zero bytes when it is a data header.
    func receive(_ headers: YamuxHeader...) throws {
        var buffer = ByteBuffer()
        for header in headers {
            buffer.writeMultipleIntegers(header.firstWord, header.streamID, header.length)
            if header.kind == .data { buffer.writeRepeatingByte(0, count: Int(header.length)) }
        }
        try channel.writeInbound(buffer)
        loop.run()
    }

    /// The frames that were sent since the last call.
    func sent() throws -> [YamuxHeader] {
        loop.run()
        var bytes = ByteBuffer()
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { bytes.writeImmutableBuffer(buffer) }
        var headers: [YamuxHeader] = []
        while let (first, id, length) = bytes.readMultipleIntegers(as: (UInt32, UInt32, UInt32).self) {
            let header = try YamuxHeader(first, id, length)
            headers.append(header)
            if header.kind == .data { bytes.moveReaderIndex(forwardBy: Int(length)) }
        }
        return headers
    }

    /// Opens a stream with `handlers`.
    func open(_ handlers: @escaping @Sendable () -> [any ChannelHandler] = { [] }) throws -> any Channel {
        let opened = handler.openStream { stream in
            stream.eventLoop.makeCompletedFuture { try stream.pipeline.syncOperations.addHandlers(handlers()) }
        }
        loop.run()
        return try opened.wait()
    }
}

extension YamuxConfiguration {
    static var withoutPings: YamuxConfiguration {
        var configuration = YamuxConfiguration()
        configuration.pingInterval = nil
        return configuration
    }
}
