// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// A TCP port that stays the same as long as the network does, for all peers, so that a router can open it.
///
/// Whoever connects has to say with the first packet to which peer it belongs: a check of ICE, which carries a name that only
/// that peer was told.
struct PathDoor: Sendable {
    /// Somebody who has connected and not said who it is.
    struct Guest: Sendable {
        var local: IPEndpoint
        var remote: IPEndpoint
        var bytes: [UInt8] = []
        var since: Instant
    }

    /// What it is for the agents, which never send from it.
    let base: ICEBaseID
    let socket: SocketID
    /// Where it is bound; nil until it is open.
    var local: IPEndpoint?
    /// Where a router forwards to it.
    var mapped: IPEndpoint?
    var guests: [SocketID: Guest] = [:]

    /// So many guests there are at once, and so many from one address.
    static let guestLimit = 32
    static let guestsOfAddress = 4
    /// How long a guest has to say who it is.
    static let patience = Duration.seconds(5)
    /// A first packet is no longer, its length included.
    static let packetLimit = 600

    /// When the next guest has waited too long.
    var nextDeadline: Instant? { guests.values.map { $0.since + Self.patience }.min() }

    /// Whether one more guest from there is let in.
    func mayEnter(from address: IPAddress) -> Bool {
        guests.count < Self.guestLimit
            && guests.values.count { $0.remote.address == address } < Self.guestsOfAddress
    }

    /// What peers are told: only the port that a router has opened.
    var candidate: ICECandidate? {
        guard let local, let mapped else { return nil }
        return ICECandidate(
            foundation: "d\(base.number)",
            transport: .tcp,
            priority: ICECandidate.priority(
                typePreference: 90,
                localPreference: ICECandidate.localPreference(.serverReflexive, .passive, other: 8191)
            ),
            endpoint: mapped,
            type: .serverReflexive,
            related: local,
            tcpType: .passive,
            isPortMapped: true
        )
    }
}

extension PathFinder {
    /// Opens the port beside the first socket over IPv4, of which routers translate ports.
    mutating func openDoor() {
        guard door == nil, configuration.tactics.contains(.tcp), configuration.policy != .relayOnly,
            let address = links.first(where: { !$0.isV6 })?.address
        else { return }
        let socket = newSocket(.door)
        door = PathDoor(base: ICEBaseID(nextBase), socket: socket)
        nextBase += 1
        output(.open(socket, .listener(local: IPEndpoint(address, configuration.localPort))))
    }

    mutating func doorOpened(_ local: IPEndpoint) {
        door?.local = local
        output(.event(.wantsPort(local.port, .tcp)))
    }

    mutating func closeDoor() {
        guard let door else { return }
        self.door = nil
        worldIsStale = true
        for guest in door.guests.keys.sorted(by: { $0.number < $1.number }) { sendAway(guest) }
        if uses.removeValue(forKey: door.socket) != nil { output(.close(door.socket, isAbrupt: false)) }
    }

    private mutating func sendAway(_ guest: SocketID) {
        door?.guests[guest] = nil
        uses[guest] = nil
        output(.close(guest, isAbrupt: true))
    }

    mutating func sendGuestsAway(at now: Instant) {
        guard let door, let due = door.nextDeadline, due <= now else { return }
        for (id, guest) in door.guests.sorted(by: { $0.key.number < $1.key.number })
        where now - guest.since >= PathDoor.patience {
            sendAway(id)
        }
    }

    /// Somebody connected.
    mutating func guestCame(_ id: SocketID, local: IPEndpoint, remote: IPEndpoint, at now: Instant) {
        guard door?.mayEnter(from: remote.address) == true else { return output(.close(id, isAbrupt: true)) }
        uses[id] = .guest
        door?.guests[id] = PathDoor.Guest(local: local, remote: remote, since: now)
    }

    /// The first packet is a check that names a peer, or the guest goes.
    mutating func guestSaid(_ id: SocketID, _ bytes: [UInt8], at now: Instant) {
        guard var guest = door?.guests[id] else { return }
        guest.bytes += bytes.prefix(65_536)
        door?.guests[id] = guest
        guard guest.bytes.count >= 2 else { return }
        let length = Int(guest.bytes[0]) << 8 | Int(guest.bytes[1])
        guard length + 2 <= PathDoor.packetLimit else { return sendAway(id) }
        guard guest.bytes.count >= length + 2 else { return }
        guard case .check(let fragment) = PathPacket.kind(Array(guest.bytes[2..<length + 2])),
            let slot = slotOfFragment[fragment],
            let number = slots[slot]?.guestAccepted(local: guest.local, remote: guest.remote)
        else { return sendAway(id) }
        door?.guests[id] = nil
        uses[id] = .peer(slot, number)
        socketOfPeer[PathPeerSocket(slot: slot, number: number)] = id
        slots[slot]?.guestAdopted(number, guest.bytes, at: now)
        drain(slot, at: now)
    }
}
