// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

// Some carriers' NATs end a mapping at a fixed age, however busy it is, and give the socket another port: the peer's packets then
// come to nobody, and neither do those of the relay. Once the age is known, another socket takes the place of the one whose
// mapping grows old, with an allocation of its own, while both still work.

/// A shared UDP socket takes the place of another.
struct PathRenewal: Sendable {
    /// The place among the links.
    let index: Int
    /// The fresh one until it is open.
    var fresh: PathLink?
    /// The one before, from then on.
    var former: PathLink?
    /// When payload or a check came last on the one before.
    var usedAt: Instant
    /// When it is looked next whether the one before is still in use.
    var lookAt: Instant

    /// How long the one before is silent before it is closed.
    static let silence = Duration.seconds(2)
    /// How long it is kept at least, for what is on its way.
    static let shortest = Duration.seconds(4)
    /// So long there is between two.
    static let pause = Duration.seconds(20)
    /// How often it is looked whether the one before is still in use.
    static let interval = Duration.milliseconds(500)
}

extension PathFinder {
    /// The shared socket that is a base.
    func link(of base: ICEBaseID) -> PathLink? {
        if let former = renewal?.former, former.base == base { return former }
        return links.first { $0.base == base }
    }

    /// What still works and is told no more.
    var leavingBases: Set<ICEBaseID> {
        var bases = Set(relays.lazy.filter { $0.standing == .leaving }.map(\.base))
        if let former = renewal?.former { bases.insert(former.base) }
        return bases
    }

    // MARK: What servers see

    /// A shared socket or a relay has gone silent: servers are asked as what they see the socket, and whether they relay.
    mutating func suspect(_ base: ICEBaseID, at now: Instant) {
        for index in relays.indices where relays[index].standing == .ready && relays[index].base == base {
            handleRelay(index, .verify, at: now)
        }
        for index in links.indices where links[index].local != nil {
            if let askedAt = links[index].gathering.askedAt, now - askedAt < .seconds(1) { continue }
            let isRelays = relays.contains { $0.base == base && $0.link == links[index].base }
            if links[index].base == base || isRelays { ask(index, at: now) }
        }
    }

    /// Takes the answer to a question of the gathering; false when it is something else.
    mutating func answered(_ index: Int, _ bytes: [UInt8], from server: IPEndpoint, at now: Instant) -> Bool {
        let hadChanged = links[index].gathering.hasChanged
        guard links[index].gathering.receive(bytes, from: server, at: now) else { return false }
        worldIsStale = true
        let gathering = links[index].gathering
        let base = links[index].base
        let relay = relays.firstIndex {
            $0.standing == .ready && $0.link == base && $0.client.configuration.server == server
        }
        if let old = gathering.formerAnswer(of: server), let seen = gathering.answer(of: server), old != seen {
            // A mapping of its own for each server ends at an age too, where the relay keeps it in use.
            let isWhole = gathering.wasConstant ? !hadChanged : relay != nil
            if isWhole { mappingEnded(index, isSameHost: old.address == seen.address, at: now) }
        }
        links[index].heardAt = now
        if let relay, let seen = gathering.answer(of: server), relays[relay].client.mapped != seen {
            // The server knows the allocation by the old port, and says so.
            handleRelay(relay, .verify, at: now)
        }
        return true
    }

    /// A server sees another endpoint than before: how old the mapping became is known where something came by it until shortly
    /// before.
    private mutating func mappingEnded(_ index: Int, isSameHost: Bool, at now: Instant) {
        let end = links[index].heardAt ?? now
        guard let since = links[index].mappedSince, isSameHost, now - end <= (end - since) / 10 else {
            links[index].mappedSince = now
            return
        }
        links[index].age.note(end - since)
        links[index].mappedSince = end
    }

    // MARK: Taking a place

    /// When something is to be done; nil while no age is known.
    var renewalDeadline: Instant? {
        if let renewal { return renewal.former == nil ? nil : renewal.lookAt }
        return links.indices.compactMap { renewalDue($0) }.min()
    }

