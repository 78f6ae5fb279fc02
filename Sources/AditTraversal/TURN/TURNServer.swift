// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

/// A STUN and TURN server as a machine with sockets: what AditLab runs on a simulated host.
///
/// The server of `adit server` has sockets of its own, and the same `STUNResponder` and `TURNRelay` behind them.
package struct TURNServer: SocketMachine {
    /// What the machine tells.
    package enum Event: Sendable, Equatable {
        /// A listening socket could not be opened.
        case failed(STUNServerSocket, SocketEnd)
        /// An allocation came to be, or ended.
        case relay(TURNRelayEvent)
    }

    /// How many TCP connections are open at once.
    package static let connectionLimit = 1024
    /// How long a TCP connection may be silent that has no allocation.
    package static let idleLimit = Duration.seconds(30)
    /// How many ports are tried for a relay.
    private static let attemptLimit = 16
    /// Relays' sockets have numbers from here on, below those of accepted connections.
    private static let firstRelaySocket: UInt32 = 1 << 20

    private struct Connection: Sendable {
        var remote: IPEndpoint
        var pending: [UInt8] = []
        var deadline: Instant
        /// Whether a TURN message has come; STUN has forgotten it then.
        var isTURN = false
    }

    private struct Opening: Sendable {
        var relay: TURNRelayID
        var family: STUNAddressFamily
        var port: TURNPort
        var attempt: Int
        /// The socket for the port above, and whether it is there.
        var kept: (socket: SocketID, isOpen: Bool)?
        var local: IPEndpoint?
    }

    /// The relay.
    package private(set) var relay: TURNRelay
    private var stun: STUNServer
    private let sockets: STUNServer.Sockets
    private let announced: [STUNAddressFamily: IPAddress]
    private let ports: ClosedRange<UInt16>
    private var random: any RandomNumberGenerator & Sendable
    private var outputs: [SocketOutput<Event>] = []
    private var connections: [SocketID: Connection] = [:]
    private var openings: [SocketID: Opening] = [:]
    /// The opening to which a socket for a kept port belongs.
    private var keptOpenings: [SocketID: SocketID] = [:]
    private var relays: [SocketID: TURNRelayID] = [:]
    private var relaySockets: [TURNRelayID: SocketID] = [:]
    private var nextSocket = TURNServer.firstRelaySocket

    /// Makes a server.
    ///
    /// - Parameters:
    ///   - sockets: where it listens, and the address of its relays.
    ///   - announced: the address at which relays are announced, when it is another one.
    ///   - ports: the ports of relays.
    package init(
        _ sockets: STUNServer.Sockets,
        stun: STUNServerConfiguration? = nil,
        relay: TURNRelayConfiguration,
        announced: IPAddress? = nil,
        ports: ClosedRange<UInt16> = 49152...65535,
        unixSecondsAtZero: Int64 = 0,
        random: any RandomNumberGenerator & Sendable
    ) {
        var random = random
        self.sockets = sockets
        self.stun = STUNServer(sockets, configuration: stun, seed: random.next())
        var configuration = relay
        let address = announced ?? sockets.address
        let family = STUNAddressFamily(of: address)
        self.announced = [family: address]
        configuration.families = [family]
        configuration.relayAddresses = [address]
        self.relay = TURNRelay(configuration, unixSecondsAtZero: unixSecondsAtZero, random: random)
        self.ports = ports
        for _ in 0..<64 { _ = random.next() }
        self.random = random
        flush(at: .zero)
    }

    package var nextDeadline: Instant? {
        var earliest = stun.nextDeadline
        let take = { (other: Instant?) in
            guard let other else { return }
            earliest = earliest.map { min($0, other) } ?? other
        }
        take(relay.nextDeadline)
        take(connections.values.lazy.filter(\.isTURN).map(\.deadline).min())
        return earliest
    }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        switch input {
        case .received(let id, let bytes, let source):
            if let relayID = relays[id] {
                relay.received(bytes.span.bytes, from: source, on: relayID, at: now)
            } else if Self.isBinding(bytes) {
                stun.handle(input, at: now)
            } else {
                let client = TURNClientTuple(client: source, socket: id.number, transport: .udp)
                relay.handle(bytes.span.bytes, from: client, at: now)
            }
        case .refused(let id, let refusal):
            if let relayID = relays[id] { relay.refused(refusal, on: relayID, at: now) }
        case .opened(let id, let local):
            if openings[id] != nil || keptOpenings[id] != nil {
                opened(id, local, at: now)
            } else {
                stun.handle(input, at: now)
            }
        case .accepted(let id, _, _, let remote):
            guard connections.count < Self.connectionLimit else {
                outputs.append(.close(id, isAbrupt: true))
                return
            }
            connections[id] = Connection(remote: remote, deadline: now + Self.idleLimit)
            stun.handle(input, at: now)
        case .bytes(let id, let bytes): take(bytes, id, at: now)
        case .closed(let id, let end): closed(id, end, at: now)
        case .timer:
            stun.handle(.timer, at: now)
            relay.timer(at: now)
            for (id, connection) in connections where connection.isTURN && connection.deadline <= now {
                if relay.hasAllocation(tuple(id, connection)) {
                    connections[id]?.deadline = now + Self.idleLimit
                } else {
                    drop(id, at: now)
                }
            }
        default: stun.handle(input, at: now)
        }
        flush(at: now)
    }

    private static func isBinding(_ bytes: [UInt8]) -> Bool {
        bytes.count < 2 || (bytes[0] & 0xFE == 0 && bytes[1] & 0xEF == 1)
    }

    private func tuple(_ id: SocketID, _ connection: Connection) -> TURNClientTuple {
        TURNClientTuple(client: connection.remote, socket: id.number, transport: .tcp)
    }

    private mutating func take(_ bytes: [UInt8], _ id: SocketID, at now: Instant) {
        guard var connection = connections.removeValue(forKey: id) else {
            return stun.handle(.bytes(id, bytes), at: now)
        }
        connection.pending += bytes
        connection.deadline = now + Self.idleLimit
        var start = 0
        while start < connection.pending.count {
            let count: Int?
            do throws(STUNError) {
                let rest = connection.pending.span.bytes.extracting(start..<connection.pending.count)
                count = try ChannelData.byteCount(inStream: rest)
            } catch {
                connections[id] = connection
                return drop(id, at: now)
            }
            guard let count, connection.pending.count - start >= count else { break }
            let message = Array(connection.pending[start..<(start + count)])
            start += count
            if !connection.isTURN, Self.isBinding(message) {
                stun.handle(.bytes(id, message), at: now)
                continue
            }
            if !connection.isTURN {
                connection.isTURN = true
                stun.handle(.closed(id, .reset), at: now)
            }
            relay.handle(message.span.bytes, from: tuple(id, connection), at: now)
        }
        connection.pending.removeFirst(start)
        connections[id] = connection
    }

    private mutating func drop(_ id: SocketID, at now: Instant) {
        guard let connection = connections.removeValue(forKey: id) else { return }
        relay.disconnected(tuple(id, connection), at: now)
        if !connection.isTURN { stun.handle(.closed(id, .reset), at: now) }
        outputs.append(.close(id, isAbrupt: true))
    }

    private mutating func closed(_ id: SocketID, _ end: SocketEnd, at now: Instant) {
        if let connection = connections.removeValue(forKey: id) {
            relay.disconnected(tuple(id, connection), at: now)
            if !connection.isTURN {
                stun.handle(.closed(id, end), at: now)
            } else if end == .finished {
                outputs.append(.close(id, isAbrupt: false))
            }
        } else if openings[id] != nil || keptOpenings[id] != nil {
            notOpened(id, at: now)
        } else if let relayID = relays.removeValue(forKey: id) {
            relaySockets[relayID] = nil
        } else {
            stun.handle(.closed(id, end), at: now)
        }
    }

    // MARK: relays' sockets

    private mutating func open(_ opening: Opening) {
        let id = SocketID(nextSocket)
        nextSocket += 1
        var opening = opening
        opening.local = nil
        opening.kept = nil
        var port = ports.lowerBound + UInt16(random.next(upperBound: UInt64(ports.count)))
        if opening.port != .any { port &= ~1 }
        if case .evenKeepingNext = opening.port {
            let other = SocketID(nextSocket)
            nextSocket += 1
            opening.kept = (other, false)
            keptOpenings[other] = id
            outputs.append(.open(other, .udp(local: IPEndpoint(sockets.address, port + 1))))
        }
        openings[id] = opening
        outputs.append(.open(id, .udp(local: IPEndpoint(sockets.address, port))))
    }

    private mutating func opened(_ id: SocketID, _ local: IPEndpoint, at now: Instant) {
        let main = keptOpenings[id] ?? id
        guard var opening = openings[main] else { return }
        if main == id { opening.local = local } else { opening.kept?.isOpen = true }
        openings[main] = opening
        guard let local = opening.local, opening.kept?.isOpen != false else { return }
        openings[main] = nil
        relays[main] = opening.relay
        relaySockets[opening.relay] = main
        if let kept = opening.kept, case .evenKeepingNext(let other) = opening.port {
            keptOpenings[kept.socket] = nil
            relays[kept.socket] = other
            relaySockets[other] = kept.socket
        }
        let address = announced[opening.family] ?? local.address
        relay.opened(opening.relay, at: IPEndpoint(address, local.port), now: now)
    }

    private mutating func notOpened(_ id: SocketID, at now: Instant) {
        let main = keptOpenings[id] ?? id
        guard var opening = openings.removeValue(forKey: main) else { return }
        if let kept = opening.kept {
            keptOpenings[kept.socket] = nil
            // Of the two the other one may be there, or come yet.
            outputs.append(.close(kept.socket == id ? main : kept.socket, isAbrupt: false))
        }
        opening.attempt += 1
        if opening.attempt < Self.attemptLimit { open(opening) } else { relay.notOpened(opening.relay, now: now) }
    }

    private mutating func close(_ relayID: TURNRelayID) {
        if let socket = relaySockets.removeValue(forKey: relayID) {
            relays[socket] = nil
            outputs.append(.close(socket, isAbrupt: false))
        } else if let (socket, opening) = openings.first(where: { $0.value.relay == relayID }) {
            openings[socket] = nil
            outputs.append(.close(socket, isAbrupt: false))
            if let kept = opening.kept {
                keptOpenings[kept.socket] = nil
                outputs.append(.close(kept.socket, isAbrupt: false))
            }
        }
    }

    // MARK: outputs

    private mutating func flush(at now: Instant) {
        while let output = stun.nextOutput() {
            switch output {
            case .open(let id, let kind): outputs.append(.open(id, kind))
            case .send(let id, let bytes, let to, let timeToLive):
                outputs.append(.send(id, bytes, to: to, timeToLive: timeToLive))
            case .write(let id, let bytes): outputs.append(.write(id, bytes))
            case .close(let id, let isAbrupt):
                connections[id] = nil
                outputs.append(.close(id, isAbrupt: isAbrupt))
            case .sendBatch, .offer, .offerBatch, .request: break
            case .event(.failed(let socket, let end)): outputs.append(.event(.failed(socket, end)))
            }
        }
        while let output = relay.nextOutput() {
            switch output {
            case .toClient(let bytes, let client):
                let id = SocketID(client.socket)
                if client.transport == .udp {
                    outputs.append(.send(id, bytes, to: client.client, timeToLive: nil))
                } else {
                    outputs.append(.write(id, bytes))
                }
            case .openRelay(let id, let family, let port):
                open(Opening(relay: id, family: family, port: port, attempt: 0))
            case .toPeer(let id, let bytes, let to, _):
                guard let socket = relaySockets[id] else { continue }
                outputs.append(.send(socket, bytes, to: to, timeToLive: nil))
            case .closeRelay(let id): close(id)
            case .event(let event): outputs.append(.event(.relay(event)))
            }
        }
    }
}
