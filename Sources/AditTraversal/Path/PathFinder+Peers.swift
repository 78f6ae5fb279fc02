// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// A peer's own socket, by the peer's place and its number there.
struct PathPeerSocket: Hashable, Sendable {
    var slot: Int
    var number: UInt32
}

extension PathFinder {
    // MARK: Coming and going

    /// Makes a place for a peer; nil when there are too many.
    mutating func addPeer(_ id: PathPeerID, isWanted: Bool, at now: Instant) -> Int? {
        guard slotOfPeer.count < configuration.peerLimit, id != configuration.ownID else { return nil }
        let slot: Int
        if let free = slots.firstIndex(where: { $0 == nil }) {
            slot = free
        } else {
            slot = slots.count
            slots.append(nil)
            deadlines.append(nil)
            fragments.append([])
        }
        slotOfPeer[id] = slot
        gather(at: now)
        refreshWorld(at: now)
        var peer = PathPeer(
            id,
            of: configuration.ownID,
            isWanted: isWanted,
            world: world,
            session: random.next(),
            random: PathGenerator.branch(&random),
            at: now
        )
        if let relay = relays.first(where: { $0.standing == .ready }) { peer.relayTransport = relay.reportedTransport }
        slots[slot] = peer
        drain(slot, at: now)
        return slot
    }

    /// Gives a peer's sockets back, and tells why.
    mutating func remove(_ slot: Int, _ failure: PathFailure, at now: Instant) {
        guard let peer = slots[slot] else { return }
        if budget.current == peer.id { budget.end(found: peer.isDirect, at: now) }
        for number in peer.sockets.keys.sorted() {
            closeSocket(PathPeerSocket(slot: slot, number: number), isAbrupt: false)
        }
        for fragment in fragments[slot] { slotOfFragment[fragment] = nil }
        fragments[slot] = []
        for endpoint in peer.validEndpoints where routes[endpoint] == slot { routes[endpoint] = nil }
        slots[slot] = nil
        deadlines[slot] = nil
        slotOfPeer[peer.id] = nil
        output(.event(.ended(peer.id, failure)))
        guard slotOfPeer.isEmpty else { return }
        endRenewal(at: now)
        for index in relays.indices where relays[index].standing == .ready { handleRelay(index, .release, at: now) }
        for index in relays.indices where relays[index].standing == .failed { relays[index].standing = .idle }
        relayTimers.cancelAll()
    }

    /// Checks for the peer's credentials, the present and the ones before, find it.
    private mutating func noteFragment(_ slot: Int) {
        guard let fragment = slots[slot]?.fragment(), fragments[slot].last != fragment else { return }
        fragments[slot].append(fragment)
        slotOfFragment[fragment] = slot
        if fragments[slot].count > 2 { slotOfFragment[fragments[slot].removeFirst()] = nil }
    }

    // MARK: What a peer wants

