// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire

/// Two yamux sessions back to back over a wire that keeps order, in virtual time.
struct YamuxPair {
    enum End: Int, CaseIterable {
        case client, server
        var other: End { self == .client ? .server : .client }
    }

    enum Item: Equatable {
        case header(YamuxHeader)
        case payload(Int)
    }

    var sessions: [YamuxSession]
    var now = Instant.zero
    /// What each end has sent and the other has not received.
    var wires: [[Item]] = [[], []]
    /// What each end was told, other than what to transmit.
    var events: [[YamuxSession.Output]] = [[], []]
    /// Bytes that arrived and were not yet read, by end and stream.
    var unread: [[UInt32: Int]] = [[:], [:]]
    /// Bytes that arrived in all, by end and stream.
    var received: [[UInt32: Int]] = [[:], [:]]
    var acceptsStreams = true

    init(client: YamuxConfiguration = YamuxConfiguration(), server: YamuxConfiguration = YamuxConfiguration()) {
        sessions = [
            YamuxSession(role: .client, configuration: client, at: .zero),
            YamuxSession(role: .server, configuration: server, at: .zero),
        ]
    }

    mutating func handle(_ end: End, _ input: YamuxSession.Input) {
        sessions[end.rawValue].handle(input, at: now)
        drain(end)
    }

    mutating func open(_ end: End) throws(YamuxOpenError) -> UInt32 {
        let id = try sessions[end.rawValue].open(at: now)
        drain(end)
        return id
    }

    mutating func drain(_ end: End) {
        while let output = sessions[end.rawValue].nextOutput() {
            switch output {
            case .transmit(let header):
                wires[end.rawValue].append(.header(header))
                if header.kind == .data, header.length > 0 { wires[end.rawValue].append(.payload(Int(header.length))) }
            case .streamOpened(let id):
                events[end.rawValue].append(output)
                if acceptsStreams { sessions[end.rawValue].handle(.accept(id), at: now) }
            default: events[end.rawValue].append(output)
            }
        }
    }

    /// Carries the oldest thing that `end` sent to the other end, a payload in part when `limit` is smaller.
    mutating func deliver(from end: End, limit: Int = .max) {
        guard let item = wires[end.rawValue].first else { return }
        let to = end.other
        switch item {
        case .header(let header):
            wires[end.rawValue].removeFirst()
            handle(to, .header(header))
        case .payload(let count):
            let part = min(count, limit)
            if part == count {
                wires[end.rawValue].removeFirst()
            } else {
                wires[end.rawValue][0] = .payload(count - part)
            }
            if let id = sessions[to.rawValue].payloadStreamID {
                unread[to.rawValue][id, default: 0] += part
                received[to.rawValue][id, default: 0] += part
            }
            handle(to, .payload(part))
        }
    }

    mutating func read(_ end: End, _ id: UInt32, _ count: Int) {
        unread[end.rawValue][id, default: 0] -= count
        handle(end, .consumed(id, count))
    }

    /// Carries everything until nothing is under way.
    mutating func settle() {
        while let end = End.allCases.first(where: { !wires[$0.rawValue].isEmpty }) { deliver(from: end) }
    }

    /// Lets time pass; each deadline is met, and what it makes the ends send is carried at once.
    mutating func advance(by duration: Duration) {
        let end = now + duration
        while let due = sessions.compactMap(\.nextDeadline).min(), due <= end {
            now = max(now, due)
            for side in End.allCases where sessions[side.rawValue].nextDeadline.map({ $0 <= now }) ?? false {
                handle(side, .deadline)
            }
            settle()
        }
        now = end
    }

    func failures(_ end: End) -> [YamuxFailure] {
        events[end.rawValue].compactMap { if case .failed(let failure) = $0 { failure } else { nil } }
    }
}

/// One yamux session whose peer is the test.
struct YamuxSolo {
    var session: YamuxSession
    var now = Instant.zero
    var outputs: [YamuxSession.Output] = []

    init(_ role: YamuxRole, _ configuration: YamuxConfiguration = .withoutPings) {
        session = YamuxSession(role: role, configuration: configuration, at: .zero)
    }

    /// Handles one input and returns what came out.
    @discardableResult
    mutating func handle(_ input: YamuxSession.Input) -> [YamuxSession.Output] {
        session.handle(input, at: now)
        return drain()
    }

    @discardableResult
    mutating func receive(
        _ kind: YamuxHeader.Kind,
        _ flags: YamuxHeader.Flags = [],
        streamID: UInt32 = 0,
        length: UInt32 = 0
    ) -> [YamuxSession.Output] {
        handle(.header(YamuxHeader(kind, flags, streamID: streamID, length: length)))
    }

    mutating func open() throws(YamuxOpenError) -> UInt32 {
        let id = try session.open(at: now)
        outputs = drain()
        return id
    }

    mutating func drain() -> [YamuxSession.Output] {
        var result: [YamuxSession.Output] = []
        while let output = session.nextOutput() { result.append(output) }
        return result
    }

    /// Meets every deadline up to `duration` from now and returns what came out.
    mutating func advance(by duration: Duration) -> [YamuxSession.Output] {
        let end = now + duration
        var result: [YamuxSession.Output] = []
        while let due = session.nextDeadline, due <= end {
            now = max(now, due)
            result += handle(.deadline)
        }
        now = end
        return result
    }
}

extension YamuxConfiguration {
    static var withoutPings: YamuxConfiguration {
        var configuration = YamuxConfiguration()
        configuration.pingInterval = nil
        return configuration
    }
}

extension YamuxSession.Output {
    static func sent(
        _ kind: YamuxHeader.Kind,
        _ flags: YamuxHeader.Flags = [],
        streamID: UInt32 = 0,
        length: UInt32 = 0
    ) -> YamuxSession.Output {
        .transmit(YamuxHeader(kind, flags, streamID: streamID, length: length))
    }
}
