// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

extension PathPeer {
    /// Hands something to the agent, and does what it then wants.
    mutating func handleAgent(_ input: ICEInput, at now: Instant) {
        agent.handle(input, at: now)
        for source in agent.takeSources() { output(.heard(source)) }
        for base in agent.takeGivenUp() { suspect(base, at: now) }
        while let next = agent.nextOutput() {
            switch next {
            case .send(let bytes, let base, let endpoint, let timeToLive):
                packetsSpent += 1
                send(bytes, on: base, to: endpoint, timeToLive: timeToLive)
            case .connect: break
            case .event(let event): handle(event, at: now)
            }
        }
    }

    /// Sends a packet from a shared base or an own one.
    mutating func send(_ bytes: [UInt8], on base: ICEBaseID, to endpoint: IPEndpoint, timeToLive: UInt8? = nil) {
        guard base.number >= Self.firstOwnBase, let socket = sockets[base.number], socket.isStream else {
            return output(.send(bytes, on: base, to: endpoint, timeToLive: timeToLive))
        }
        if let framed = PacketFrames.frame(bytes) { output(.write(base.number, framed)) }
    }

    private mutating func handle(_ event: ICEEvent, at now: Instant) {
        switch event {
        case .valid(let pair): valid(pair, at: now)
        case .selected(let pair): select(pair, at: now)
        case .roundTrip(let duration, let pair):
            noteAlive(ICEBaseEndpoint(base: pair.base, endpoint: pair.remote.endpoint))
            if pair.base == selected?.base, pair.remote.endpoint == selected?.remote.endpoint {
                report.roundTrip = duration
                output(.event(.roundTrip(duration, report, of: id)))
            }
        case .roleChanged: break
        case .consentLost(let pair): lost(pair, at: now)
        case .failed: considerTactics(at: now)
        }
    }

    private mutating func valid(_ pair: ICEPair, at now: Instant) {
        accept(from: pair)
        if case .opener? = sockets[pair.base.number]?.use { output(.learntNeedOfOpeners) }
        if pair.isRelayed {
            // What stands by is to carry whole packets, without the longer header of an indication.
            if pair.local.type == .relayed { output(.bind(pair.base, pair.remote.endpoint)) }
            // The relay has seen the peer send from there, and the peer has answered what was sent there.
            if pair.local.type == .relayed, pair.remote.type != .relayed, provenAddresses.count < Self.endpointLimit {
                provenAddresses.insert(pair.remote.endpoint.address)
                followSearch(remote?.search, at: now)
                trustForTCP(pair.remote.endpoint.address, at: now)
            }
            return
        }
        note(tacticOf: pair)
        found(on: pair.base, at: now)
    }

    private mutating func select(_ pair: ICEPair, at now: Instant) {
        accept(from: pair)
        if pair.local.type == .relayed { output(.bind(pair.base, pair.remote.endpoint)) }
        let isChange = selected?.base != pair.base || selected?.remote.endpoint != pair.remote.endpoint
        selected = pair
        if isChange { renewDoubt(at: now) }
        if pair.isRelayed {
            tactic = nil
            // It was taken for a direct one before.
            if attemptAt != nil, !isAttemptOver, timers[.over] == nil {
                timers.set(.over, at: now + world.timing.patience)
                considerTactics(at: now)
            }
            // The lost path is asked for a while whether it answers again; only then everything begins anew.
            if lostAt == now, timers[.retry] != nil { timers.set(.retry, at: now + world.timing.recheck) }
            if isAttemptOver, timers[.retry] == nil { scheduleRetry(at: now) }
        } else {
            note(tacticOf: pair)
            tactic = tacticOfBase[pair.base] ?? .plain
            for timer in [Timer.tcp, .openers, .search, .over, .retry] { timers.cancel(timer) }
            retryPause = world.timing.recovery
            timers.set(.tidy, at: now + .seconds(3))
            found(on: pair.base, at: now)
        }
        updateReport(at: now)
    }

    /// Payload may come from there from now on.
    private mutating func accept(from pair: ICEPair) {
        let new = ICEBaseEndpoint(base: pair.base, endpoint: pair.remote.endpoint)
        guard !noteAlive(new) else { return }
        // Not the path in use: it may be the one that was accepted first.
        if validEndpoints.count >= Self.endpointLimit, let idle = validEndpoints.firstIndex(where: { $0 != way }) {
            output(.unroute(validEndpoints.remove(at: idle)))
        }
        validEndpoints.append(new)
        output(.route(new))
    }

    /// Something of the peer's came from an endpoint, which is then the last to go when there are too many; false when payload may
    /// not come from there.
    @discardableResult
    mutating func noteAlive(_ endpoint: ICEBaseEndpoint) -> Bool {
        if validEndpoints.last == endpoint { return true }
        guard let index = validEndpoints.firstIndex(of: endpoint) else { return false }
        validEndpoints.append(validEndpoints.remove(at: index))
        return true
    }

    /// Remembers by which tactic a direct pair came to be, before the tactic is over.
    private mutating func note(tacticOf pair: ICEPair) {
        guard tacticOfBase[pair.base] == nil, tacticOfBase.count < Self.socketLimit else { return }
        if pair.local.transport == .tcp {
            tacticOfBase[pair.base] = tcp?.tactic ?? .tcp
        } else if let search, search.isRunning {
            switch sockets[pair.base.number]?.use {
            case .search, .sampler: tacticOfBase[pair.base] = search.tactic
            case .opener, .punch, .stream, nil: break
            }
        }
    }

    private mutating func lost(_ pair: ICEPair, at now: Instant) {
        guard let selected, selected.base == pair.base, selected.remote.endpoint == pair.remote.endpoint else { return }
        self.selected = nil
        lostAt = now
        suspect(pair.base, at: now)
        tactic = nil
        tacticOfBase[pair.base] = nil
        updateReport(at: now)
        // The relay, where there is one, is chosen by the agent in the same moment; the direct path is looked for again.
        if leads { timers.set(.retry, at: now + .milliseconds(200)) }
        isAttemptOver = false
        timers.set(.over, at: now + world.timing.patience)
    }

    /// All tactics of this attempt had their time.
    mutating func attemptEnded(at now: Instant) {
        guard !isAttemptOver else { return }
        isAttemptOver = true
        stopTactics(at: now)
        updateReport(at: now)
        tellSoon(at: now)
        if !isDirect { scheduleRetry(at: now) }
        if selected == nil, !isWanted { output(.event(.ended(id, .noPath))) }
    }

    /// The next attempt comes after a pause that doubles each time.
    mutating func scheduleRetry(at now: Instant) {
        guard leads || isWanted && selected == nil, policy != .relayOnly else { return }
        let jitter = Duration.milliseconds(Int64(random.next() % 1000))
        timers.set(.retry, at: now + retryPause + jitter)
        retryPause = min(retryPause * 2, world.timing.retryLimit)
    }
}