    private func renewalDue(_ index: Int) -> Instant? {
        // A port that was chosen, or opened by the router, would be another one.
        guard !slotOfPeer.isEmpty, configuration.localPort == 0, links[index].mapped == nil, links[index].local != nil,
            let since = links[index].mappedSince, let due = links[index].age.renewal(of: since)
        else { return nil }
        return max(due, renewedAt.map { $0 + PathRenewal.pause } ?? due)
    }

    mutating func renewalTimer(at now: Instant) {
        if let renewal {
            guard renewal.former != nil, now >= renewal.lookAt else { return }
            self.renewal?.lookAt = now + PathRenewal.interval
            if !isInUse(renewal, at: now) { endRenewal(at: now) }
        } else if let index = links.indices.first(where: { renewalDue($0).map { $0 <= now } ?? false }) {
            beginRenewal(index, at: now)
        }
    }

    private mutating func beginRenewal(_ index: Int, at now: Instant) {
        renewedAt = now
        let old = links[index]
        let socket = newSocket(.spare)
        var fresh = PathLink(
            base: ICEBaseID(nextBase),
            socket: socket,
            address: old.address,
            rank: old.rank,
            gathering: PathGathering(servers: servers(like: old.address))
        )
        nextBase += 1
        fresh.age = old.age
        renewal = PathRenewal(index: index, fresh: fresh, usedAt: now, lookAt: now + PathRenewal.shortest)
        output(.open(socket, .udp(local: IPEndpoint(old.address, 0))))
    }

    /// The fresh socket is there: it is told in place of the old one, which goes on until nobody uses it.
    mutating func spareOpened(_ id: SocketID, local: IPEndpoint, at now: Instant) {
        guard var fresh = renewal?.fresh, fresh.socket == id, let index = renewal?.index else { return }
        fresh.local = local
        fresh.mappedSince = now
        let old = links[index]
        renewal?.fresh = nil
        renewal?.former = old
        uses[old.socket] = .spare
        uses[id] = .link(index)
        links[index] = fresh
        worldIsStale = true
        ask(index, at: now)
        for place in relays.indices where relays[place].standing == .ready && relays[place].link == old.base {
            var former = relays[place]
            former.standing = .leaving
            relays.append(former)
            relays[place] = relay(after: former)
            startRelay(place, at: now)
            break
        }
    }

    mutating func spareClosed(_ id: SocketID, at now: Instant) {
        if renewal?.fresh?.socket == id {
            renewal = nil
        } else if renewal?.former?.socket == id {
            endRenewal(at: now)
        }
    }

    /// Something came on the old socket: the base that it is; nil when it is none.
    mutating func formerHeard(_ id: SocketID, _ bytes: [UInt8], at now: Instant) -> ICEBaseID? {
        guard let former = renewal?.former, former.socket == id else { return nil }
        if case .payload = PathPacket.kind(bytes) { renewal?.usedAt = now }
        return former.base
    }

    /// Whether a path still goes by the old socket, or comes by it.
    private func isInUse(_ renewal: PathRenewal, at now: Instant) -> Bool {
        if now - renewal.usedAt < PathRenewal.silence { return true }
        let bases = leavingBases
        return slots.contains { $0?.way.map { bases.contains($0.base) } ?? false }
    }

    /// Closes the old socket, and gives its allocation back.
    mutating func endRenewal(at now: Instant) {
        guard let renewal else { return }
        if let place = relays.indices.last, relays[place].standing == .leaving {
            handleRelay(place, .release, at: now)
            relays.removeLast()
        }
        self.renewal = nil
        worldIsStale = true
        for link in [renewal.fresh, renewal.former] {
            guard let link, uses.removeValue(forKey: link.socket) != nil else { continue }
            output(.close(link.socket, isAbrupt: false))
        }
    }
}
