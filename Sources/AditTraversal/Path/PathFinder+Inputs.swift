// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

extension PathFinder {
    package mutating func handle(_ input: SocketInput, at now: Instant) {
        switch input {
        case .opened(let id, let local): opened(id, local, at: now)
        case .received(let id, let bytes, let remote): received(id, bytes, from: remote, at: now)
        case .receivedBatch(let id, let batch, let remote): received(id, batch, from: remote, at: now)
        case .refused: break
        case .connected(let id, let local, let remote): connected(id, local, remote, at: now)
        case .accepted(let id, let listener, let local, let remote):
            accepted(id, by: listener, local: local, remote: remote, at: now)
        case .bytes(let id, let bytes): came(id, bytes, at: now)
        case .closed(let id, let end): closed(id, end, at: now)
        case .response: break
        case .networkChanged(let network): replace(network: network, at: now)
        case .timer: timer(at: now)
        }
        settle(at: now)
    }

    /// Does what became due by what has just happened.
    mutating func settle(at now: Instant) {
        // A change may bring about another one, but not for ever.
        for _ in 0..<4 where worldIsStale { refreshWorld(at: now) }
    }

    private mutating func timer(at now: Instant) {
        gatheringTimer(at: now)
        if configuration.staysReady, links.isEmpty { gather(at: now) }
        for slot in slots.indices {
            guard let due = deadlines[slot], due <= now else { continue }
            slots[slot]?.timer(at: now)
            drain(slot, at: now)
        }
    }

    private mutating func opened(_ id: SocketID, _ local: IPEndpoint, at now: Instant) {
        switch uses[id] {
        case .link(let index): linkOpened(index, local: local, at: now)
        case .spare: spareOpened(id, local: local, at: now)
        case .door: doorOpened(local)
        case .peer(let slot, let number):
            slots[slot]?.socketOpened(number, local: local, at: now)
            drain(slot, at: now)
        case .relay, .guest, nil: break
        }
    }

    private mutating func connected(_ id: SocketID, _ local: IPEndpoint, _ remote: IPEndpoint, at now: Instant) {
        switch uses[id] {
        case .relay(let index): handleRelay(index, .start, at: now)
        case .peer(let slot, let number):
            slots[slot]?.socketConnected(number, local: local, remote: remote, at: now)
            drain(slot, at: now)
        case .link, .spare, .door, .guest, nil: break
        }
    }

    private mutating func accepted(
        _ id: SocketID,
        by listener: SocketID,
        local: IPEndpoint,
        remote: IPEndpoint,
        at now: Instant
    ) {
        if case .door? = uses[listener] { return guestCame(id, local: local, remote: remote, at: now) }
        guard case .peer(let slot, let listenerNumber)? = uses[listener],
            let number = slots[slot]?.socketAccepted(by: listenerNumber, local: local, remote: remote)
        else { return output(.close(id, isAbrupt: true)) }
        uses[id] = .peer(slot, number)
        socketOfPeer[PathPeerSocket(slot: slot, number: number)] = id
        slots[slot]?.socketAdopted(number, by: listenerNumber, at: now)
        drain(slot, at: now)
    }

    private mutating func came(_ id: SocketID, _ bytes: [UInt8], at now: Instant) {
        switch uses[id] {
        case .relay(let index): handleRelay(index, .received(bytes), at: now)
        case .peer(let slot, let number):
            slots[slot]?.socketBytes(number, bytes, at: now)
            drain(slot, at: now)
        case .guest: guestSaid(id, bytes, at: now)
        case .link, .spare, .door, nil: break
        }
    }

    private mutating func closed(_ id: SocketID, _ end: SocketEnd, at now: Instant) {
        guard let use = uses.removeValue(forKey: id) else { return }
        switch use {
        case .link(let index):
            links[index].isClosed = true
            links[index].local = nil
            worldIsStale = true
        case .spare: spareClosed(id, at: now)
        case .door: closeDoor()
        case .guest: door?.guests[id] = nil
        case .relay(let index):
            guard relays[index].stream == id else { return }
            relays[index].stream = nil
            endRelay(index, at: now)
        case .peer(let slot, let number):
            socketOfPeer[PathPeerSocket(slot: slot, number: number)] = nil
            slots[slot]?.socketClosed(number, end, at: now)
            drain(slot, at: now)
        }
    }

