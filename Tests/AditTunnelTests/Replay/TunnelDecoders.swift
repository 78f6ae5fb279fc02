// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire

/// What the fuzzer and the replay of its corpus feed to the machines of this room.
enum TunnelDecoders {
    static let all: [String: @Sendable ([UInt8]) -> Void] = [
        "Address": address,
        "YamuxSession": yamuxSession,
    ]

    /// The texts by which visitors, devices and services are named; each is read as it is written.
    static func address(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        if let name = HostName(text) {
            precondition((1...253).contains(name.text.utf8.count), "a host name is bounded")
            precondition(name.text.utf8.allSatisfy { $0 > 32 && $0 < 127 }, "a host name is plain")
            precondition(name.text.contains(":") || HostName(name.text) == name, "a host name has one spelling")
        }
        if let address = IPAddress(text) {
            precondition(IPAddress(address.description) == address, "an address is read as it is written")
        }
        if let block = CIDR(text) {
            precondition(CIDR(block.description) == block, "a block is read as it is written")
        }
        if let place = HostPort(text, defaultPort: 7000) {
            precondition(HostPort(place.description) == place, "a place is read as it is written")
        }
    }

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
