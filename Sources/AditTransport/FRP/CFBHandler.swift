// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import AditWire
package import NIOCore

/// Encrypts a byte stream in both directions with AES-128-CFB, each behind its own initialisation vector.
///
/// It protects frp's v1 control stream after Login and the payload of proxies with `useEncryption`. The vector travels
/// with the first bytes that are written, so a side that says nothing sends nothing.
package final class CFBHandler: ChannelDuplexHandler, RemovableChannelHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private let key: [UInt8]
    private var encryptor: AES128CFBStream
    private var decryptor: AES128CFBStream?
    private var unsentIV: [UInt8]?
    private var receivedIV: [UInt8] = []

    /// Makes a handler; `key` is 16 bytes, `iv` is 16 random bytes that are used for this stream only.
    package init(key: [UInt8], iv: [UInt8]) {
        self.key = key
        unsentIV = iv
        encryptor = AES128CFBStream(key: key, iv: iv)
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if decryptor == nil {
            let missing = AES128CFBStream.keyByteCount - receivedIV.count
            receivedIV += bytes.readBytes(length: min(missing, bytes.readableBytes)) ?? []
            guard receivedIV.count == AES128CFBStream.keyByteCount else { return }
            decryptor = AES128CFBStream(key: key, iv: receivedIV)
        }
        guard bytes.readableBytes > 0 else { return }
        bytes.withUnsafeMutableReadableBytes { decryptor?.decrypt($0) }
        context.fireChannelRead(wrapInboundOut(bytes))
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent, decryptor == nil, !receivedIV.isEmpty {
            context.fireErrorCaught(
                WireError.truncated(expected: AES128CFBStream.keyByteCount, found: receivedIV.count)
            )
        }
        context.fireUserInboundEventTriggered(event)
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        var bytes = unwrapOutboundIn(data)
        guard bytes.readableBytes > 0 else {
            context.write(data, promise: promise)
            return
        }
        if let iv = unsentIV {
            unsentIV = nil
            context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: iv)), promise: nil)
        }
        bytes.withUnsafeMutableReadableBytes { encryptor.encrypt($0) }
        context.write(wrapOutboundOut(bytes), promise: promise)
    }
}