    // MARK: Datagrams

    private mutating func received(_ id: SocketID, _ bytes: [UInt8], from remote: IPEndpoint, at now: Instant) {
        switch uses[id] {
        case .link(let index):
            let base = links[index].base
            if let relay = relays.indices.first(where: { isRelay($0, remote, base) }), isForRelay(bytes) {
                links[index].heardAt = now
                return handleRelay(relay, .received(bytes), at: now)
            }
            if case .answer = PathPacket.kind(bytes), answered(index, bytes, from: remote, at: now) { return }
            links[index].heardAt = now
            arrived(bytes, on: base, from: remote, at: now)
        case .spare:
            guard let base = formerHeard(id, bytes, at: now) else { return }
            if let relay = relays.indices.first(where: { isRelay($0, remote, base) }), isForRelay(bytes) {
                return handleRelay(relay, .received(bytes), at: now)
            }
            arrived(bytes, on: base, from: remote, at: now)
        case .peer(let slot, let number):
            slots[slot]?.socketReceived(number, bytes, from: remote, at: now)
            drain(slot, at: now)
        case .relay, .door, .guest, nil: break
        }
    }

    private mutating func received(_ id: SocketID, _ batch: PacketBatch, from remote: IPEndpoint, at now: Instant) {
        guard batch.count > 1 else { return received(id, batch.bytes, from: remote, at: now) }
        switch uses[id] {
        case .link(let index):
            links[index].heardAt = now
            if let relay = relays.indices.first(where: { isRelay($0, remote, links[index].base) }) {
                // Relayed packets stay together; answers to Binding requests come from there too.
                if !PathPacket.mayHoldSTUN(batch) { return handleRelay(relay, .receivedBatch(batch), at: now) }
            } else if !PathPacket.mayHoldSTUN(batch) {
                return arrived(batch, on: links[index].base, from: remote, at: now)
            }
        case .peer(let slot, let number):
            if !PathPacket.mayHoldSTUN(batch) {
                if slots[slot]?.isPayload(on: number, from: remote) == true {
                    payloadCame(batch, slot, on: ICEBaseEndpoint(base: ICEBaseID(number), endpoint: remote), at: now)
                }
                return
            }
        case .spare:
            guard let base = formerHeard(id, batch.bytes, at: now) else { return }
            if let relay = relays.indices.first(where: { isRelay($0, remote, base) }) {
                if !PathPacket.mayHoldSTUN(batch) { return handleRelay(relay, .receivedBatch(batch), at: now) }
            } else if !PathPacket.mayHoldSTUN(batch) {
                return arrived(batch, on: base, from: remote, at: now)
            }
        case .relay, .door, .guest, nil: return
        }
        for part in PathPacket.parts(of: batch) {
            if part.count > 1 {
                received(id, part, from: remote, at: now)
            } else {
                received(id, part.bytes, from: remote, at: now)
            }
        }
    }

    private func isRelay(_ index: Int, _ remote: IPEndpoint, _ base: ICEBaseID) -> Bool {
        relays[index].transport == .udp && relays[index].standing != .idle && relays[index].link == base
            && relays[index].client.configuration.server == remote
    }

    /// From the relay's endpoint come ChannelData and TURN's messages, beside answers to Binding requests.
    private func isForRelay(_ bytes: [UInt8]) -> Bool {
        if let first = bytes.first, 0x40...0x4F ~= first { return true }
        if case .otherSTUN = PathPacket.kind(bytes) { return true }
        return false
    }

