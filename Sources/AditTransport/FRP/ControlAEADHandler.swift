// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCrypto
import AditWire
package import NIOCore

/// Seals and opens the control stream of wire v2 in authenticated records.
///
/// A record that is not authentic is fired as a `CryptoError`; nothing behind it is let through.
package final class ControlAEADHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private var sealer: FRPControlSealer
    private var opener: FRPControlOpener
    private var unread = ByteBuffer()
    private var isFailed = false

    /// Makes a handler from the two directions of one connection.
    package init(sealer: consuming FRPControlSealer, opener: consuming FRPControlOpener) {
        self.sealer = sealer
        self.opener = opener
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isFailed else { return }
        var bytes = unwrapInboundIn(data)
        if unread.readableBytes == 0 {
            unread = bytes
        } else {
            unread.discardReadBytes()
            unread.writeBuffer(&bytes)
        }
        var plaintext: [UInt8] = []
        var failure: CryptoError?
        do throws(CryptoError) {
            let sealed = unread
            unread.moveReaderIndex(forwardBy: try opener.open(sealed.readableBytesSpan, into: &plaintext))
        } catch {
            failure = error
            isFailed = true
            unread = ByteBuffer()
        }
        if !plaintext.isEmpty {
            context.fireChannelRead(wrapInboundOut(context.channel.allocator.buffer(bytes: plaintext)))
        }
        if let failure { context.fireErrorCaught(failure) }
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
        var records: [UInt8] = []
        records.reserveCapacity(bytes.readableBytes + 64)
        do {
            try sealer.seal(bytes.readableBytesSpan, into: &records)
        } catch {
            promise?.fail(error)
            return
        }
        context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: records)), promise: promise)
    }
}
