// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

extension PathFinder {
    // MARK: Sockets and servers

    /// Makes sure that candidates are there or on the way, and not too old.
    mutating func gather(at now: Instant) {
        if links.isEmpty { openLinks(at: now) }
        isGathering = true
        if let gatheredAt, now - gatheredAt < configuration.timing.freshness { return startRelays(at: now) }
        gatheredAt = now
        for index in links.indices where links[index].local != nil { ask(index, at: now) }
        startRelays(at: now)
    }

    private mutating func openLinks(at now: Instant) {
        for (rank, address) in PathLink.addresses(of: network).enumerated() {
            let socket = newSocket(.link(links.count))
            links.append(
                PathLink(
                    base: ICEBaseID(nextBase),
                    socket: socket,
                    address: address,
                    rank: rank,
                    gathering: PathGathering(servers: servers(like: address))
                )
            )
            nextBase += 1
            output(.open(socket, .udp(local: IPEndpoint(address, configuration.localPort))))
        }
        openDoor()
    }

    func servers(like address: IPAddress) -> [IPEndpoint] {
        configuration.server.stun.filter { isV6($0.address) == isV6(address) }
    }

    func isV6(_ address: IPAddress) -> Bool {
        if case .v6 = address.unmapped { return true }
        return false
    }

    mutating func linkOpened(_ index: Int, local: IPEndpoint, at now: Instant) {
        guard index < links.count else { return }
        links[index].local = local
        links[index].mappedSince = now
        worldIsStale = true
        ask(index, at: now)
        startRelays(at: now)
        if links[index].rank == 0 || isV6(local.address) { output(.event(.wantsPort(local.port, .udp))) }
    }

    mutating func ask(_ index: Int, at now: Instant) {
        links[index].gathering.begin(using: &random, at: now)
        transmit(index, at: now)
        worldIsStale = true
    }

    private mutating func transmit(_ index: Int, at now: Instant) {
        while let (bytes, server) = links[index].gathering.nextTransmission(at: now) {
            output(.send(links[index].socket, bytes, to: server, timeToLive: nil))
        }
        if links[index].gathering.isDone { worldIsStale = true }
    }

    var gatheringDeadline: Instant? {
        var earliest = relayTimers.nextDeadline
        func consider(_ deadline: Instant?) {
            if let deadline { earliest = min(earliest ?? deadline, deadline) }
        }
        for index in links.indices {
            consider(links[index].gathering.nextDeadline)
            consider(links[index].gathering.silenceDeadline)
        }
        for index in relays.indices { consider(relays[index].client.nextDeadline) }
        consider(door?.nextDeadline)
        consider(renewalDeadline)
        if configuration.staysReady, !links.isEmpty, let gatheredAt {
            consider(gatheredAt + configuration.timing.freshness)
        }
        return earliest
    }

    mutating func gatheringTimer(at now: Instant) {
        for index in links.indices {
            if let due = links[index].gathering.nextDeadline, due <= now { transmit(index, at: now) }
            guard links[index].gathering.noticeSilence(at: now) else { continue }
            worldIsStale = true
            if links[index].gathering.isSilent(at: now) { hasGoneSilent(index, at: now) }
        }
        for index in relays.indices {
            if let due = relays[index].client.nextDeadline, due <= now { handleRelay(index, .timer, at: now) }
        }
        renewalTimer(at: now)
        sendGuestsAway(at: now)
        while let index = relayTimers.expire(at: now) { startRelay(index, at: now) }
        if configuration.staysReady, !links.isEmpty, let gatheredAt, now - gatheredAt >= configuration.timing.freshness
        {
            self.gatheredAt = now
            for index in links.indices where links[index].local != nil { ask(index, at: now) }
        }
    }

    /// UDP seems to be blocked: the relay is asked over TCP at once.
    private mutating func hasGoneSilent(_ index: Int, at now: Instant) {
        guard links[index].rank == 0, let next = relays.indices.first(where: { relays[$0].transport != .udp }),
            relays[next].standing == .idle, !slotOfPeer.isEmpty
        else { return }
        relayTimers.set(next, at: now)
    }

    // MARK: Relays

    mutating func makeRelays() {
        for configuration in configuration.server.turn {
            relays.append(PathRelay(configuration, base: ICEBaseID(nextBase), random: PathGenerator.branch(&random)))
            nextBase += 1
        }
    }