    /// Does what a peer wants, until there is nothing.
    mutating func drain(_ slot: Int, at now: Instant) {
        noteFragment(slot)
        var failure: PathFailure?
        while let next = slots[slot]?.nextOutput() {
            switch next {
            case .send(let bytes, let base, let endpoint, let timeToLive):
                guard mayReach(endpoint, bytes, on: base, of: slot, at: now) else { continue }
                send(bytes, on: base, to: endpoint, timeToLive: timeToLive, of: slot, at: now)
            case .open(let number, let kind):
                guard mayOpen(kind, of: slot, at: now) else {
                    slots[slot]?.socketClosed(number, .denied, at: now)
                    continue
                }
                let socket = newSocket(.peer(slot, number))
                socketOfPeer[PathPeerSocket(slot: slot, number: number)] = socket
                output(.open(socket, kind))
            case .write(let number, let bytes):
                guard mayWrite(number, of: slot, at: now) else { continue }
                if let socket = socketOfPeer[PathPeerSocket(slot: slot, number: number)] {
                    output(.write(socket, bytes))
                }
            case .close(let number, let isAbrupt):
                closeSocket(PathPeerSocket(slot: slot, number: number), isAbrupt: isAbrupt)
            case .permit(let address): permit(address, at: now)
            case .bind(let base, let endpoint):
                if let index = relays.firstIndex(where: { $0.base == base }) {
                    handleRelay(index, .bind(endpoint), at: now)
                }
            case .route(let endpoint):
                if endpoint.base.number < PathPeer.firstOwnBase { routes[endpoint] = slot }
            case .unroute(let endpoint): if routes[endpoint] == slot { routes[endpoint] = nil }
            case .wantsSearch(let plan): search(plan, slot, at: now)
            case .searchEnded(let isFound):
                if budget.current == slots[slot]?.id { budget.end(found: isFound, at: now) }
            case .learntNeedOfOpeners:
                needsOpeners = true
                worldIsStale = true
            case .wantsGathering: gather(at: now)
            case .suspects(let base): suspect(base, at: now)
            case .heard(let source): heard(source, of: slot, at: now)
            case .event(.ended(_, let why)): failure = why
            case .event(let event): output(.event(event))
            }
        }
        noteFragment(slot)
        deadlines[slot] = slots[slot]?.deadline()
        if let failure { remove(slot, failure, at: now) }
    }

    private mutating func search(_ plan: SearchPlan, _ slot: Int, at now: Instant) {
        guard let id = slots[slot]?.id else { return }
        if let refusal = budget.begin(id, at: now) {
            slots[slot]?.refuseSearch(refusal, at: now)
        } else {
            slots[slot]?.beginSearch(plan, limits: budget.limits, at: now)
        }
    }

    private mutating func send(
        _ bytes: [UInt8],
        on base: ICEBaseID,
        to endpoint: IPEndpoint,
        timeToLive: UInt8?,
        of slot: Int,
        at now: Instant
    ) {
        if base.number >= PathPeer.firstOwnBase {
            guard let socket = socketOfPeer[PathPeerSocket(slot: slot, number: base.number)] else { return }
            return output(.send(socket, bytes, to: endpoint, timeToLive: timeToLive))
        }
        if let id = PathPacket.requestID(bytes) { transactions.note(id, of: slot) }
        if let link = link(of: base) {
            output(.send(link.socket, bytes, to: endpoint, timeToLive: timeToLive))
        } else if let index = relays.firstIndex(where: { $0.base == base }) {
            handleRelay(index, .send(bytes, to: endpoint), at: now)
        }
    }

    /// Sends payload from a base that leads to the peer, which has answered checks there; false when the base is gone.
    mutating func transmit(_ batch: PacketBatch, on way: ICEBaseEndpoint, of slot: Int, at now: Instant) -> Bool {
        let number = way.base.number
        if number >= PathPeer.firstOwnBase {
            guard let socket = socketOfPeer[PathPeerSocket(slot: slot, number: number)] else { return false }
            if slots[slot]?.isStream(number) == true {
                output(.offerBatch(socket, batch))
            } else {
                output(.sendBatch(socket, batch, to: way.endpoint))
            }
            return true
        }
        for index in links.indices where links[index].base == way.base {
            output(.sendBatch(links[index].socket, batch, to: way.endpoint))
            return true
        }
        if let link = renewal?.former, link.base == way.base {
            output(.sendBatch(link.socket, batch, to: way.endpoint))
            return true
        }
        for index in relays.indices where relays[index].base == way.base {
            handleRelay(index, .sendBatch(batch, to: way.endpoint), at: now)
            return true
        }
        return false
    }

    // MARK: Sockets

    mutating func newSocket(_ use: SocketUse) -> SocketID {
        let socket = SocketID(nextSocket)
        nextSocket += 1
        uses[socket] = use
        return socket
    }

    private mutating func closeSocket(_ key: PathPeerSocket, isAbrupt: Bool) {
        guard let socket = socketOfPeer.removeValue(forKey: key) else { return }
        uses[socket] = nil
        output(.close(socket, isAbrupt: isAbrupt))
    }
}
