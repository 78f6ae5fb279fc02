// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import NIOCore

/// Two ends of a QUIC connection with a way between them, in virtual time.
final class QUICPair {
    /// The way between them.
    struct Way {
        var delay = Duration.milliseconds(20)
        /// Of so many packets one is lost; 0 for none.
        var lossOneOf: UInt64 = 0
        var isBroken = false
        /// How many bytes pass in a second, in each direction; nil for any number.
        var rate: Int?
        /// How many bytes wait for that at most; what comes then is lost.
        var queue = 100_000
        /// What becomes of a packet on its way; nil for nothing.
        var change: ((inout [UInt8]) -> Void)?
    }

    /// What an end has seen.
    struct Seen {
        var isEstablished = false
        var opened: [Int64] = []
        var bytes: [Int64: [UInt8]] = [:]
        var ended: Set<Int64> = []
        var closed: Set<Int64> = []
        var resets: [Int64: UInt64] = [:]
        var stops: Set<Int64> = []
        var datagrams: [[UInt8]] = []
        var end: QUICEnd?
    }

    static func key(_ number: UInt8) -> DeviceKey {
        guard let key = try? DeviceKey(seed: [UInt8](repeating: number, count: 32)) else { preconditionFailure() }
        return key
    }

    let clientKey: DeviceKey
    let serverKey: DeviceKey
    var way = Way()
    /// Whether what comes is at once taken for read.
    var consumes = true
    private(set) var now = Instant.zero + .seconds(5)
    private(set) var client: QUICConnection
    private(set) var server: QUICConnection?
    private(set) var seen: (client: Seen, server: Seen) = (Seen(), Seen())
    private(set) var sent: (client: [PacketBatch], server: [PacketBatch]) = ([], [])
    private(set) var packetCount = 0
    /// How many packets found the queue full.
    private(set) var lostInQueue = 0
    private var freeAt = (client: Instant.zero, server: Instant.zero)
    var records = false
    private let serverExpects: KeyFingerprint
    private let serverLimits: QUICLimits
    private var generator = SeededGenerator(seed: 6)
    private var flights: [(at: Instant, toServer: Bool, batch: PacketBatch)] = []

    init(
        clientExpects: KeyFingerprint? = nil,
        serverExpects: KeyFingerprint? = nil,
        clientLimits: QUICLimits = QUICLimits(),
        serverLimits: QUICLimits = QUICLimits()
    ) {
        clientKey = Self.key(1)
        serverKey = Self.key(2)
        self.serverExpects = serverExpects ?? clientKey.publicKey.keyFingerprint
        self.serverLimits = serverLimits
        client = .client(
            QUICIdentity(clientKey),
            peer: clientExpects ?? serverKey.publicKey.keyFingerprint,
            limits: clientLimits,
            at: now
        )
        flush()
    }

    /// Writes what both ends have to say now.
    func flush() {
        take(client, &seen.client)
        client.write(at: now) { leave($0, toServer: true) }
        take(client, &seen.client)
        if let farewell = client.farewell, seen.client.end != nil, !hasSaidGoodbye { sayGoodbye(farewell, true) }
        guard let server else { return }
        take(server, &seen.server)
        server.write(at: now) { leave($0, toServer: false) }
        take(server, &seen.server)
        if let farewell = server.farewell, seen.server.end != nil, !hasSaidGoodbye { sayGoodbye(farewell, false) }
    }

    private var hasSaidGoodbye = false

    private func sayGoodbye(_ batch: PacketBatch, _ toServer: Bool) {
        hasSaidGoodbye = true
        leave(batch, toServer: toServer)
    }

    private func leave(_ batch: PacketBatch, toServer: Bool) {
        if records { if toServer { sent.client.append(batch) } else { sent.server.append(batch) } }
        for var packet in batch.packets {
            packetCount += 1
            if way.isBroken { continue }
            if way.lossOneOf > 0, generator.next() % way.lossOneOf == 0 { continue }
            way.change?(&packet)
            if packet.isEmpty { continue }
            guard let passes = pass(packet.count, toServer) else { continue }
            flights.append((passes + way.delay, toServer, PacketBatch(packet)))
        }
    }

    /// When a packet has passed the narrowest place of the way; nil when it is lost there.
    private func pass(_ count: Int, _ toServer: Bool) -> Instant? {
        guard let rate = way.rate else { return now }
        func time(_ count: Int) -> Duration { .nanoseconds(Int64(count * 1_000_000_000 / rate)) }
        let free = max(now, toServer ? freeAt.client : freeAt.server)
        guard free - now <= time(way.queue - count) else {
            lostInQueue += 1
            return nil
        }
        if toServer { freeAt.client = free + time(count) } else { freeAt.server = free + time(count) }
        return free + time(count)
    }

    private func take(_ connection: QUICConnection, _ seen: inout Seen) {
        while let event = connection.nextEvent() {
            switch event {
            case .established: seen.isEstablished = true
            case .opened(let id): seen.opened.append(id)
            case .data(let id, let buffer, let isEnd):
                seen.bytes[id, default: []] += buffer.readableBytesView
                if isEnd { seen.ended.insert(id) }
                if consumes { connection.consumed(buffer.readableBytes, of: id) }
            case .reset(let id, let code): seen.resets[id] = code
            case .stopped(let id): seen.stops.insert(id)
            case .closed(let id): seen.closed.insert(id)
            case .streamsAllowed: break
            case .datagram(let buffer): seen.datagrams.append([UInt8](buffer.readableBytesView))
            case .ended(let end): seen.end = end
            }
        }
    }

    /// Lets time go on to the next thing that happens, at most until `limit`; false when nothing does.
    func step(until limit: Instant) -> Bool {
        flush()
        var next = flights.map(\.at).min()
        for deadline in [client.deadline, server?.deadline] {
            if let deadline { next = min(next ?? deadline, deadline) }
        }
        guard let next, next <= limit else {
            now = max(now, limit)
            return false
        }
        now = max(now, next)
        let due = flights.filter { $0.at <= now }
        flights.removeAll { $0.at <= now }
        for flight in due { arrive(flight.batch, toServer: flight.toServer) }
        if let deadline = client.deadline, deadline <= now { client.expire(at: now) }
        if let server, let deadline = server.deadline, deadline <= now { server.expire(at: now) }
        flush()
        return true
    }

    func arrive(_ batch: PacketBatch, toServer: Bool) {
        guard toServer else { return client.receive(batch, at: now) }
        if server == nil {
            server = .server(
                QUICIdentity(serverKey),
                peer: serverExpects,
                limits: serverLimits,
                first: batch[0],
                at: now
            )
        }
        server?.receive(batch, at: now)
    }

    /// Lets so much time pass.
    func run(for time: Duration) {
        let limit = now + time
        while step(until: limit) {}
    }

    /// Runs until something is so; false when it is not within the time.
    func run(for time: Duration, until isSo: (QUICPair) -> Bool) -> Bool {
        let limit = now + time
        while !isSo(self) {
            guard step(until: limit) else { return isSo(self) }
        }
        return true
    }

    /// Nothing passes, and no end looks at the clock.
    func standStill(for time: Duration) {
        flights = []
        now = now + time
    }
}
