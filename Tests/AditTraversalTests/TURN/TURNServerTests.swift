// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTraversal
import AditWire
import Testing

/// A server's machine and a client's, on two addresses of one wire.
private struct TURNWire {
    static let serverAddress = IPAddress.v4(0xCB00_7101)
    static let clientAddress = IPAddress.v4(0xC633_6401)

    private enum Delivery {
        case datagram([UInt8], from: IPEndpoint, to: IPEndpoint)
        case serverInput(SocketInput)
        case queryInput(SocketInput)
    }

    var server: TURNServer
    var query: TURNQuery
    var now = Instant.zero
    var events: [TURNQuery.Event] = []
    var serverEvents: [TURNServer.Event] = []
    /// Ports on which the server's host opens nothing.
    var isTaken: (UInt16) -> Bool = { _ in false }
    private var serverSockets: [SocketID: IPEndpoint] = [:]
    private var listener: SocketID?
    private var querySockets: [SocketID: IPEndpoint] = [:]
    private var connection: (query: SocketID, server: SocketID)?
    private var queue: [(at: Instant, what: Delivery)] = []

    var openServerSockets: Int { serverSockets.count }

    init(server: TURNServer, query: TURNQuery) {
        self.server = server
        self.query = query
    }

    mutating func run(for duration: Duration) {
        let end = now + duration
        drain()
        while let next = [queue.first?.at, server.nextDeadline, query.nextDeadline].compactMap({ $0 }).min(),
            next <= end
        {
            now = max(now, next)
            if let first = queue.first, first.at <= now {
                queue.removeFirst()
                perform(first.what)
            }
            if let deadline = server.nextDeadline, deadline <= now { server.handle(.timer, at: now) }
            if let deadline = query.nextDeadline, deadline <= now { query.handle(.timer, at: now) }
            drain()
        }
        now = end
    }

    private mutating func perform(_ delivery: Delivery) {
        switch delivery {
        case .serverInput(let input): server.handle(input, at: now)
        case .queryInput(let input): query.handle(input, at: now)
        case .datagram(let bytes, let source, let target):
            if let id = serverSockets.first(where: { $0.value == target })?.key {
                server.handle(.received(id, bytes, from: source), at: now)
            } else if let id = querySockets.first(where: { $0.value == target })?.key {
                query.handle(.received(id, bytes, from: source), at: now)
            }
        }
    }

    private mutating func post(_ delivery: Delivery) { queue.append((now + .milliseconds(10), delivery)) }

    private mutating func drain() {
        while let output = server.nextOutput() {
            switch output {
            case .open(let id, .udp(let local)):
                if isTaken(local.port) {
                    post(.serverInput(.closed(id, .addressUnavailable)))
                } else {
                    serverSockets[id] = local
                    post(.serverInput(.opened(id, local: local)))
                }
            case .open(let id, .listener(let local)):
                listener = listener ?? id
                post(.serverInput(.opened(id, local: local)))
            case .send(let id, let bytes, let to, _):
                if let source = serverSockets[id] { post(.datagram(bytes, from: source, to: to)) }
            case .write(_, let bytes): if let connection { post(.queryInput(.bytes(connection.query, bytes))) }
            case .close(let id, _): serverSockets[id] = nil
            case .event(let event): serverEvents.append(event)
            default: break
            }
        }
        while let output = query.nextOutput() {
            switch output {
            case .open(let id, .udp):
                let local = IPEndpoint(Self.clientAddress, 40_000)
                querySockets[id] = local
                post(.queryInput(.opened(id, local: local)))
            case .open(let id, .tcp(_, let remote)), .open(let id, .tls(_, let remote, _)):
                let local = IPEndpoint(Self.clientAddress, 40_001)
                let accepted = SocketID(SocketID.acceptedStart)
                connection = (id, accepted)
                if let listener {
                    post(.serverInput(.accepted(accepted, by: listener, local: remote, remote: local)))
                }
                post(.queryInput(.connected(id, local: local, remote: remote)))
            case .send(let id, let bytes, let to, _):
                if let source = querySockets[id] { post(.datagram(bytes, from: source, to: to)) }
            case .write(_, let bytes): if let connection { post(.serverInput(.bytes(connection.server, bytes))) }
            case .close(let id, _):
                querySockets[id] = nil
                if let connection, connection.query == id {
                    post(.serverInput(.closed(connection.server, .finished)))
                    self.connection = nil
                }
            case .event(let event): events.append(event)
            default: break
            }
        }
    }
}

@Suite struct TURNServerTests {
    private static let credentials = TURNWorld.secret.credentials(device: "desk", expiry: 1000)

    private func wire(
        _ transport: STUNTransport,
        password: String = credentials.password,
        port: UInt16 = 3478
    ) -> TURNWire {
        let server = TURNServer(
            STUNServer.Sockets(address: TURNWire.serverAddress, port: 3478, alternatePort: 3479),
            relay: TURNRelayConfiguration(secrets: [TURNWorld.secret]),
            random: SeededGenerator(seed: 3)
        )
        let query = TURNQuery(
            TURNClientConfiguration(
                server: IPEndpoint(TURNWire.serverAddress, port),
                transport: transport,
                username: Self.credentials.username,
                password: password
            ),
            random: SeededGenerator(seed: 4)
        )
        return TURNWire(server: server, query: query)
    }

    @Test(arguments: [STUNTransport.udp, .tcp, .tls])
    func aDatagramToItselfComesBack(transport: STUNTransport) throws {
        var wire = wire(transport)
        wire.run(for: .seconds(3))
        guard case .answered(let finding)? = wire.events.first else {
            Issue.record("\(wire.events)")
            return
        }
        #expect(wire.events.count == 1)
        #expect(finding.relayed.address == TURNWire.serverAddress)
        #expect((49_152...65_535).contains(finding.relayed.port))
        #expect(finding.mapped.address == TURNWire.clientAddress)
        #expect(finding.echo == .arrived(.milliseconds(20)))
        // Nothing remains but the server's own two ports.
        wire.run(for: .seconds(60))
        #expect(wire.openServerSockets == 2)
        #expect(wire.server.relay.allocationCount == 0)
        #expect(wire.query.nextDeadline == nil)
        #expect(wire.serverEvents.count == 2)
    }

    @Test func takenPortsAreTriedAgain() {
        var wire = wire(.udp)
        wire.isTaken = { $0 > 4000 && $0 % 8 != 0 }
        wire.run(for: .seconds(3))
        guard case .answered(let finding)? = wire.events.first else {
            Issue.record("\(wire.events)")
            return
        }
        #expect(finding.relayed.port % 8 == 0)
        var full = self.wire(.udp)
        full.isTaken = { $0 > 4000 }
        full.run(for: .seconds(3))
        #expect(full.events == [.refused(.capacity)])
        #expect(full.server.relay.allocationCount == 0)
    }

    @Test func whatFailsIsNamed() {
        var wrong = wire(.udp, password: "wrong")
        wrong.run(for: .seconds(3))
        #expect(wrong.events == [.refused(.unauthorized)])
        var silent = wire(.udp, port: 9)
        silent.run(for: .seconds(4))
        #expect(silent.events == [.refused(.timedOut)])
        #expect(silent.now <= .zero + .seconds(4))
    }
}
