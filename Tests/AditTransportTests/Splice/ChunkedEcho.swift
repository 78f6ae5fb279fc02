// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOCore

/// Sends back what comes, and ends when the peer has ended.
final class EchoEndpoint: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.write(data, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .some(.inputClosed) = event as? ChannelEvent else { return }
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(NIOAny(ByteBuffer()), promise: written)
        written.futureResult.assumeIsolated().whenComplete { _ in context.close(promise: nil) }
    }
}

/// Sends the pattern from an offset of its own in chunks of every size, and checks that the same comes back.
final class ChunkedVisitor: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let received: EventLoopPromise<Int>
    private let offset: Int
    private var random: SeededGenerator
    private var toSend: Int
    private var sent = 0
    private var count = 0

    init(seed: UInt64, received: EventLoopPromise<Int>) {
        self.received = received
        offset = Int(seed) * 4099
        random = SeededGenerator(seed: seed)
        toSend = Int.random(in: 0...600_000, using: &random)
        if seed % 10 == 0 { toSend = 0 }
    }

    func channelActive(context: ChannelHandlerContext) {
        sendSome(context)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        if RelayPattern.bytes.getSlice(at: offset + count, length: buffer.readableBytes) != buffer {
            received.fail(RelayEndpoint.Failure.wrongBytes(at: count))
        }
        count += buffer.readableBytes
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { end() }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        received.fail(error)
        context.close(promise: nil)
    }

    private func end() {
        if count == toSend {
            received.succeed(count)
        } else {
            received.fail(RelayEndpoint.Failure.cutOff(at: count))
        }
    }

    private func sendSome(_ context: ChannelHandlerContext) {
        guard sent < toSend else {
            context.close(mode: .output, promise: nil)
            return
        }
        // Mostly short messages, now and then a long one, so that the forwarder changes its ways in between.
        let largest = Int.random(in: 0..<4, using: &random) == 0 ? 200_000 : 2000
        let length = min(toSend - sent, Int.random(in: 1...largest, using: &random))
        let chunk = RelayPattern.bytes.getSlice(at: offset + sent, length: length) ?? ByteBuffer()
        sent += length
        context.writeAndFlush(wrapOutboundOut(chunk)).assumeIsolated().whenComplete { result in
            guard case .success = result else { return }
            self.sendSome(context)
        }
    }
}
