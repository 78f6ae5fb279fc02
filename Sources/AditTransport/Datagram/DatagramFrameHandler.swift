// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditWire
package import NIOCore

/// A datagram that a visitor sent, or that is for one.
package struct Datagram: Sendable, Hashable {
    /// The visitor's address.
    package var visitor: IPEndpoint
    /// The payload: 0 to 65,507 bytes.
    package var payload: ByteBuffer

    /// Makes it from its parts.
    package init(visitor: IPEndpoint, payload: ByteBuffer) {
        self.visitor = visitor
        self.payload = payload
    }
}

/// Turns a byte stream between Adit peers into datagrams and back (docs/wire.md, Datagram frames).
///
/// A frame that cannot be read is fired as a `WireError` and ends the stream; nothing is read behind it. What is held at
/// most is one frame that has not come whole.
package final class DatagramFrameHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = Datagram
    package typealias OutboundIn = Datagram
    package typealias OutboundOut = ByteBuffer

    private var unread = ByteBuffer()
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
            while !isFailed, let datagram = try nextDatagram() {
                context.fireChannelRead(wrapInboundOut(datagram))
            }
        } catch {
            fail(error, context)
        }
        if unread.readableBytes == 0 { unread = ByteBuffer() }
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent, unread.readableBytes > 0 {
            let rest = unread.readableBytes
            fail(.truncated(expected: rest + 1, found: rest), context)
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var datagram = unwrapOutboundIn(data)
        do throws(WireError) {
            let header = try DatagramHeader(
                payloadByteCount: datagram.payload.readableBytes,
                visitor: datagram.visitor
            )
            var bytes: [UInt8] = []
            header.encode(into: &bytes)
            var frame = context.channel.allocator.buffer(capacity: bytes.count + datagram.payload.readableBytes)
            frame.writeBytes(bytes)
            frame.writeBuffer(&datagram.payload)
            context.write(wrapOutboundOut(frame), promise: promise)
        } catch {
            promise?.fail(error)
        }
    }

    private func nextDatagram() throws(WireError) -> Datagram? {
        let bytes = unread
        guard let header = try DatagramHeader.decode(bytes.readableBytesSpan),
            bytes.readableBytes >= header.byteCount + header.payloadByteCount
        else { return nil }
        unread.moveReaderIndex(forwardBy: header.byteCount)
        guard let payload = unread.readSlice(length: header.payloadByteCount) else { return nil }
        return Datagram(visitor: header.visitor, payload: payload)
    }

    private func fail(_ error: WireError, _ context: ChannelHandlerContext) {
        isFailed = true
        unread = ByteBuffer()
        context.fireErrorCaught(error)
        context.close(promise: nil)
    }
}
