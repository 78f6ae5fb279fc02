// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

// Everything that a peer makes this machine send passes here before it leaves, whichever tactic it is of.

extension PathFinder {
    /// Whether a datagram of a peer's may be sent to an endpoint.
    mutating func mayReach(
        _ endpoint: IPEndpoint,
        _ bytes: [UInt8],
        on base: ICEBaseID,
        of slot: Int,
        at now: Instant
    ) -> Bool {
        if isServer(endpoint.address) { return true }
        // An answer is no bigger than what was asked, and goes to where that came from.
        if case .answer = PathPacket.kind(bytes) { return true }
        guard let (peer, purpose) = slots[slot]?.purpose(base, endpoint) else { return true }
        return strangers.mayReach(endpoint.address, for: peer, purpose, at: now)
    }

    /// Whether a socket may be opened: one that connects to somebody is a packet to them.
    mutating func mayOpen(_ kind: SocketKind, of slot: Int, at now: Instant) -> Bool {
        switch kind {
        case .udp, .listener: return true
        case .tcp(_, let remote), .tls(_, let remote, _):
            guard let peer = slots[slot], !isServer(remote.address) else { return true }
            return strangers.mayReach(remote.address, for: peer.id, .connection, at: now)
        }
    }

    /// Whether bytes may be written on a connection: with somebody who has not shown to be the peer only a few packets.
    mutating func mayWrite(_ number: UInt32, of slot: Int, at now: Instant) -> Bool {
        guard let peer = slots[slot], let socket = peer.sockets[number], socket.isStream, let remote = socket.remote,
            !isServer(remote.address)
        else { return true }
        return strangers.mayReach(remote.address, for: peer.id, .word, at: now)
    }

    /// Something with a peer's key came.
    mutating func heard(_ source: ICESource, of slot: Int, at now: Instant) {
        guard let id = slots[slot]?.id, !isServer(source.address) else { return }
        if source.hasAnswered {
            strangers.answered(from: source.address, to: id, at: now)
        } else {
            strangers.heard(from: source.address)
        }
    }

    private func isServer(_ address: IPAddress) -> Bool {
        world.serverAddresses.contains(address)
            || configuration.server.stunTCP.contains { $0.address == address }
            || configuration.server.stun.contains { $0.address == address }
    }
}

extension PathPeer {
    /// Whose packet to an endpoint is, and what it is for; asked in place, as `deadline()` is.
    fileprivate mutating func purpose(
        _ base: ICEBaseID,
        _ endpoint: IPEndpoint
    ) -> (peer: PathPeerID, purpose: PathStrangers.Purpose) {
        if vouched == endpoint.address.unmapped, search?.isRunning == true {
            switch sockets[base.number]?.use {
            case .search, .sampler: return (id, .search)
            case .opener, .punch, .stream, nil: break
            }
        }
        return (id, world.nat.udp.isBlocked ? .hopelessDatagram : .datagram)
    }
}
