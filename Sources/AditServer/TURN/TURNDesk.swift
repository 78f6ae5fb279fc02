// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTransport
import AditTraversal
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Synchronization

/// The relay of a server, for the clients of all transports: performs what a ``TURNRelay`` wants on real sockets.
///
/// What comes over UDP, and what peers send, is handled on the lane's thread, a round of datagrams under one taking of the
/// lock; what comes on connections is handled on their event loops, all messages of a read under one taking of it.
///
/// Unchecked because everything that changes is behind `lock`, which a round holds between two calls.
final class TURNDesk: @unchecked Sendable {
    /// A relay's socket.
    struct Port {
        let socket: LaneSocket
        /// What clients know it by.
        let relayed: IPEndpoint
    }

    /// The numbers of connections begin here; those of places for UDP are below.
    private static let firstConnection: UInt32 = 0x10000

    let setup: TURNSetup
    let places: TURNPlaces
    private let clock: Clock
    private let idle: TimeAmount
    /// Hears of allocations, outside of no lock: it must not call back.
    private let note: @Sendable (TURNRelayEvent) -> Void
    private let lock = NIOLock()
    private let ticks = Atomic<Bool>(false)

    private var relay: TURNRelay
    private var random: any RandomNumberGenerator & Sendable
    /// The relays' sockets, by the lower half of the relay's number.
    private var ports: [Port?] = []
    private var connections: [UInt32: TURNConnection] = [:]
    private var nextConnection = firstConnection
    private var clients = TURNClientPlaces()
    private let streamBatch = DatagramBatch()
    private var lane: DatagramLane?
    private var isStopped = false
    /// What the message that is being handled came to; where a relay is best opened.
    private var own: IPAddress?
    private var now = Instant.zero
    private var figures = TURNFigures()

    init(
        _ relay: TURNRelay,
        setup: TURNSetup,
        places: TURNPlaces,
        clock: Clock,
        random: any RandomNumberGenerator & Sendable,
        idle: TimeAmount,
        note: @escaping @Sendable (TURNRelayEvent) -> Void
    ) {
        self.relay = relay
        self.setup = setup
        self.places = places
        self.clock = clock
        self.random = random
        self.idle = idle
        self.note = note
    }

    /// Takes the lane on which relays' sockets are served from now on.
    func begin(on lane: DatagramLane) {
        lock.withLock { self.lane = lane }
    }

    /// Lets go of every socket and connection.
    func stop() {
        let connections = lock.withLock {
            isStopped = true
            ports = []
            lane = nil
            defer { self.connections = [:] }
            return Array(self.connections.values)
        }
        for connection in connections { connection.close() }
    }

    // MARK: Rounds of the lane

    /// Whether time has to be looked at each second.
    var isTicking: Bool { ticks.load(ordering: .relaxed) }

    /// Takes the lock for a round.
    func beganRound(_ batch: DatagramBatch) {
        lock.lock()
        now = clock.now()
        if let deadline = relay.nextDeadline, deadline <= now {
            relay.timer(at: now)
            perform(batch)
        }
    }

    /// Gives the lock back.
    func decidedRound() {
        ticks.store(relay.nextDeadline != nil, ordering: .relaxed)
        lock.unlock()
    }

    /// A round has sent; `count` datagrams were not taken by the system.
    func lost(_ count: Int) {
        lock.withLock { figures.lost += UInt64(count) }
    }

    /// A datagram of a client came in a round.
    func receive(
        _ buffer: UnsafeMutableRawBufferPointer,
        _ datagram: Range<Int>,
        fromClient path: DatagramPath,
        on socket: LaneSocket,
        _ batch: DatagramBatch
    ) {
        guard !isStopped, let number = clients.number(of: socket, at: path) else { return }
        own = path.local
        let tuple = TURNClientTuple(client: path.endpoint, socket: number, transport: .udp)
        take(buffer, datagram, from: tuple, batch)
    }