    /// Packets came on a shared base.
    mutating func arrived(_ batch: PacketBatch, on base: ICEBaseID, from remote: IPEndpoint, at now: Instant) {
        if !PathPacket.mayHoldSTUN(batch) {
            let way = ICEBaseEndpoint(base: base, endpoint: remote)
            if let slot = routes[way] { payloadCame(batch, slot, on: way, at: now) }
        } else if batch.count == 1 {
            arrived(batch.bytes, on: base, from: remote, at: now)
        } else {
            for part in PathPacket.parts(of: batch) { arrived(part, on: base, from: remote, at: now) }
        }
    }

    private mutating func payloadCame(_ batch: PacketBatch, _ slot: Int, on way: ICEBaseEndpoint, at now: Instant) {
        guard let id = slots[slot]?.heard(on: way, at: now) else { return }
        output(.event(.received(batch, from: id)))
    }

    /// A packet came on a shared base: it goes to the peer whose it is, or nowhere.
    mutating func arrived(_ bytes: [UInt8], on base: ICEBaseID, from remote: IPEndpoint, at now: Instant) {
        switch PathPacket.kind(bytes) {
        case .check(let fragment):
            guard let slot = slotOfFragment[fragment] else { return }
            slots[slot]?.handleAgent(.received(bytes, on: base, from: remote), at: now)
            drain(slot, at: now)
        case .answer(let id):
            guard let slot = transactions[id] else { return }
            slots[slot]?.handleAgent(.received(bytes, on: base, from: remote), at: now)
            drain(slot, at: now)
        case .otherSTUN: break
        case .payload:
            let way = ICEBaseEndpoint(base: base, endpoint: remote)
            if let slot = routes[way] { payloadCame(PacketBatch(bytes), slot, on: way, at: now) }
        }
    }

    // MARK: Changes

    /// Other addresses: everything is gathered and checked anew; paths stay until they are replaced or found dead.
    mutating func replace(network: LocalNetwork, at now: Instant) {
        guard network != self.network else { return }
        let before = self.network
        self.network = network
        worldIsStale = true
        // Behind another router the same private address is another place.
        let isSame = PathLink.addresses(of: before) == PathLink.addresses(of: network)
        guard !isSame || before.gateway != network.gateway else { return }
        nat = nil
        output(.event(.moved(network)))
        renewLinks(at: now)
        budget.networkChanged()
        strangers.networkChanged()
    }

    mutating func replace(server: PathServer, at now: Instant) {
        let before = configuration.server
        configuration.server = server
        let isSame =
            before.turn.count == server.turn.count
            && zip(before.turn, server.turn).allSatisfy { $0.server == $1.server && $0.transport == $1.transport }
        if isSame, before.stun == server.stun {
            // New credentials before the old ones expire.
            for (index, turn) in server.turn.enumerated() {
                handleRelay(
                    index,
                    .credentials(
                        username: turn.username,
                        password: turn.password,
                        realm: turn.realm,
                        nonce: turn.nonce
                    ),
                    at: now
                )
            }
            return
        }
        renewRelays(at: now)
        renewLinks(at: now)
    }

    private mutating func renewRelays(at now: Instant) {
        for relay in relays {
            if let stream = relay.stream {
                uses[stream] = nil
                output(.close(stream, isAbrupt: false))
            }
        }
        relays = []
        relayTimers.cancelAll()
        makeRelays()
    }

    private mutating func renewLinks(at now: Instant) {
        let hadLinks = !links.isEmpty
        endRenewal(at: now)
        for link in links where !link.isClosed {
            uses[link.socket] = nil
            output(.close(link.socket, isAbrupt: false))
        }
        for (socket, use) in uses {
            if case .link = use { uses[socket] = nil }
        }
        links = []
        closeDoor()
        gatheredAt = nil
        needsOpeners = false
        renewRelays(at: now)
        guard hadLinks else { return }
        gather(at: now)
        refreshWorld(at: now)
        for slot in slots.indices where slots[slot] != nil {
            slots[slot]?.networkChanged(at: now)
            drain(slot, at: now)
        }
    }
}
