// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import Testing

/// A query and a server with their sockets tied together.
@Suite struct STUNQueryTests {
    private static let client = IPEndpoint(.v4(0xC633_6407), 50_000)
    private static let address = IPAddress.v4(0xCB00_7101)
    private static let endpoint = IPEndpoint(address, 3478)

    private static func query(_ transport: STUNTransport, to server: IPEndpoint = endpoint) -> STUNQuery {
        STUNQuery(
            STUNQuery.Configuration(server: server, transport: transport),
            random: SeededGenerator(seed: 1)
        )
    }

    /// Lets the two speak until the query is over; `isLost` says which of the query's datagrams get lost.
    private static func play(
        _ transport: STUNTransport,
        isLost: (Int) -> Bool = { _ in false }
    ) -> (event: STUNQuery.Event?, end: Instant) {
        var query = query(transport)
        var server = STUNServer(STUNServer.Sockets(address: address), seed: 1)
        let accepted = SocketID(SocketID.acceptedStart)
        var listener = SocketID(0)
        var datagrams = SocketID(0)
        var now = Instant.zero
        var sent = 0
        while let output = server.nextOutput() {
            if case .open(let id, .listener) = output { listener = id }
            if case .open(let id, .udp) = output { datagrams = id }
        }
        while true {
            guard let output = query.nextOutput() else {
                guard let deadline = query.nextDeadline else { return (nil, now) }
                now = deadline
                query.handle(.timer, at: now)
                continue
            }
            switch output {
            case .open(let id, .udp): query.handle(.opened(id, local: client), at: now)
            case .open(let id, .tcp):
                server.handle(.accepted(accepted, by: listener, local: endpoint, remote: client), at: now)
                query.handle(.connected(id, local: client, remote: endpoint), at: now)
            case .open, .close, .request, .sendBatch, .offer, .offerBatch: break
            case .send(let id, let bytes, let to, _):
                sent += 1
                guard to == endpoint, !isLost(sent) else { break }
                server.handle(.received(datagrams, bytes, from: client), at: now)
                while let answer = server.nextOutput() {
                    guard case .send(_, let reply, _, _) = answer else { continue }
                    query.handle(.received(id, reply, from: endpoint), at: now + .milliseconds(20))
                }
            case .write(let id, let bytes):
                for byte in bytes { server.handle(.bytes(accepted, [byte]), at: now) }
                while let answer = server.nextOutput() {
                    guard case .write(_, let reply) = answer else { continue }
                    for byte in reply { query.handle(.bytes(id, [byte]), at: now) }
                }
            case .event(let event): return (event, now)
            }
        }
    }

    @Test func theServerSaysWhereItSawTheClient() {
        guard case .answered(Self.client, Self.client, Self.endpoint, .milliseconds(20)) = Self.play(.udp).event else {
            Issue.record("not answered")
            return
        }
        guard case .answered(Self.client, _, _, _) = Self.play(.tcp).event else {
            Issue.record("not answered over TCP")
            return
        }
    }

    @Test func lostRequestsAreSentAgain() {
        let (event, end) = Self.play(.udp) { $0 <= 3 }
        guard case .answered = event else {
            Issue.record("not answered")
            return
        }
        #expect(end == Instant.zero + .milliseconds(3500))
        let (none, late) = Self.play(.udp) { _ in true }
        #expect(none == .timedOut)
        #expect(late == Instant.zero + .milliseconds(39_500))
    }

    @Test func itNeverFollowsServersInACircle() {
        var query = Self.query(.udp)
        var asked: [IPEndpoint] = []
        var event: STUNQuery.Event?
        while let output = query.nextOutput() {
            switch output {
            case .open(let id, _): query.handle(.opened(id, local: Self.client), at: .zero)
            case .send(let id, let bytes, let to, _):
                asked.append(to)
                guard var message = try? STUNMessage.decode(bytes.span.bytes) else { continue }
                message.kind = .error
                // Each server knows another one, the fourth only the first.
                let next = asked.count == 4 ? Self.endpoint : IPEndpoint(Self.address, UInt16(asked.count))
                message.attributes = [.errorCode(300, reason: ""), .alternateServer(next)]
                var reply: [UInt8] = []
                message.encode(into: &reply)
                query.handle(.received(id, reply, from: to), at: .zero)
            case .event(let found): event = found
            default: continue
            }
        }
        #expect(event == .refused(300, reason: ""))
        #expect(asked.count == 4)
    }

    @Test func anAnswerFromSomebodyElseDoesNotCount() {
        var query = Self.query(.udp)
        while let output = query.nextOutput() {
            switch output {
            case .open(let id, _): query.handle(.opened(id, local: Self.client), at: .zero)
            case .send(let id, let bytes, _, _):
                guard var message = try? STUNMessage.decode(bytes.span.bytes) else { continue }
                message.kind = .success
                message.attributes = [.xorMappedAddress(Self.client)]
                var reply: [UInt8] = []
                message.encode(into: &reply)
                query.handle(.received(id, reply, from: IPEndpoint(.v4(1), 3478)), at: .zero)
            case .event: Issue.record("answered by a stranger")
            default: continue
            }
        }
        #expect(query.nextDeadline != nil)
    }

    @Test func aStreamThatIsNotSTUNEndsTheQuery() {
        var query = Self.query(.tcp)
        var event: STUNQuery.Event?
        while let output = query.nextOutput() {
            switch output {
            case .open(let id, _):
                query.handle(.connected(id, local: Self.client, remote: Self.endpoint), at: .zero)
            case .write(let id, _): query.handle(.bytes(id, Array("HTTP/1.1 400 Bad Request\r\n".utf8)), at: .zero)
            case .event(let found): event = found
            default: continue
            }
        }
        #expect(event == .failed(.malformed))
    }

    @Test func aServerDropsStreamsThatAreSilentOrWrong() {
        var server = STUNServer(STUNServer.Sockets(address: Self.address), seed: 1)
        var listener = SocketID(0)
        while let output = server.nextOutput() {
            if case .open(let id, .listener) = output { listener = id }
        }
        for number in 0...UInt32(STUNServer.connectionLimit) {
            let id = SocketID(SocketID.acceptedStart + number)
            server.handle(.accepted(id, by: listener, local: Self.endpoint, remote: Self.client), at: .zero)
        }
        let last = SocketID(SocketID.acceptedStart + UInt32(STUNServer.connectionLimit))
        #expect(server.nextOutput() == .close(last, isAbrupt: true))
        let first = SocketID(SocketID.acceptedStart)
        server.handle(.bytes(first, [0xFF]), at: .zero)
        #expect(server.nextOutput() == .close(first, isAbrupt: true))
        #expect(server.nextDeadline == Instant.zero + STUNServer.idleLimit)
        server.handle(.timer, at: .zero + STUNServer.idleLimit)
        var closed = 0
        while let output = server.nextOutput() {
            if case .close = output { closed += 1 }
        }
        #expect(closed == STUNServer.connectionLimit - 1)
        #expect(server.nextDeadline == nil)
    }
}
