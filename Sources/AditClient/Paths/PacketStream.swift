// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import AditWire
import NIOCore

/// Packets on a stream, each behind its length in two bytes (RFC 4571).
///
/// What waits to be sent is bounded; what comes beyond is dropped, as a network would. A STUN message (RFC 7983 tells it from
/// other packets) measures the round trip, and is answered by the handler itself.
final class PacketStream: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What a stream's owner is told, on the event loop.
    struct Hearer {
        var packets: (PacketStream, PacketBatch) -> Void
        /// Something came, and when it is the answer to a measurement, how long that took.
        var heard: (PacketStream, Duration?) -> Void
        var ended: (PacketStream) -> Void
    }

    /// No more bytes wait to be sent.
    static let waitLimit = 1 << 20
    private static let measurementLimit = 8

    private var hearer: Hearer?
    private var context: ChannelHandlerContext?
    private var frames = PacketFrames()
    private var writer = PacketFrameWriter()
    private var measurements: [(id: STUNTransactionID, at: NIODeadline)] = []
    /// When something came last; nil before.
    private(set) var heardAt: NIODeadline?

    init(_ hearer: Hearer) {
        self.hearer = hearer
    }

    /// Sends packets, or drops them when too much waits already; false when the stream is over.
    func send(_ batch: PacketBatch) -> Bool {
        guard let context else { return false }
        let byteCount = PacketFrames.byteCount(batch)
        let waiting = (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
        guard waiting + byteCount <= Self.waitLimit else { return true }
        context.writeAndFlush(wrapOutboundOut(writer.frames(of: batch)), promise: nil)
        return true
    }

    /// Measures the round trip.
    func measure() {
        guard let context else { return }
        var generator = SystemRandomNumberGenerator()
        let id = STUNTransactionID(using: &generator)
        if measurements.count >= Self.measurementLimit { measurements.removeFirst() }
        measurements.append((id, context.eventLoop.now))
        _ = send(PacketBatch(Self.message(.request, id)))
    }

    /// Ends the stream; nothing is told any more.
    func close() {
        hearer = nil
        context?.close(promise: nil)
    }

    private static func message(_ kind: STUNKind, _ id: STUNTransactionID) -> [UInt8] {
        var bytes: [UInt8] = []
        STUNMessage(kind, transactionID: id).encode(into: &bytes)
        return bytes
    }

    // MARK: ChannelInboundHandler

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        end()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        heardAt = context.eventLoop.now
        let bytes = unwrapInboundIn(data)
        for batch in frames.take(bytes.readableBytesSpan) {
            if STUNMessage.looksLikeSTUN(batch.bytes.span.bytes) {
                take(message: batch.bytes)
            } else {
                hearer?.heard(self, nil)
                hearer?.packets(self, batch)
            }
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    private func end() {
        let hearer = hearer
        self.hearer = nil
        hearer?.ended(self)
    }

    private func take(message bytes: [UInt8]) {
        guard let message = try? STUNMessage.decode(bytes.span.bytes), message.method == .binding else { return }
        switch message.kind {
        case .request:
            hearer?.heard(self, nil)
            _ = send(PacketBatch(Self.message(.success, message.transactionID)))
        case .success:
            guard let index = measurements.firstIndex(where: { $0.id == message.transactionID }), let context else {
                return
            }
            let trip = context.eventLoop.now - measurements.remove(at: index).at
            hearer?.heard(self, .nanoseconds(max(1, trip.nanoseconds)))
        case .indication, .error: break
        }
    }
}
