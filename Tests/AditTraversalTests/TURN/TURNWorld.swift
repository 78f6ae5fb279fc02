// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTraversal
import AditWire

/// A relay and its clients back to back in virtual time, over a network that delays and loses what is sent over UDP.
struct TURNWorld {
    static let secret = TURNSecret(Array("0123456789abcdef".utf8))
    static let unixSeconds: Int64 = 1_800_000_000
    static let server = IPEndpoint(.v4(0xCB00_7101), 3478)

    struct Client {
        var tuple: TURNClientTuple
        var machine: TURNClient
        var events: [TURNClientEvent] = []
        /// Messages of the client that are kept from the server.
        var isCut = false
        var transmitted = 0
    }

    private enum Delivery {
        case toServer([UInt8], Int)
        case toClient([UInt8], Int)
    }

    var relay: TURNRelay
    var clients: [Client] = []
    var now = Instant.zero
    var loss = 0.0
    var delay = Duration.milliseconds(10)
    /// What left for peers.
    var sent: [(relay: TURNRelayID, bytes: [UInt8], to: IPEndpoint)] = []
    var open: [TURNRelayID: IPEndpoint] = [:]
    var closed: [TURNRelayID] = []
    var events: [TURNRelayEvent] = []
    /// Answers of the relay to clients that are none of `clients`.
    var answers: [(bytes: [UInt8], client: TURNClientTuple)] = []
    var refusesToOpen = false
    /// Where relays of IPv4 are.
    var relayAddress = TURNWorld.server.address
    private var nextPort: UInt16 = 50_001
    private var queue: [(at: Instant, order: Int, what: Delivery)] = []
    private var order = 0
    private var dice = SeededGenerator(seed: 7)

    init(seed: UInt64 = 1, _ change: (inout TURNRelayConfiguration) -> Void = { _ in }) {
        var configuration = TURNRelayConfiguration(
            secrets: [Self.secret],
            relayAddresses: [Self.server.address]
        )
        change(&configuration)
        relay = TURNRelay(
            configuration,
            unixSecondsAtZero: Self.unixSeconds,
            random: SeededGenerator(seed: seed)
        )
        dice = SeededGenerator(seed: seed &* 31)
    }

    static func tuple(_ number: Int, _ transport: STUNTransport = .udp) -> TURNClientTuple {
        TURNClientTuple(
            client: IPEndpoint(.v4(0xC633_6400 + UInt32(number)), UInt16(40_000 + number)),
            socket: transport == .udp ? 0 : UInt32(number + 1),
            transport: transport
        )
    }

    static func credentials(_ device: String, lasting seconds: Int64 = 86_400) -> TURNCredentials {
        secret.credentials(device: device, expiry: unixSeconds + seconds)
    }

    /// Adds a client, which has not begun.
    mutating func add(
        _ device: String = "desk",
        _ transport: STUNTransport = .udp,
        change: (inout TURNClientConfiguration) -> Void = { _ in }
    ) -> Int {
        let number = clients.count
        let credentials = Self.credentials(device)
        var configuration = TURNClientConfiguration(
            server: Self.server,
            transport: transport,
            username: credentials.username,
            password: credentials.password
        )
        change(&configuration)
        let machine = TURNClient(configuration, random: SeededGenerator(seed: UInt64(number) + 100))
        clients.append(Client(tuple: Self.tuple(number, transport), machine: machine))
        return number
    }

    /// Adds a client and waits for its allocation.
    mutating func allocated(_ device: String = "desk", _ transport: STUNTransport = .udp) -> Int {
        let number = add(device, transport)
        tell(number, .start)
        run(for: .seconds(1))
        return number
    }

    mutating func tell(_ client: Int, _ input: TURNClientInput) {
        clients[client].machine.handle(input, at: now)
        drain(client)
    }

    /// A peer sends a datagram to a client's relay.
    mutating func peerSends(_ bytes: [UInt8], from peer: IPEndpoint, to client: Int) {
        guard let relayed = clients[client].machine.relayed,
            let id = open.first(where: { $0.value == relayed })?.key
        else { return }
        relay.received(bytes.span.bytes, from: peer, on: id, at: now)
        drainRelay()
    }