    /// The preferred relay is asked at once, the others when it has not answered for a while or UDP seems to be blocked.
    mutating func startRelays(at now: Instant) {
        guard configuration.policy != .directOnly, !slotOfPeer.isEmpty,
            !relays.contains(where: { $0.standing == .ready })
        else { return }
        var wait = Duration.zero
        for index in relays.indices {
            switch relays[index].standing {
            case .idle, .failed:
                if wait == .zero {
                    startRelay(index, at: now)
                } else if relayTimers[index] == nil {
                    relayTimers.set(index, at: now + wait)
                }
            case .starting: break
            case .leaving: continue
            case .ready: return
            }
            if relays[index].standing != .failed {
                wait += relays[index].transport == .udp ? .milliseconds(700) : .seconds(1)
            }
        }
    }

    mutating func startRelay(_ index: Int, at now: Instant) {
        guard !relays.contains(where: { $0.standing == .ready }), relays[index].standing != .starting else { return }
        let server = relays[index].client.configuration.server
        switch relays[index].transport {
        case .udp:
            // The socket has to be there; it calls again when it is.
            guard let link = links.first(where: { $0.local != nil && isV6($0.address) == isV6(server.address) }) else {
                return
            }
            relays[index].link = link.base
            relays[index].standing = .starting
            handleRelay(index, .start, at: now)
        case .tcp, .tls:
            let any = IPEndpoint(isV6(server.address) ? .v6(high: 0, low: 0) : .v4(0), 0)
            let socket = newSocket(.relay(index))
            relays[index].standing = .starting
            relays[index].stream = socket
            let isTLS = relays[index].transport == .tls
            output(.open(socket, isTLS ? .tls(local: any, remote: server, name: "") : .tcp(local: any, remote: server)))
        }
    }

    /// Hands something to a relay's client, and does what it then wants.
    mutating func handleRelay(_ index: Int, _ input: TURNClientInput, at now: Instant) {
        relays[index].client.handle(input, at: now)
        while let next = relays[index].client.nextOutput() {
            switch next {
            case .transmit(let bytes): transmit(bytes, toRelay: index)
            case .transmitBatch(let batch): transmit(batch, toRelay: index)
            case .offer(let bytes): if let stream = relays[index].stream { output(.offer(stream, bytes)) }
            case .event(let event): relayed(event, index, at: now)
            }
        }
    }

    private mutating func transmit(_ bytes: [UInt8], toRelay index: Int) {
        if let stream = relays[index].stream { return output(.write(stream, bytes)) }
        let server = relays[index].client.configuration.server
        guard let link = relays[index].link.flatMap({ link(of: $0) }) else { return }
        output(.send(link.socket, bytes, to: server, timeToLive: nil))
    }

    private mutating func transmit(_ batch: PacketBatch, toRelay index: Int) {
        let server = relays[index].client.configuration.server
        guard let link = relays[index].link.flatMap({ link(of: $0) }) else { return }
        output(.sendBatch(link.socket, batch, to: server))
    }

    private mutating func relayed(_ event: TURNClientEvent, _ index: Int, at now: Instant) {
        if relays[index].standing == .leaving {
            if case .data(let batch, let remote) = event {
                arrived(batch, on: relays[index].base, from: remote, at: now)
            }
            return
        }
        switch event {
        case .allocated(let relayed, let mapped):
            if let ready = relays.firstIndex(where: { $0.standing == .ready }), ready != index {
                // Another one was quicker.
                return handleRelay(index, .release, at: now)
            }
            relays[index].standing = .ready
            relays[index].relayed = relayed
            relays[index].mapped = mapped
            relayTimers.cancelAll()
            worldIsStale = true
            for slot in slots.indices { slots[slot]?.relayTransport = relays[index].reportedTransport }
            permitAll(at: now)
        case .data(let batch, let remote): arrived(batch, on: relays[index].base, from: remote, at: now)
        case .redirected:
            if relays[index].stream == nil { handleRelay(index, .start, at: now) } else { endRelay(index, at: now) }
        case .failed, .lost, .released: endRelay(index, at: now)
        case .permitted, .notPermitted, .bound, .refused: break
        }
    }

    /// There is no allocation any more: the next relay is asked, or the same one a little later.
    mutating func endRelay(_ index: Int, at now: Instant) {
        let wasReady = relays[index].standing == .ready
        relays[index].standing = .failed
        relays[index].relayed = nil
        relays[index].permitted.removeAll()
        if let stream = relays[index].stream {
            relays[index].stream = nil
            uses[stream] = nil
            output(.close(stream, isAbrupt: false))
        }
        relays[index] = relay(after: relays[index])
        relays[index].standing = .failed
        worldIsStale = true
        guard !slotOfPeer.isEmpty else { return }
        if wasReady {
            startRelays(at: now)
        } else if let next = relays.indices.first(where: { relays[$0].standing == .idle }) {
            startRelay(next, at: now)
        } else {
            relayTimers.set(index, at: now + .seconds(30))
        }
    }

