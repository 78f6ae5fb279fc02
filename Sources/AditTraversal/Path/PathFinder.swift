// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Looks for paths to any number of peers and keeps them: relayed at once, direct as soon as that works.
///
/// All peers share one UDP socket for each address of this machine, and one allocation on the relay. A packet with a check finds
/// its peer by the username that it carries, an answer by its transaction, payload by where it came from; what finds none is
/// dropped, and never answered.
package struct PathFinder: SocketMachine {
    package typealias Event = PathEvent
    package static let takesBatches = true

    /// What a socket is for.
    enum SocketUse: Sendable, Hashable {
        /// A shared UDP socket, by its place among `links`.
        case link(Int)
        /// A shared UDP socket that is to take another one's place, or whose place was taken.
        case spare
        /// The listener that all peers share.
        case door
        /// A connection to it from somebody who has not said who it is.
        case guest
        /// A connection to a relay, by its place among `relays`.
        case relay(Int)
        /// A peer's own, by the peer's place and the peer's number for it.
        case peer(Int, UInt32)
    }

    var configuration: PathConfiguration
    var random: any RandomNumberGenerator & Sendable
    var network: LocalNetwork
    var nat: NATReport?

    /// One UDP socket for each local address.
    var links: [PathLink] = []
    var renewal: PathRenewal?
    var renewedAt: Instant?
    var door: PathDoor?
    var relays: [PathRelay] = []
    var world: PathWorld
    var isGathering = false
    var gatheredAt: Instant?
    var relayTimers = TimerTable<Int>()
    var hasTurned: [ICETransport: IPEndpoint] = [:]
    var needsOpeners = false
    var worldIsStale = false

    var slots: [PathPeer?] = []
    /// When each peer's timer is due, as `drain` found it: payload changes none of them.
    var deadlines: [Instant?] = []
    var slotOfPeer: [PathPeerID: Int] = [:]
    var slotOfFragment: [String: Int] = [:]
    var fragments: [[String]] = []
    var routes: [ICEBaseEndpoint: Int] = [:]
    var transactions = PathTransactions()
    var budget: PunchBudget<PathPeerID>
    var strangers = PathStrangers()

    var uses: [SocketID: SocketUse] = [:]
    var socketOfPeer: [PathPeerSocket: SocketID] = [:]
    var nextSocket: UInt32 = 1
    var nextBase: UInt32 = 1

    private var outputs: [SocketOutput<PathEvent>] = []
    private var firstOutput = 0

    /// Makes a finder without peers.
    ///
    /// - Parameter random: for credentials, transaction ids, sessions and jitter; has to be one that others cannot predict,
    ///   except in a simulation.
    package init(_ configuration: PathConfiguration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
        network = configuration.network
        budget = PunchBudget(isQuiet: configuration.isQuiet)
        world = PathWorld(
            policy: configuration.policy,
            tactics: configuration.tactics,
            isQuiet: configuration.isQuiet,
            timing: configuration.timing
        )
        makeRelays()
    }

    // MARK: What whoever runs it wants

    /// Begins to look for a path to a peer; nothing happens when it is being looked for.
    package mutating func connect(_ peer: PathPeerID, at now: Instant) {
        if let slot = slotOfPeer[peer] {
            slots[slot]?.isWanted = true
            return
        }
        guard addPeer(peer, isWanted: true, at: now) != nil else {
            return output(.event(.ended(peer, .tooManyPeers)))
        }
        settle(at: now)
    }

    /// Takes what a peer told through the server; the caller has made sure that it is the peer's.
    ///
    /// - Parameter address: from where the peer's session comes, as the server says; nil when it does not say.
    package mutating func receive(
        _ signal: PathSignal,
        from peer: PathPeerID,
        seenAt address: IPAddress? = nil,
        at now: Instant
    ) {
        guard peer != configuration.ownID else { return }
        var place = slotOfPeer[peer]
        if place == nil {
            guard case .description = signal.content else { return }
            place = addPeer(peer, isWanted: false, at: now)
        }
        guard let slot = place else { return }
        if case .description(let description) = signal.content {
            strangers.noteSession("\(signal.session) \(description.credentials.ufrag)", of: peer, at: now)
        }
        if let address { slots[slot]?.vouch(for: address, at: now) }
        if slots[slot]?.take(signal, at: now) == false {
            drain(slot, at: now)
            remove(slot, .left, at: now)
        } else {
            drain(slot, at: now)
        }
        settle(at: now)
    }

    /// Sends packets on the path to a peer. Like those of any network they may be lost.
    ///
    /// While a direct path is in doubt they go through the relay too, so that the peer may get them twice.
    package mutating func send(_ batch: PacketBatch, to peer: PathPeerID, at now: Instant) -> PathSending {
        guard let slot = slotOfPeer[peer], let way = slots[slot]?.payloadWay() else { return .nowhere }
        var isSure = true
        if slots[slot]?.mayBeLost(at: now) == true {
            let other = slots[slot]?.otherWay(at: now)
            drain(slot, at: now)
            if let other { _ = transmit(batch, on: other.way, of: slot, at: now) }
            isSure = other?.isSure ?? false
        }
        guard transmit(batch, on: way, of: slot, at: now) else { return .nowhere }
        return isSure ? .sent : .doubtful
    }

    /// What any network carries of a datagram, in bytes.
    package static let leastPacketSize = 1200
    /// How large packets to a peer may be in a TCP connection, in bytes.
    package static let streamPacketSize = 4096

    /// How large packets to a peer may be now, in bytes.
    package mutating func packetSize(to peer: PathPeerID, at now: Instant) -> Int {
        guard let slot = slotOfPeer[peer] else { return Self.leastPacketSize }
        return slots[slot]?.packetSize(at: now) ?? Self.leastPacketSize
    }

    /// Measures a round trip on the path to a peer, told as `roundTrip`; nothing happens without a path.
    package mutating func measure(_ peer: PathPeerID, at now: Instant) {
        guard let slot = slotOfPeer[peer] else { return }
        slots[slot]?.handleAgent(.measure, at: now)
        drain(slot, at: now)
        settle(at: now)
    }

    /// Tells a peer that the path is given up; it stays until `disconnect`, so that the word is there before the path breaks.
    package mutating func farewell(to peer: PathPeerID, at now: Instant) {
        guard let slot = slotOfPeer[peer] else { return }
        // The last reason goes before the goodbye, so that both ends keep the same one.
        slots[slot]?.tell(at: now)
        drain(slot, at: now)
        if let word = slots[slot]?.exchange.farewell() { output(.event(.signal(word, to: peer))) }
    }

    /// Gives the path to a peer up, and tells the peer.
    package mutating func disconnect(_ peer: PathPeerID, at now: Instant) {
        farewell(to: peer, at: now)
        guard let slot = slotOfPeer[peer] else { return }
        remove(slot, .disconnected, at: now)
        settle(at: now)
    }

    /// Takes other services, or new credentials for them, into use.
    package mutating func update(server: PathServer, at now: Instant) {
        guard server != configuration.server else { return }
        replace(server: server, at: now)
        settle(at: now)
    }

    /// The server is there again, and may be another process: it is asked whether it relays still.
    package mutating func serverIsBack(at now: Instant) {
        for index in relays.indices where relays[index].standing == .ready { handleRelay(index, .verify, at: now) }
        startRelays(at: now)
        settle(at: now)
    }

    /// Takes other interfaces or addresses into use, as `.networkChanged` does.
    package mutating func update(network: LocalNetwork, at now: Instant) {
        replace(network: network, at: now)
        settle(at: now)
    }

    /// Changes which paths are wanted, for all peers, whose paths are looked for anew.
    package mutating func update(policy: PathPolicy, at now: Instant) {
        guard policy != configuration.policy else { return }
        configuration.policy = policy
        worldIsStale = true
        settle(at: now)
        for slot in slots.indices where slots[slot] != nil {
            slots[slot]?.restart(at: now)
            drain(slot, at: now)
        }
        settle(at: now)
    }

    /// Takes what NAT discovery found out.
    package mutating func note(_ report: NATReport, at now: Instant) {
        nat = report
        worldIsStale = true
        settle(at: now)
    }

    /// Takes the endpoint at which a router forwards to a local port; nil when it no longer does.
    package mutating func note(
        mapped external: IPEndpoint?,
        transport: ICETransport,
        internalPort: UInt16,
        at now: Instant
    ) {
        switch transport {
        case .udp:
            for index in links.indices where links[index].local?.port == internalPort {
                links[index].mapped = external
            }
        case .tcp: if door?.local?.port == internalPort { door?.mapped = external }
        }
        worldIsStale = true
        settle(at: now)
    }

    /// What is known of the path to a peer; nil for one that is not looked for.
    package func report(of peer: PathPeerID) -> PathReport? {
        guard let slot = slotOfPeer[peer], let state = slots[slot] else { return nil }
        var report = state.report
        report.packetsSpent = state.packetsSpent
        return report
    }

    /// All peers, in no order.
    package var peers: [PathPeerID] { Array(slotOfPeer.keys) }

    // MARK: The driver's side

    package mutating func nextOutput() -> SocketOutput<PathEvent>? {
        guard firstOutput < outputs.count else {
            outputs.removeAll(keepingCapacity: outputs.capacity <= 256)
            firstOutput = 0
            return nil
        }
        firstOutput += 1
        return outputs[firstOutput - 1]
    }

    package var nextDeadline: Instant? {
        var earliest = gatheringDeadline
        for case let deadline? in deadlines { earliest = min(earliest ?? deadline, deadline) }
        return earliest
    }

    mutating func output(_ output: SocketOutput<PathEvent>) { outputs.append(output) }
}
