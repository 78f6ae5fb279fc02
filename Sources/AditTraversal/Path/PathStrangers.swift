// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// How much was sent to addresses that have not shown to be a peer's, over all peers, sessions and tactics.
///
/// A peer's word makes this machine send somewhere. Whoever has a valid key can give that word again and again, and so can
/// several together; what an address got is therefore remembered here and not with the peer.
struct PathStrangers: Sendable {
    /// How long what was sent, and that somebody answered, is remembered.
    static let memory = Duration.seconds(600)
    /// What an address gets within that time while nobody answers from it.
    static let addressLimit = 25
    /// So many of them are datagrams at most; the others are kept for connections, which come later.
    static let datagramLimit = 17
    /// So many of the packets are kept for what is said once a connection is there.
    static let wordReserve = 3
    /// What all addresses of an IPv4 /24 or IPv6 /64 get together that have not answered.
    static let networkLimit = 60
    /// What an address gets by searches when only the server's word says that the peer is there.
    static let searchLimit = 1200
    /// At so many addresses one device may aim, whatever runs it has.
    static let addressesOfPeer = 64
    /// So many addresses, and so many peers, are remembered.
    static let tableLimit = 4096
    /// So many sessions that a device begins within a minute, in all its runs, get something sent to addresses that have not
    /// answered.
    static let sessionLimit = 8

    /// Why something is sent, which decides how much of it there may be.
    enum Purpose: Sendable {
        case datagram
        /// A datagram to a peer that UDP is known not to reach.
        case hopelessDatagram
        case connection
        /// What is written on a connection.
        case word
        /// A search at the address from which the peer's session comes.
        case search
    }

    private struct Aim: Sendable {
        /// The key of the device.
        var owner: String
        var since: Instant
        var datagrams = 0
        var connections = 0
        var searches = 0
        /// Packets that are answers in a way: as many as checks with the peer's key came from there.
        var credit = 0
        /// When a check was last answered from there; nil while none was.
        var answeredAt: Instant?

        /// What counts for the network.
        var count: Int { answeredAt == nil ? max(datagrams + connections - credit, 0) : 0 }
        func isOver(at now: Instant) -> Bool { now - (answeredAt ?? since) >= PathStrangers.memory }
    }

    private struct Sessions: Sendable {
        var latest: String
        var isRefused: Bool
    }

    private var aims: [IPAddress: Aim] = [:]
    private var sessions: [PathPeerID: Sessions] = [:]
    /// When a device began sessions within the last minute, by its key.
    private var begun: [String: [Instant]] = [:]
    /// Packets that were held back.
    private(set) var refused = 0

    // MARK: What is sent

    /// Counts a packet to an address; false when it must not be sent.
    mutating func mayReach(_ address: IPAddress, for peer: PathPeerID, _ purpose: Purpose, at now: Instant) -> Bool {
        let address = address.unmapped
        if let aim = aims[address], aim.isOver(at: now) { aims[address] = nil }
        if let aim = aims[address], aim.answeredAt != nil { return true }
        guard sessions[peer]?.isRefused != true, makeRoom(for: address, of: peer, at: now),
            var aim = aims[address]
        else { return refuse() }
        switch purpose {
        case .search:
            guard aim.searches < Self.searchLimit else { return refuse() }
            aim.searches += 1
        case .datagram, .hopelessDatagram:
            let limit = purpose == .hopelessDatagram ? 1 : Self.datagramLimit
            guard aim.datagrams < limit + aim.credit, isWithinLimits(aim, address, at: now) else { return refuse() }
            aim.datagrams += 1
        case .connection, .word:
            let reserve = purpose == .connection ? Self.wordReserve : 0
            guard isWithinLimits(aim, address, at: now, reserve: reserve) else { return refuse() }
            aim.connections += 1
        }
        aims[address] = aim
        return true
    }

    private func isWithinLimits(_ aim: Aim, _ address: IPAddress, at now: Instant, reserve: Int = 0) -> Bool {
        guard aim.count + reserve < Self.addressLimit else { return false }
        let network = Self.network(of: address)
        var sum = 0
        for (other, aim) in aims where !aim.isOver(at: now) && Self.network(of: other) == network { sum += aim.count }
        return sum < Self.networkLimit
    }

    private mutating func makeRoom(for address: IPAddress, of peer: PathPeerID, at now: Instant) -> Bool {
        if aims[address] != nil { return true }
        if aims.count >= Self.tableLimit { aims = aims.filter { !$0.value.isOver(at: now) } }
        let own = aims.values.count { $0.owner == peer.key && $0.answeredAt == nil && !$0.isOver(at: now) }
        guard aims.count < Self.tableLimit, own < Self.addressesOfPeer else { return false }
        aims[address] = Aim(owner: peer.key, since: now)
        return true
    }

    private mutating func refuse() -> Bool {
        refused += 1
        return false
    }

    // MARK: What came

    /// A check with a peer's key came from an address. Its source may be forged, so it is worth one packet and no more.
    mutating func heard(from address: IPAddress) {
        guard let aim = aims[address.unmapped], aim.credit < Self.searchLimit else { return }
        aims[address.unmapped]?.credit = aim.credit + 1
    }

    /// A check was answered from an address, by somebody who has seen it: the peer is there.
    mutating func answered(from address: IPAddress, to peer: PathPeerID, at now: Instant) {
        let address = address.unmapped
        if aims[address] == nil {
            if aims.count >= Self.tableLimit { aims = aims.filter { !$0.value.isOver(at: now) } }
            guard aims.count < Self.tableLimit else { return }
            aims[address] = Aim(owner: peer.key, since: now)
        }
        aims[address]?.answeredAt = now
    }

    /// A peer told its credentials; others than before begin a session.
    mutating func noteSession(_ name: String, of peer: PathPeerID, at now: Instant) {
        guard sessions[peer]?.latest != name else { return }
        var times = begun[peer.key] ?? []
        times.removeAll { now - $0 >= .seconds(60) }
        let isRefused = times.count >= Self.sessionLimit
        if !isRefused { times.append(now) }
        if sessions[peer] == nil, sessions.count >= Self.tableLimit {
            begun = begun.filter { $0.value.contains { now - $0 < .seconds(60) } }
            sessions = sessions.filter { begun[$0.key.key] != nil }
            guard sessions.count < Self.tableLimit else { return }
        }
        begun[peer.key] = times
        sessions[peer] = Sessions(latest: name, isRefused: isRefused)
    }

    /// This machine is in another network, where all that was tried says nothing; a peer has no hand in that.
    mutating func networkChanged() { aims.removeAll() }

    private static func network(of address: IPAddress) -> IPAddress {
        switch address {
        case .v4(let number): .v4(number & 0xFFFF_FF00)
        case .v6(let high, _): .v6(high: high, low: 0)
        }
    }
}
