// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Passes on what a channel receives no faster than a shared limiter allows.
///
/// What was read waits here for its turn, and no more is read meanwhile: nothing is lost, and at most one read is kept.
/// It goes between the sockets and whoever takes the bytes; without a limit it is not in the pipeline at all.
package final class BandwidthReadHandler: ChannelDuplexHandler {
    package typealias InboundIn = ByteBuffer
    package typealias InboundOut = ByteBuffer
    package typealias OutboundIn = ByteBuffer
    package typealias OutboundOut = ByteBuffer

    private let limiter: BandwidthLimiter
    private var member: UInt64?
    private var context: ChannelHandlerContext?
    private var held = CircularBuffer<ByteBuffer>()
    private var heldBytes = 0
    private var isReadHeld = false
    private var isEndHeld = false

    /// Makes the handler of one channel.
    package init(_ limiter: BandwidthLimiter) {
        self.limiter = limiter
    }

    package func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let this = NIOLoopBound(self, eventLoop: context.eventLoop)
        member = limiter.join(on: context.eventLoop) { this.value.pass($0) }
    }

    package func handlerRemoved(context: ChannelHandlerContext) {
        leave(passing: 0)
        held.removeAll()
        heldBytes = 0
        self.context = nil
    }

    package func read(context: ChannelHandlerContext) {
        if heldBytes == 0 {
            context.read()
        } else {
            isReadHeld = true
        }
    }

    package func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        let count = buffer.readableBytes
        guard count > 0, let member else {
            context.fireChannelRead(data)
            return
        }
        let granted = limiter.request(count, for: member)
        if granted == count, heldBytes == 0 {
            context.fireChannelRead(data)
            return
        }
        held.append(buffer)
        heldBytes += count
        release(granted, context)
    }

    package func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if heldBytes > 0, case .some(.inputClosed) = event as? ChannelEvent {
            isEndHeld = true
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    package func channelInactive(context: ChannelHandlerContext) {
        // There is nobody left who could be kept waiting; those who stay make up for it.
        let rest = heldBytes
        leave(passing: rest)
        release(rest, context)
        if rest > 0 { context.fireChannelReadComplete() }
        passEnd(context)
        context.fireChannelInactive()
    }

    /// Bytes that waited have got their turn.
    private func pass(_ count: Int) {
        guard let context, member != nil, heldBytes > 0 else { return }
        release(count, context)
        context.fireChannelReadComplete()
        guard heldBytes == 0 else { return }
        passEnd(context)
        guard isReadHeld else { return }
        isReadHeld = false
        context.read()
    }

    private func release(_ count: Int, _ context: ChannelHandlerContext) {
        var credit = count
        while credit > 0, var first = held.popFirst() {
            let size = first.readableBytes
            if size <= credit {
                credit -= size
                heldBytes -= size
                context.fireChannelRead(wrapInboundOut(first))
            } else if let part = first.readSlice(length: credit) {
                heldBytes -= credit
                credit = 0
                held.prepend(first)
                context.fireChannelRead(wrapInboundOut(part))
            }
        }
    }

    private func passEnd(_ context: ChannelHandlerContext) {
        guard isEndHeld else { return }
        isEndHeld = false
        context.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
    }

    private func leave(passing count: Int) {
        guard let member else { return }
        self.member = nil
        limiter.leave(member, passing: count)
    }
}