    /// A datagram of a peer came in a round.
    func receive(
        _ buffer: UnsafeMutableRawBufferPointer,
        _ datagram: Range<Int>,
        fromPeer path: DatagramPath,
        on socket: LaneSocket,
        _ batch: DatagramBatch
    ) {
        guard !isStopped else { return }
        var span = buffer.mutableBytes
        let id = TURNRelayID(socket.tag)
        if case .toClient(let tuple, let range) = relay.deliver(&span, datagram, from: path.endpoint, on: id, at: now) {
            send(UnsafeRawBufferPointer(rebasing: buffer[range]), to: tuple, batch)
        }
    }

    /// What a relay sent met an ICMP error.
    func refused(_ refusal: SocketRefusal, on socket: LaneSocket, _ batch: DatagramBatch) {
        guard !isStopped else { return }
        relay.refused(refusal, on: TURNRelayID(socket.tag), at: now)
        perform(batch)
    }

    // MARK: Connections

    /// A connection on which TURN is spoken from now on; nil when the server stops.
    func connect(_ channel: any Channel, from client: IPEndpoint, over transport: STUNTransport) -> TURNConnection? {
        lock.withLock {
            guard !isStopped, nextConnection < .max else { return nil }
            let tuple = TURNClientTuple(client: client, socket: nextConnection, transport: transport)
            nextConnection += 1
            let connection = TURNConnection(channel, tuple)
            connections[tuple.socket] = connection
            return connection
        }
    }

    /// A connection is over.
    func disconnected(_ connection: TURNConnection) {
        lock.withLock {
            guard connections.removeValue(forKey: connection.tuple.socket) != nil else { return }
            now = clock.now()
            relay.disconnected(connection.tuple, at: now)
            perform(streamBatch)
            figures.lost += UInt64(streamBatch.flush())
        }
    }

    /// Takes the whole messages at the beginning of what a connection brought: how many bytes they are, where among them the
    /// Binding requests are, which are not for the relay, and whether the rest can be no message.
    func receive(
        _ bytes: UnsafeMutableRawBufferPointer,
        from connection: TURNConnection,
        at own: IPAddress,
        limit: Int
    ) -> (taken: Int, bindings: [Range<Int>], isBroken: Bool) {
        var taken = 0
        var bindings: [Range<Int>] = []
        var isBroken = false
        let wakes = lock.withLock {
            let wasTicking = relay.nextDeadline != nil
            now = clock.now()
            self.own = own
            while taken < bytes.count, !isStopped {
                let rest = UnsafeRawBufferPointer(rebasing: bytes[taken...])
                let length: Int?
                do throws(STUNError) {
                    length = try ChannelData.byteCount(inStream: rest.bytes, limit: limit)
                } catch {
                    isBroken = true
                    break
                }
                guard let length, length <= rest.count else { break }
                if TURNMessageKind(rest) == .binding {
                    bindings.append(taken..<taken + length)
                } else if let copy = streamBatch.copy(UnsafeRawBufferPointer(rebasing: rest[..<length])) {
                    take(copy.buffer, copy.range, from: connection.tuple, streamBatch)
                }
                taken += length
                if streamBatch.isFilled { figures.lost += UInt64(streamBatch.flush()) }
            }
            figures.lost += UInt64(streamBatch.flush())
            return !wasTicking && relay.nextDeadline != nil ? lane : nil
        }
        wakes?.wake()
        return (taken, bindings, isBroken)
    }

    // MARK: What the relay decides

    private func take(
        _ buffer: UnsafeMutableRawBufferPointer,
        _ message: Range<Int>,
        from tuple: TURNClientTuple,
        _ batch: DatagramBatch
    ) {
        var span = buffer.mutableBytes
        switch relay.forward(&span, message, from: tuple, at: now) {
        case .toPeer(let id, let range, let peer, _):
            guard let port = port(id) else { return }
            batch.put(UnsafeRawBufferPointer(rebasing: buffer[range]), to: DatagramPath(to: peer), from: port.socket)
        case .toClient(let other, let range):
            send(UnsafeRawBufferPointer(rebasing: buffer[range]), to: other, batch)
        case .dropped: break
        case .control:
            relay.handle(UnsafeRawBufferPointer(rebasing: buffer[message]).bytes, from: tuple, at: now)
            perform(batch)
        }
    }

