// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// The lab's rendezvous: it waits until both hosts of a pair have said where they are, and tells each about the other.
///
/// Over UDP a host repeats its hello until it is answered; over TCP the connection carries both.
package struct Rendezvous: SocketMachine {
    /// It tells nothing.
    package enum Event: Sendable, Equatable {}

    /// The port on which it is reached over both transports.
    package static let port: UInt16 = 3480
    /// How many connections it holds at once.
    package static let connectionLimit = 64

    private static let datagrams = SocketID(1)
    private static let listener = SocketID(2)

    private enum Way: Sendable {
        case datagram(IPEndpoint)
        case connection(SocketID)
    }

    private struct Party: Sendable {
        var way: Way
        var addresses: [IPEndpoint]
        /// When it may be told to begin; nil until the other one is there.
        var goAt: Instant?
        var isTold = false
    }

    private struct Connection: Sendable {
        var remote: IPEndpoint
        var stream = PunchMessageStream()
    }

    private let pair: UInt32
    private let lateness: Duration
    private let tellsLateness: Bool
    /// What a host said to one that has not come yet.
    private var waiting: [PunchMessage] = []
    private var parties: [SiteName: Party] = [:]
    private var connections: [SocketID: Connection] = [:]
    private var outputs: [SocketOutput<Event>]

    /// Makes a rendezvous on an address for one pair; it tells B that much later than A, and A that it does so if it is to.
    package init(on address: IPAddress, pair: UInt32, lateness: Duration = .zero, tellsLateness: Bool = false) {
        self.pair = pair
        self.lateness = lateness
        self.tellsLateness = tellsLateness
        let local = IPEndpoint(address, Self.port)
        outputs = [.open(Self.datagrams, .udp(local: local)), .open(Self.listener, .listener(local: local))]
    }

    package var nextDeadline: Instant? {
        parties.values.filter { !$0.isTold }.compactMap(\.goAt).min()
    }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        switch input {
        case .received(_, let bytes, let source):
            guard let message = PunchMessage(bytes) else { return }
            take(message, by: .datagram(source), at: now)
        case .accepted(let id, _, _, let remote):
            guard connections.count < Self.connectionLimit else {
                outputs.append(.close(id, isAbrupt: true))
                return
            }
            connections[id] = Connection(remote: remote)
        case .bytes(let id, let bytes):
            guard var connection = connections[id] else { return }
            let messages = connection.stream.take(bytes)
            connections[id] = connection
            for message in messages ?? [] { take(message, by: .connection(id), at: now) }
        case .closed(let id, _):
            if connections.removeValue(forKey: id) != nil { outputs.append(.close(id, isAbrupt: false)) }
        case .timer: tell(at: now)
        default: break
        }
    }

    private mutating func take(_ message: PunchMessage, by way: Way, at now: Instant) {
        guard message.pair == pair else { return }
        switch message.kind {
        case .hello: hello(message, by: way, at: now)
        case .tell, .opened:
            guard let peer = parties[message.site.other] else {
                if waiting.count < 8 { waiting.append(message) }
                return
            }
            send(message, by: peer.way)
        case .go, .probe, .answer: break
        }
    }

    private mutating func hello(_ message: PunchMessage, by way: Way, at now: Instant) {
        guard !message.addresses.isEmpty else { return }
        if var known = parties[message.site] {
            // The answer was lost on its way.
            known.isTold = false
            known.way = way
            parties[message.site] = known
        } else {
            parties[message.site] = Party(way: way, addresses: message.addresses)
            for early in waiting where early.site == message.site.other { send(early, by: way) }
            waiting.removeAll { $0.site == message.site.other }
        }
        if parties.count == 2, parties[message.site]?.goAt == nil {
            parties[.a]?.goAt = now
            parties[.b]?.goAt = now + lateness
        }
        tell(at: now)
    }

    private mutating func tell(at now: Instant) {
        for site in SiteName.allCases {
            guard let party = parties[site], let peer = parties[site.other], let goAt = party.goAt, goAt <= now,
                !party.isTold
            else { continue }
            parties[site]?.isTold = true
            var go = PunchMessage(pair: pair, .go, site: site)
            let samples = peer.addresses.dropFirst(2).prefix(5)
            go.addresses = Array(peer.addresses.prefix(2) + party.addresses.prefix(1) + samples)
            if tellsLateness, site == .a { go.pause = UInt16(clamping: lateness.wholeNanoseconds / 1_000_000) }
            send(go, by: party.way)
        }
    }

    private mutating func send(_ message: PunchMessage, by way: Way) {
        switch way {
        case .datagram(let endpoint):
            outputs.append(.send(Self.datagrams, message.bytes, to: endpoint, timeToLive: nil))
        case .connection(let id): outputs.append(.write(id, message.bytes))
        }
    }
}
