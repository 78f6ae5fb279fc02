// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire

/// What the fuzzer and the replay of its corpus feed to the machines of this room.
enum TunnelDecoders {
    static let all: [String: @Sendable ([UInt8]) -> Void] = ["YamuxSession": yamuxSession]

    /// The first byte picks the role; the rest is what a peer sends, read by a driver that accepts and consumes
    /// everything and in between ends, resets and opens streams and lets time pass.
    static func yamuxSession(_ bytes: [UInt8]) {
        guard let first = bytes.first else { return }
        var configuration = YamuxConfiguration()
        configuration.acceptBacklog = 4
        configuration.maximumStreams = 16
        configuration.maximumBufferedBytes = 1 << 20
        configuration.maximumOwedReplies = 64
        var now = Instant.zero
        var session = YamuxSession(role: first & 1 == 0 ? .client : .server, configuration: configuration, at: now)
        if first & 2 != 0 { session.handle(.writability(false), at: now) }
        if first & 4 != 0 { _ = try? session.open(at: now) }
        var offset = 1
        var isOver = false
        while offset < bytes.count, !isOver {
            if session.payloadRemaining > 0 {
                let count = min(session.payloadRemaining, bytes.count - offset)
                let stream = session.payloadStreamID
                session.handle(.payload(count), at: now)
                offset += count
                if let stream, first & 8 == 0 { session.handle(.consumed(stream, count), at: now) }
            } else {
                guard bytes.count - offset >= YamuxHeader.byteCount else { break }
                let header = Array(bytes[offset..<offset + YamuxHeader.byteCount])
                offset += YamuxHeader.byteCount
                do throws(YamuxHeaderError) {
                    guard let header = try YamuxHeader.decode(header.span.bytes) else { break }
                    session.handle(.header(header), at: now)
                } catch {
                    session.handle(.malformedHeader(error), at: now)
                }
            }
            while let output = session.nextOutput() {
                switch output {
                case .streamOpened(let id): session.handle(id & 2 == 0 ? .accept(id) : .reset(id), at: now)
                case .streamFinished(let id): session.handle(.close(id), at: now)
                case .windowOpened(let id): send(&session, id, at: now)
                case .failed, .finished: isOver = true
                case .transmit, .streamReset, .roundTrip, .peerGoingAway: break
                }
            }
            precondition(session.activeStreamCount <= configuration.maximumStreams, "streams are bounded")
            precondition(session.bufferedBytes <= configuration.maximumBufferedBytes, "bytes are bounded")
            now = now + .milliseconds(Int(bytes[offset - 1]))
            if let deadline = session.nextDeadline, deadline <= now { session.handle(.deadline, at: now) }
        }
        session.handle(.shutDown, at: now)
    }

    private static func send(_ session: inout YamuxSession, _ id: UInt32, at now: Instant) {
        let window = session.sendWindow(of: id)
        if window > 0 { session.handle(.send(id, min(window, 16_384)), at: now) }
    }
}
