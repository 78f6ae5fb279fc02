// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

/// An agent with sockets of its own on addresses of this machine, and nothing else: no server, no relay. For trying ICE
/// against the agents of others.
package struct ICEPeer: SocketMachine {
    /// What happens to it.
    package enum Event: Sendable, Equatable {
        /// A local candidate that the peer has to be told.
        case local(ICECandidate)
        /// There is no further one.
        case localDone
        /// What the agent tells.
        case ice(ICEEvent)
        /// Payload of the peer, which came on a valid pair.
        case payload([UInt8])
    }

    /// The agent.
    package private(set) var agent: ICEAgent

    private let addresses: [IPAddress]
    private let usesTCP: Bool
    private var outputs: [SocketOutput<Event>] = []
    private var nextSocket: UInt32 = 1
    private var opening: Set<SocketID> = []
    private var listeners: [SocketID: IPEndpoint] = [:]
    /// The TCP connections, and who is at the other end.
    private var frames: [SocketID: PacketFrames] = [:]
    private var remotes: [SocketID: IPEndpoint] = [:]
    private var hasStarted = false
    private var isGathered = false

    /// The bases of candidates that connect have numbers of their own, above those of the sockets.
    private static let activeBases: UInt32 = 1 << 30

    /// Makes a peer.
    ///
    /// - Parameters:
    ///   - addresses: addresses of this machine, each of which gets a UDP socket.
    ///   - usesTCP: whether each gets a listener too, and connections are made.
    package init(
        _ configuration: ICEConfiguration,
        addresses: [IPAddress],
        usesTCP: Bool = false,
        random: any RandomNumberGenerator & Sendable
    ) {
        var configuration = configuration
        configuration.connectsStreams = usesTCP
        agent = ICEAgent(configuration, random: random)
        self.addresses = addresses
        self.usesTCP = usesTCP
    }

    package var nextDeadline: Instant? { agent.nextDeadline }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    /// Tells the agent something that came from the peer's side of the signalling.
    package mutating func tell(_ input: ICEInput, at now: Instant) {
        agent.handle(input, at: now)
        pump()
    }

    /// Sends payload to the peer; false when no pair is valid.
    package mutating func send(_ payload: [UInt8]) -> Bool {
        guard let pair = agent.selectedPair else { return false }
        carry(payload, from: pair.base, to: pair.remote.endpoint, timeToLive: nil)
        return true
    }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        switch input {
        case .timer:
            start()
            agent.handle(.timer, at: now)
        case .opened(let id, let local): opened(id, local, at: now)
        case .received(let id, let bytes, let from): arrived(bytes, on: id, from: from, at: now)
        case .connected(let id, let local, let remote), .accepted(let id, _, let local, let remote):
            opening.remove(id)
            frames[id] = PacketFrames()
            remotes[id] = remote
            agent.handle(.streamOpened(base: ICEBaseID(id.number), local: local, remote: remote), at: now)
        case .bytes(let id, let bytes):
            guard let remote = remotes[id] else { break }
            for batch in frames[id]?.take(bytes.span.bytes) ?? [] {
                for packet in batch.packets { arrived(packet, on: id, from: remote, at: now) }
            }
        case .closed(let id, _):
            opening.remove(id)
            frames[id] = nil
            remotes[id] = nil
            agent.handle(.streamClosed(base: ICEBaseID(id.number)), at: now)
            finishGathering(at: now)
        case .receivedBatch, .refused, .response, .networkChanged: break
        }
        pump()
    }

    private mutating func start() {
        guard !hasStarted else { return }
        hasStarted = true
        for address in addresses {
            let local = IPEndpoint(address, 0)
            open(.udp(local: local))
            if usesTCP { open(.listener(local: local)) }
        }
    }

    private mutating func open(_ kind: SocketKind) {
        let id = SocketID(nextSocket)
        nextSocket += 1
        if case .listener(let local) = kind { listeners[id] = local }
        opening.insert(id)
        outputs.append(.open(id, kind))
    }

    private mutating func opened(_ id: SocketID, _ local: IPEndpoint, at now: Instant) {
        opening.remove(id)
        if listeners[id] != nil {
            var active = candidate(local, .tcp, .active)
            active.endpoint.port = 9
            add(active, ICEBaseID(Self.activeBases + id.number), at: now)
            add(candidate(local, .tcp, .passive), ICEBaseID(id.number), at: now)
        } else {
            add(candidate(local, .udp, nil), ICEBaseID(id.number), at: now)
        }
        finishGathering(at: now)
    }

    private mutating func add(_ candidate: ICECandidate, _ base: ICEBaseID, at now: Instant) {
        agent.handle(.local(candidate, base: base), at: now)
        outputs.append(.event(.local(candidate)))
    }

    private mutating func finishGathering(at now: Instant) {
        guard hasStarted, opening.isEmpty, !isGathered else { return }
        isGathered = true
        agent.handle(.localDone, at: now)
        outputs.append(.event(.localDone))
    }

    /// A host candidate; earlier addresses are preferred, UDP to TCP.
    private func candidate(
        _ local: IPEndpoint,
        _ transport: ICETransport,
        _ tcpType: ICETCPType?
    ) -> ICECandidate {
        let place = addresses.firstIndex(of: local.address) ?? 0
        let other = UInt16(8000 - min(place, 1000))
        return ICECandidate(
            foundation: "\(transport.rawValue)\(place)",
            transport: transport,
            priority: tcpType.map {
                ICECandidate.priority(
                    typePreference: 90,
                    localPreference: ICECandidate.localPreference(.host, $0, other: other)
                )
            } ?? ICECandidate.priority(typePreference: ICECandidateType.host.preference, localPreference: other),
            endpoint: local,
            type: .host,
            tcpType: tcpType
        )
    }

    private mutating func arrived(_ bytes: [UInt8], on id: SocketID, from: IPEndpoint, at now: Instant) {
        if STUNMessage.looksLikeSTUN(bytes.span.bytes) {
            agent.handle(.received(bytes, on: ICEBaseID(id.number), from: from), at: now)
        } else if agent.validPairs.contains(where: { $0.base.number == id.number && $0.remote.endpoint == from }) {
            outputs.append(.event(.payload(bytes)))
        }
    }

    private mutating func carry(_ bytes: [UInt8], from base: ICEBaseID, to: IPEndpoint, timeToLive: UInt8?) {
        let id = SocketID(base.number)
        if frames[id] != nil {
            if let framed = PacketFrames.frame(bytes) { outputs.append(.write(id, framed)) }
        } else {
            outputs.append(.send(id, bytes, to: to, timeToLive: timeToLive))
        }
    }

    private mutating func pump() {
        while let output = agent.nextOutput() {
            switch output {
            case .send(let bytes, let base, let endpoint, let timeToLive):
                carry(bytes, from: base, to: endpoint, timeToLive: timeToLive)
            case .connect(let base, let endpoint):
                let listener = SocketID(base.number - Self.activeBases)
                guard base.number > Self.activeBases, let local = listeners[listener] else { continue }
                open(.tcp(local: IPEndpoint(local.address, 0), remote: endpoint))
            case .event(let event): outputs.append(.event(.ice(event)))
            }
        }
    }
}
