// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditWire
import NIOCore

/// The end of a pipeline in a test: keeps, in order, whatever reaches it.
final class InboundRecorder: ChannelInboundHandler {
    typealias InboundIn = Any

    enum Item: Equatable {
        case frame(FRPFrame)
        case bytes([UInt8])
        case inputClosed
        case inactive
        case error(String)
    }

    private(set) var items: [Item] = []
    private(set) var readCompleteCount = 0
    /// Called with each frame before the next one is looked for.
    var onFrame: ((FRPFrame) -> Void)?

    /// The bytes that arrived, joined.
    var bytes: [UInt8] {
        items.flatMap { item -> [UInt8] in
            if case .bytes(let bytes) = item { return bytes }
            return []
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case let frame as FRPFrame:
            items.append(.frame(frame))
            onFrame?(frame)
        case IOData.byteBuffer(let buffer) as IOData:
            items.append(.bytes(Array(buffer.readableBytesView)))
        default:
            items.append(.error("neither a frame nor bytes"))
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        readCompleteCount += 1
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { items.append(.inputClosed) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        items.append(.inactive)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        items.append(.error("\(error)"))
    }
}

/// The beginning of a pipeline in a test: counts what would reach the socket.
final class OutboundRecorder: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private(set) var readCount = 0
    private(set) var flushCount = 0
    private(set) var writes: [[UInt8]] = []
    private(set) var closedModes: [String] = []

    /// The bytes that were written, joined.
    var bytes: [UInt8] { writes.flatMap { $0 } }

    func read(context: ChannelHandlerContext) {
        readCount += 1
        context.read()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        writes.append(Array(unwrapOutboundIn(data).readableBytesView))
        promise?.succeed()
    }

    func flush(context: ChannelHandlerContext) {
        flushCount += 1
        context.flush()
    }

    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        closedModes.append("\(mode)")
        promise?.succeed()
    }
}
