// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import NIOConcurrencyHelpers
import NIOCore

/// A TCP or TLS connection of a TURN client, to which any thread may write.
///
/// What is relayed are datagrams: those that a client does not take in time are thrown away, as the network does, and
/// nothing waits for it.
final class TURNConnection: Sendable {
    private struct State {
        var waiting = ByteBuffer()
        var isScheduled = false
        var hasAllocation = false
    }

    /// How much waits for a client that reads slowly, beside what the channel holds.
    private static let waitingByteLimit = 128 * 1024
    /// What the buffer keeps for the next time.
    private static let keptByteCount = 8 * 1024

    let tuple: TURNClientTuple
    private let channel: any Channel
    private let state = NIOLockedValueBox(State())

    init(_ channel: any Channel, _ tuple: TURNClientTuple) {
        self.channel = channel
        self.tuple = tuple
    }

    /// Whether the client has an allocation now.
    var hasAllocation: Bool { state.withLockedValue { $0.hasAllocation } }

    /// The client has an allocation from now on.
    func allocationBegan() {
        state.withLockedValue { $0.hasAllocation = true }
    }

    /// The allocation is over; the client has a while to make another one.
    func allocationEnded(idle: TimeAmount) {
        state.withLockedValue { $0.hasAllocation = false }
        channel.eventLoop.scheduleTask(in: idle) {
            if !self.hasAllocation { self.close() }
        }
    }

    /// Writes a whole message; false when it was thrown away.
    func write(_ message: UnsafeRawBufferPointer) -> Bool {
        let isNew = state.withLockedValue { state -> Bool? in
            guard state.waiting.readableBytes + message.count <= Self.waitingByteLimit else { return nil }
            state.waiting.writeBytes(message)
            defer { state.isScheduled = true }
            return !state.isScheduled
        }
        guard let isNew else { return false }
        if isNew { channel.eventLoop.execute { self.flush() } }
        return true
    }

    /// Hands what waits to the channel, as far as that takes it; on the channel's event loop.
    func flush() {
        guard channel.isWritable || !channel.isActive else { return }
        let waiting = state.withLockedValue { state in
            state.isScheduled = false
            let waiting = state.waiting
            state.waiting = ByteBuffer()
            return waiting
        }
        if waiting.readableBytes > 0 { send(waiting) }
    }

    /// Over TLS each message is written by itself and gets a record of its own: there are clients, coturn's among them, that
    /// take what one record brings for one message.
    private func send(_ messages: ByteBuffer) {
        var messages = messages
        while tuple.transport == .tls, let message = Self.first(of: &messages) { channel.write(message, promise: nil) }
        if messages.readableBytes > 0 { channel.write(messages, promise: nil) }
        channel.flush()
    }

    private static func first(of messages: inout ByteBuffer) -> ByteBuffer? {
        let count = messages.withUnsafeReadableBytes { try? ChannelData.byteCount(inStream: $0.bytes) }
        return count.flatMap { messages.readSlice(length: $0) }
    }

    /// Ends it.
    func close() {
        channel.close(promise: nil)
    }
}
