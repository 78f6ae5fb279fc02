// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Sends what is written to a channel no faster than a shared limiter allows.
///
/// Writes wait here in order, with their promises. Whoever writes has to look at `heldByteCount` beside the channel's own
/// writability, and is told by an event of writability when fewer wait. An end of data waits behind the writes.
package final class BandwidthWriteHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private let limiter: BandwidthLimiter
    private var member: UInt64?
    private var context: ChannelHandlerContext?
    private var held = CircularBuffer<(bytes: ByteBuffer, promise: EventLoopPromise<Void>?)>()
    private var ownByteCount = 0
    private let earlier: BandwidthWriteHandler?
    private var heldEnd: [EventLoopPromise<Void>?] = []

    /// Makes the handler of one channel; `earlier` is the one that gets the channel's writes before this one.
    package init(_ limiter: BandwidthLimiter, earlier: BandwidthWriteHandler? = nil) {
        self.limiter = limiter
        self.earlier = earlier
    }

    /// How many bytes wait here and in the handlers before; for the channel's event loop.
    package var heldByteCount: Int { ownByteCount + (earlier?.heldByteCount ?? 0) }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        member = limiter.join(on: context.eventLoop) { this.value.pass($0) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        drop(ChannelError.ioOnClosedChannel)
        self.context = nil
    }

    package func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let buffer = unwrapOutboundIn(data)
        let count = buffer.readableBytes
        guard let member, count > 0 || ownByteCount > 0 else {
            context.write(data, promise: promise)
            return
        }
        let granted = limiter.request(count, for: member)
        if granted == count, ownByteCount == 0 {
            context.write(data, promise: promise)
            return
        }
        held.append((buffer, promise))
        ownByteCount += count
        release(granted, context)
    }

    package func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        if mode == .output, ownByteCount > 0 {
            heldEnd.append(promise)
            return
        }
        if mode != .input { drop(ChannelError.ioOnClosedChannel) }
        context.close(mode: mode, promise: promise)
    }

    package func channelInactive(context: ChannelHandlerContext) {
        drop(ChannelError.ioOnClosedChannel)
        context.fireChannelInactive()
    }

    private func pass(_ count: Int) {
        guard let context, member != nil, ownByteCount > 0 else { return }
        release(count, context)
        context.flush()
        if ownByteCount == 0 {
            let ends = heldEnd
            heldEnd = []
            for promise in ends { context.close(mode: .output, promise: promise) }
        }
        context.fireChannelWritabilityChanged()
    }

    private func release(_ count: Int, _ context: ChannelHandlerContext) {
        var credit = count
        while var first = held.first, credit > 0 || first.bytes.readableBytes == 0 {
            let size = first.bytes.readableBytes
            if size <= credit {
                held.removeFirst()
                credit -= size
                ownByteCount -= size
                context.write(wrapOutboundOut(first.bytes), promise: first.promise)
            } else if let part = first.bytes.readSlice(length: credit) {
                held[held.startIndex] = first
                ownByteCount -= credit
                credit = 0
                context.write(wrapOutboundOut(part), promise: nil)
            }
        }
    }

    private func drop(_ error: any Error) {
        if let member {
            self.member = nil
            limiter.leave(member, passing: 0)
        }
        let writes = held
        let ends = heldEnd
        held.removeAll()
        heldEnd = []
        ownByteCount = 0
        for write in writes { write.promise?.fail(error) }
        for promise in ends { promise?.fail(error) }
    }
}