    private func send(_ message: UnsafeRawBufferPointer, to tuple: TURNClientTuple, _ batch: DatagramBatch) {
        if tuple.transport == .udp {
            guard let place = clients.place(tuple.socket) else { return }
            let path = DatagramPath(to: tuple.client).moved(toPort: tuple.client.port, local: place.local)
            batch.put(message, to: path, from: place.socket)
        } else if connections[tuple.socket]?.write(message) != true {
            figures.lost += 1
        }
    }

    private func port(_ id: TURNRelayID) -> Port? {
        let place = Int(UInt32(truncatingIfNeeded: id.number))
        guard place < ports.count, let port = ports[place], port.socket.tag == id.number else { return nil }
        return port
    }

    private func perform(_ batch: DatagramBatch) {
        while let output = relay.nextOutput() {
            switch output {
            case .toClient(let bytes, let tuple):
                bytes.withUnsafeBytes { bytes in
                    guard tuple.transport == .udp else { return send(bytes, to: tuple, batch) }
                    guard let copy = batch.copy(bytes) else { return }
                    send(UnsafeRawBufferPointer(rebasing: copy.buffer[copy.range]), to: tuple, batch)
                }
            case .openRelay(let id, let family, let wish): open(id, family, wish)
            case .toPeer(let id, let bytes, let peer, _):
                if let port = port(id) { batch.put(bytes, to: DatagramPath(to: peer), from: port.socket) }
            case .closeRelay(let id): close(id)
            case .event(let event): tell(event)
            }
        }
    }

    // MARK: Relays' sockets

    private func open(_ id: TURNRelayID, _ family: STUNAddressFamily, _ wish: TURNPort) {
        guard let place = places.place(for: family, near: own), let lane, !isStopped else {
            return relay.notOpened(id, now: now)
        }
        for _ in 0..<TURNPlaces.attempts {
            guard let number = places.port(in: setup.ports, wish, using: &random) else { break }
            guard let socket = try? LaneSocket.bindRelay(place.own, port: number, tag: id.number) else { continue }
            var next: LaneSocket?
            if case .evenKeepingNext(let other) = wish {
                next = try? LaneSocket.bindRelay(place.own, port: number + 1, tag: other.number)
                if next == nil { continue }
            }
            do {
                try lane.add(socket)
                if let next { try lane.add(next) }
            } catch {
                lane.remove(socket)
                break
            }
            for socket in [socket, next].compactMap({ $0 }) {
                keep(Port(socket: socket, relayed: IPEndpoint(place.announced, socket.port)))
            }
            return relay.opened(id, at: IPEndpoint(place.announced, number), now: now)
        }
        relay.notOpened(id, now: now)
    }

    private func keep(_ port: Port) {
        let place = Int(UInt32(truncatingIfNeeded: port.socket.tag))
        while ports.count <= place { ports.append(nil) }
        ports[place] = port
    }

    private func close(_ id: TURNRelayID) {
        guard let port = port(id) else { return }
        ports[Int(UInt32(truncatingIfNeeded: id.number))] = nil
        lane?.remove(port.socket)
    }

    private func tell(_ event: TURNRelayEvent) {
        switch event {
        case .allocated(_, _, let client): connections[client.socket]?.allocationBegan()
        case .released(_, _, let client, _, _): connections[client.socket]?.allocationEnded(idle: idle)
        }
        note(event)
    }

    // MARK: Credentials and figures

    /// A nonce for a client that has these credentials, which saves it a round trip.
    func nonce(for username: String, from address: IPAddress) -> String {
        lock.withLock { relay.nonce(for: username, from: address, at: clock.now()) }
    }

    /// Ends every allocation of a device.
    func release(_ device: String) {
        lock.withLock {
            now = clock.now()
            relay.release(device: device, at: now)
            perform(streamBatch)
            figures.lost += UInt64(streamBatch.flush())
        }
    }

    /// What was done, and what is there now.
    var current: (counters: TURNRelayCounters, figures: TURNFigures, allocations: Int, devices: [TURNDeviceUsage]) {
        lock.withLock { (relay.counters, figures, relay.allocationCount, relay.devices) }
    }
}

/// What a desk counts beside its relay.
struct TURNFigures: Sendable {
    /// Datagrams that the system or a client did not take.
    var lost: UInt64 = 0
}