    /// A client is used for one allocation; a new base, since agents know the old one as lost.
    mutating func relay(after former: PathRelay) -> PathRelay {
        var configuration = former.client.configuration
        // What the server said last saves a round trip.
        configuration.realm = former.client.realm
        configuration.nonce = former.client.nonce
        defer { nextBase += 1 }
        return PathRelay(configuration, base: ICEBaseID(nextBase), random: PathGenerator.branch(&random))
    }

    /// Lets an address in at the relay.
    mutating func permit(_ address: IPAddress, at now: Instant) {
        guard let index = relays.firstIndex(where: { $0.standing == .ready }) else { return }
        let isWorthwhile = AddressRealm(address) == .public || world.serverAddresses.contains(address)
        guard isWorthwhile, relays[index].permitted.count < PathRelay.permissionLimit,
            relays[index].permitted.insert(address).inserted
        else { return }
        handleRelay(index, .permit(address), at: now)
    }

    private mutating func permitAll(at now: Instant) {
        for slot in slots.indices {
            guard let peer = slots[slot] else { continue }
            let addresses = peer.heard.map(\.endpoint.address) + [peer.remote?.nat.address].compactMap { $0 }
            for address in addresses { permit(address, at: now) }
        }
    }

    // MARK: What all peers know

    /// Puts together what was gathered, and tells every peer that it is something else than before.
    mutating func refreshWorld(at now: Instant) {
        var new = PathWorld(
            policy: configuration.policy,
            tactics: configuration.tactics,
            isQuiet: configuration.isQuiet,
            timing: configuration.timing
        )
        for link in links {
            new.candidates += link.candidates.map { PathWorld.Candidate(candidate: $0, base: link.base) }
        }
        if let door, let candidate = door.candidate {
            new.candidates.append(PathWorld.Candidate(candidate: candidate, base: door.base))
        }
        for relay in relays {
            if let candidate = relay.candidate {
                new.candidates.append(PathWorld.Candidate(candidate: candidate, base: relay.base))
            }
        }
        new.leaving = leavingBases
        let hasRelay = relays.contains { $0.standing == .ready }
        let mayRelay = relays.contains { $0.standing == .starting || $0.standing == .idle } && !hasRelay
        let isAsking = links.contains { !$0.isClosed && $0.gathering.isFirst }
        new.isComplete = !isAsking && (hasRelay || !mayRelay || configuration.policy == .directOnly)
        if !hasRelay { new.relayLack = relays.isEmpty ? .notOffered : mayRelay ? nil : .silent }
        new.addresses = network.interfaces.flatMap(\.addresses) + links.compactMap { $0.local?.address }
        new.addresses += links.compactMap { $0.gathering.answers.first?.address }
        var seen: Set<IPAddress> = []
        new.addresses = new.addresses.filter { !$0.isUnspecified && seen.insert($0).inserted }
        new.serverAddresses = serverAddresses
        if let main = links.first(where: { !$0.isV6 && $0.local != nil }) ?? links.first(where: { $0.local != nil }) {
            new.main = main.base
            new.address = main.local?.address
            new.stun = main.gathering.servers
            new.isUDPSuspect = main.gathering.isSuspect(at: now)
            new.stunTCP = configuration.server.stunTCP.filter { isV6($0.address) == main.isV6 }
        }
        new.nat = PathNATInference.nat(nat, links: links, stunTCP: !configuration.server.stunTCP.isEmpty, at: now)
        new.openerTimeToLive = UInt8(clamping: (nat?.natCount.value ?? 1) + 1)
        new.needsOpeners = needsOpeners
        worldIsStale = false
        guard new != world else { return }
        world = new
        for slot in slots.indices where slots[slot] != nil {
            slots[slot]?.take(new, at: now)
            drain(slot, at: now)
        }
    }

    private var serverAddresses: [IPAddress] {
        let server = configuration.server
        var addresses: [IPAddress] = []
        for address in server.stun.map(\.address) + server.turn.map(\.server.address)
            + relays.compactMap(\.relayed?.address)
        where !addresses.contains(address) {
            addresses.append(address)
        }
        return addresses
    }
}
