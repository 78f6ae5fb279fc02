// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditWire
package import NIOCore

/// Compresses a byte stream in both directions in snappy's framing format, as proxies with `useCompression` do.
///
/// Each write becomes whole chunks at once. A chunk that cannot be read is fired as a `WireError`; nothing is read behind it.
package final class SnappyHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private var encoder = SnappyFrameEncoder()
    private var decoder = SnappyFrameDecoder()
    private var unread = ByteBuffer()
    private var text: [UInt8] = []
    private var isFailed = false

    /// Makes a handler at the start of both streams.
    package init() {}

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isFailed else { return }
        var bytes = unwrapInboundIn(data)
        if unread.readableBytes == 0 {
            unread = bytes
        } else {
            unread.discardReadBytes()
            unread.writeBuffer(&bytes)
        }
        do throws(WireError) {
            while !isFailed {
                let used = try decodeChunk()
                guard used > 0 else { break }
                if text.isEmpty { continue }
                let chunk = context.channel.allocator.buffer(bytes: text)
                text.removeAll(keepingCapacity: true)
                context.fireChannelRead(wrapInboundOut(chunk))
            }
        } catch {
            isFailed = true
            unread = ByteBuffer()
            context.fireErrorCaught(error)
        }
        if unread.readableBytes == 0 { unread = ByteBuffer() }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent, unread.readableBytes > 0 {
            let rest = unread.readableBytes
            unread = ByteBuffer()
            context.fireErrorCaught(WireError.truncated(expected: rest + 1, found: rest))
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let bytes = unwrapOutboundIn(data)
        guard bytes.readableBytes > 0 else {
            context.write(data, promise: promise)
            return
        }
        var chunks: [UInt8] = []
        chunks.reserveCapacity(bytes.readableBytes + 64)
        encoder.encode(bytes.readableBytesSpan, into: &chunks)
        context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: chunks)), promise: promise)
    }

    private func decodeChunk() throws(WireError) -> Int {
        let bytes = unread
        let used = try decoder.decode(bytes.readableBytesSpan, into: &text)
        unread.moveReaderIndex(forwardBy: used)
        return used
    }
}
