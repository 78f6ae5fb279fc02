// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOConcurrencyHelpers
import NIOCore

/// What passed through one tunnel, counted from any event loop.
package final class TunnelCounters: Sendable {
    /// The figures at one moment.
    package struct Figures: Sendable, Hashable {
        /// Visitors' connections that were carried, ever.
        package var visitors = 0
        /// Connections that are open now.
        package var openVisitors = 0
        /// Bytes from visitors to the device.
        package var bytesIn: Int64 = 0
        /// Bytes from the device to visitors.
        package var bytesOut: Int64 = 0
        /// Datagrams from visitors.
        package var datagramsIn: Int64 = 0
        /// Datagrams to visitors.
        package var datagramsOut: Int64 = 0
        /// Datagrams of both directions that were thrown away because the way on was full.
        package var droppedDatagrams: Int64 = 0
        /// Visitors turned away by the allow list or a limit.
        package var refused = 0
        /// The last thing that went wrong, at most 200 characters; empty when nothing did.
        package var lastError = ""
    }

    private let figures = NIOLockedValueBox(Figures())

    /// The figures now.
    package var current: Figures { figures.withLockedValue { $0 } }

    /// Counts a visitor in; false when `limit` are there already.
    func enter(limit: Int) -> Bool {
        figures.withLockedValue { figures in
            guard figures.openVisitors < limit else {
                figures.refused += 1
                return false
            }
            figures.visitors += 1
            figures.openVisitors += 1
            return true
        }
    }

    /// Counts a visitor out.
    func leave() {
        figures.withLockedValue { $0.openVisitors -= 1 }
    }

    /// Counts a visitor who was turned away.
    func refuse() {
        figures.withLockedValue { $0.refused += 1 }
    }

    /// Adds bytes of both directions.
    func add(bytesIn: Int, bytesOut: Int) {
        figures.withLockedValue { figures in
            figures.bytesIn += Int64(bytesIn)
            figures.bytesOut += Int64(bytesOut)
        }
    }

    /// Adds what passed in a round of datagrams.
    func add(_ round: DatagramRound) {
        figures.withLockedValue { figures in
            figures.datagramsIn += Int64(round.datagramsIn)
            figures.datagramsOut += Int64(round.datagramsOut)
            figures.bytesIn += Int64(round.bytesIn)
            figures.bytesOut += Int64(round.bytesOut)
            figures.droppedDatagrams += Int64(round.drops)
            figures.refused += round.refusals
        }
    }

    /// Keeps what went wrong last.
    func note(error: String) {
        figures.withLockedValue { $0.lastError = String(error.prefix(200)) }
    }
}

/// Counts the bytes of one work connection; the device is at its far end.
final class ByteCountHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let counters: TunnelCounters
    private var bytesIn = 0
    private var bytesOut = 0

    /// Makes a handler; `received` bytes from the device came before it was there.
    init(_ counters: TunnelCounters, received: Int = 0) {
        self.counters = counters
        bytesOut = received
    }

    /// Takes the handler out of a channel whose bytes are counted elsewhere from now on, those that are held included.
    static func release(_ channel: any Channel) {
        let operations = channel.pipeline.syncOperations
        guard let context = try? operations.context(handlerType: ByteCountHandler.self),
            let handler = context.handler as? ByteCountHandler
        else { return }
        let held = try? operations.handler(type: EarlyDataHandler.self).heldByteCount
        handler.bytesOut -= held ?? 0
        handler.settle()
        operations.removeHandler(context: context, promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytesOut += unwrapInboundIn(data).readableBytes
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        settle()
        context.fireChannelReadComplete()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        bytesIn += unwrapOutboundIn(data).readableBytes
        context.write(data, promise: promise)
    }

    func flush(context: ChannelHandlerContext) {
        settle()
        context.flush()
    }

    func channelInactive(context: ChannelHandlerContext) {
        settle()
        context.fireChannelInactive()
    }

    /// One lock for a burst of reads or writes, not one for each.
    private func settle() {
        guard bytesIn != 0 || bytesOut != 0 else { return }
        counters.add(bytesIn: bytesIn, bytesOut: bytesOut)
        bytesIn = 0
        bytesOut = 0
    }
}
