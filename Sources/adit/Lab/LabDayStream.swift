// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import NIOCore

/// A stream that talks all day, and what of it arrived at either end.
final class LabDayStream {
    /// One direction: what its sender sent, and its receiver got.
    struct Direction {
        var sent = 0
        var received = 0
        /// Bytes that were not what was sent at their place.
        var faults = 0
        /// Where the messages end that are on their way, and when they were sent.
        var pending: [(end: Int, at: Instant)] = []
        /// How long each message took.
        var delays: [Duration] = []
    }

    let number: Int
    let visitor: Int
    let host: Int
    /// By the end that sends: 0 for the visitor, 1 for the host.
    private(set) var directions = [Direction(), Direction()]
    /// Why it broke off; nil while it is whole.
    private(set) var failure: String?
    private var channels: [(any Channel)?] = [nil, nil]
    /// What the host has to say before the stream has reached it.
    private var waiting: [Int] = []

    init(_ number: Int, _ visitor: Int, _ host: Int) {
        self.number = number
        self.visitor = visitor
        self.host = host
    }

    /// The byte at a place: another one at its neighbours, at the same place of other streams, and in the other direction.
    private func byte(_ place: Int, from end: Int) -> UInt8 {
        let mixed = (place &+ number &* 7919 &+ end &* 104_729) &* 0x9E37_79B1
        return UInt8(truncatingIfNeeded: mixed ^ mixed >> 15)
    }

    func attach(_ channel: any Channel, end: Int) {
        channels[end] = channel
        guard end == 1 else { return }
        let waiting = self.waiting
        self.waiting = []
        for count in waiting { write(count, from: 1) }
    }

    /// Sends a message of so many bytes.
    func send(_ count: Int, from end: Int, at now: Instant) {
        guard failure == nil else { return }
        directions[end].sent += count
        directions[end].pending.append((directions[end].sent, now))
        if channels[end] == nil { waiting.append(count) } else { write(count, from: end) }
    }

    private var written = [0, 0]

    private func write(_ count: Int, from end: Int) {
        var buffer = ByteBuffer()
        for place in written[end]..<written[end] + count { buffer.writeInteger(byte(place, from: end)) }
        written[end] += count
        channels[end]?.writeAndFlush(buffer, promise: nil)
    }

    /// Compares what came with what was sent.
    func receive(_ buffer: ByteBuffer, at end: Int, now: Instant) {
        let sender = 1 - end
        for received in buffer.readableBytesView {
            if received != byte(directions[sender].received, from: sender) { directions[sender].faults += 1 }
            directions[sender].received += 1
        }
        while let first = directions[sender].pending.first, first.end <= directions[sender].received {
            directions[sender].delays.append(now - first.at)
            directions[sender].pending.removeFirst()
        }
    }

    func breakOff(_ why: String) {
        if failure == nil { failure = why }
    }
}

/// One end of a stream: hands what comes to it.
final class LabDayTalk: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let stream: LabDayStream
    private let end: Int
    private let lab: Lab

    init(_ stream: LabDayStream, end: Int, in lab: Lab) {
        self.stream = stream
        self.end = end
        self.lab = lab
    }

    func handlerAdded(context: ChannelHandlerContext) {
        stream.attach(context.channel, end: end)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        stream.receive(unwrapInboundIn(data), at: end, now: lab.now)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { stream.breakOff("the peer ended it") }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        stream.breakOff("\(error)")
    }

    func channelInactive(context: ChannelHandlerContext) {
        stream.breakOff("it was closed")
    }
}

/// Reads which stream a peer has opened, and puts its end in its own place.
final class LabDayGreeting: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let end: (Int) throws -> LabDayTalk
    private var pending = ByteBuffer()

    init(_ end: @escaping (Int) throws -> LabDayTalk) {
        self.end = end
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        pending.writeBuffer(&buffer)
        guard let number: UInt32 = pending.readInteger() else { return }
        do {
            let talk = try end(Int(number))
            try context.pipeline.syncOperations.addHandler(talk, position: .after(self))
        } catch {
            return context.close(promise: nil)
        }
        if pending.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(pending)) }
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