    mutating func ask(_ bytes: [UInt8], from client: TURNClientTuple) {
        relay.handle(bytes.span.bytes, from: client, at: now)
        drainRelay()
    }

    mutating func run(for duration: Duration) {
        let end = now + duration
        while true {
            var next = end
            if let first = queue.map(\.at).min() { next = min(next, first) }
            for client in clients { if let deadline = client.machine.nextDeadline { next = min(next, deadline) } }
            if let deadline = relay.nextDeadline { next = min(next, deadline) }
            now = max(now, next)
            if let index = queue.indices.min(by: { (queue[$0].at, queue[$0].order) < (queue[$1].at, queue[$1].order) }),
                queue[index].at <= now
            {
                perform(queue.remove(at: index).what)
            }
            for number in clients.indices {
                guard let deadline = clients[number].machine.nextDeadline, deadline <= now else { continue }
                tell(number, .timer)
            }
            if let deadline = relay.nextDeadline, deadline <= now {
                relay.timer(at: now)
                drainRelay()
            }
            if now >= end, !queue.contains(where: { $0.at <= now }) { return }
        }
    }

    mutating func takeEvents(_ client: Int) -> [TURNClientEvent] {
        defer { clients[client].events = [] }
        return clients[client].events
    }

    private mutating func perform(_ delivery: Delivery) {
        switch delivery {
        case .toServer(let bytes, let client):
            if clients[client].tuple.transport == .udp { return ask(bytes, from: clients[client].tuple) }
            var rest = bytes
            while let count = try? ChannelData.byteCount(inStream: rest.span.bytes), count > 0 {
                ask(Array(rest.prefix(count)), from: clients[client].tuple)
                rest.removeFirst(count)
            }
        case .toClient(let bytes, let client):
            guard clients[client].tuple.transport != .udp else { return tell(client, .received(bytes)) }
            // A stream comes in pieces.
            for start in stride(from: 0, to: bytes.count, by: 7) {
                tell(client, .received(Array(bytes[start..<min(start + 7, bytes.count)])))
            }
        }
    }

    private mutating func post(_ delivery: Delivery, isLossy: Bool) {
        if isLossy, dice.nextFraction() < loss { return }
        order += 1
        queue.append((now + delay, order, delivery))
    }

    private mutating func drain(_ client: Int) {
        while let output = clients[client].machine.nextOutput() {
            switch output {
            case .transmit(let bytes):
                clients[client].transmitted += 1
                if !clients[client].isCut {
                    post(.toServer(bytes, client), isLossy: clients[client].tuple.transport == .udp)
                }
            case .transmitBatch(let batch):
                for packet in batch.packets where !clients[client].isCut {
                    clients[client].transmitted += 1
                    post(.toServer(packet, client), isLossy: true)
                }
            case .offer(let bytes):
                clients[client].transmitted += 1
                if !clients[client].isCut { post(.toServer(bytes, client), isLossy: false) }
            case .event(let event): clients[client].events.append(event)
            }
        }
    }

    mutating func drainRelay() {
        while let output = relay.nextOutput() {
            switch output {
            case .toClient(let bytes, let tuple):
                guard let client = clients.firstIndex(where: { $0.tuple == tuple }) else {
                    answers.append((bytes, tuple))
                    continue
                }
                post(.toClient(bytes, client), isLossy: tuple.transport == .udp)
            case .openRelay(let id, let family, let port):
                guard !refusesToOpen else {
                    relay.notOpened(id, now: now)
                    continue
                }
                if port != .any { nextPort += nextPort & 1 }
                let address: IPAddress = family == .v4 ? relayAddress : .v6(high: 0x2001_0DB8 << 32, low: 1)
                let endpoint = IPEndpoint(address, nextPort)
                open[id] = endpoint
                nextPort += 1
                if case .evenKeepingNext(let other) = port {
                    open[other] = IPEndpoint(address, nextPort)
                    nextPort += 1
                }
                relay.opened(id, at: endpoint, now: now)
            case .toPeer(let id, let bytes, let to, _): sent.append((id, bytes, to))
            case .closeRelay(let id):
                open[id] = nil
                closed.append(id)
            case .event(let event): events.append(event)
            }
        }
    }
}
