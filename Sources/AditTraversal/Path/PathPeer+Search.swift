// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

extension PathPeer {
    /// A search for ports and what both ends say of it.
    struct Search: Sendable {
        var offer: PathSearchOffer
        var attempt: Instant?
        /// The socket whose ports are looked at, and the questions about it. It is the search's main socket too: from the
        /// shared one a mapping to the peer may be there already, with a port from before the samples.
        var sampler: UInt32?
        var question: PathGathering?
        var machine: PortSearch?
        var plan: SearchPlan?
        var numbers: [Int: UInt32] = [:]
        var isAsked = false
        /// When the own ports were open.
        var openedAt: Instant?
        var isOver = false

        var machineDeadline: Instant? { isOver ? nil : machine?.nextDeadline }
        /// Whether ports are being searched for.
        var isRunning: Bool { machine != nil && !isOver }
        /// The tactic, as reports name it.
        var tactic: PathTactic {
            switch plan?.tactic {
            case .prediction: .prediction
            case .window: .window
            case .birthday: .birthday
            case .block: .block
            case nil: .plain
            }
        }
    }

    // MARK: Samples

    mutating func beginSampling(at now: Instant) {
        guard !isDirect, !world.stun.isEmpty else { return }
        startSampling(round: (search?.offer.round ?? 0) &+ 1, at: now)
    }

    /// The peer began a round, or got on with one.
    mutating func followSearch(_ offer: PathSearchOffer?, at now: Instant) {
        guard let offer, policy != .relayOnly else { return }
        if !leads, offer.round != search?.offer.round, world.main != nil, !isDirect {
            if world.isQuiet || searchTactics.isEmpty {
                search = Search(offer: PathSearchOffer(round: offer.round, stage: .failed), attempt: attemptAt)
                search?.isOver = true
                return
            }
            startSampling(round: offer.round, at: now)
        }
        if offer.round == search?.offer.round { advanceSearch(at: now) }
    }

    /// A burst from a fresh socket shows what the NAT gives next.
    private mutating func startSampling(round: UInt8, at now: Instant) {
        stopSearch(at: now)
        guard beginsRound(at: now), let number = open(.sampler, .udp(local: freshEndpoint)) else { return }
        search = Search(offer: PathSearchOffer(round: round), attempt: attemptAt, sampler: number)
        tellSoon(at: now)
    }

    mutating func samplerOpened(_ number: UInt32, at now: Instant) {
        guard search?.sampler == number else { return }
        var question = PathGathering(servers: world.stun)
        question.begin(using: &random, at: now)
        search?.question = question
        samplerDue(at: now)
    }

    mutating func samplerAnswered(_ bytes: [UInt8], from remote: IPEndpoint, at now: Instant) -> Bool {
        guard search?.question?.receive(bytes, from: remote, at: now) == true else { return false }
        samplerDue(at: now)
        return true
    }

    mutating func samplerFailed(at now: Instant) {
        search?.sampler = nil
        endSampling(at: now)
    }

    mutating func samplerDue(at now: Instant) {
        guard let number = search?.sampler, search?.question != nil else { return }
        while let (bytes, server) = search?.question?.nextTransmission(at: now) {
            packetsSpent += 1
            output(.send(bytes, on: ICEBaseID(number), to: server, timeToLive: nil))
        }
        if search?.question?.isDone == true { return endSampling(at: now) }
        if let deadline = search?.question?.nextDeadline { timers.set(.sampler, at: deadline) }
    }

    private mutating func endSampling(at now: Instant) {
        timers.cancel(.sampler)
        let samples = search?.question?.answers ?? []
        search?.question = nil
        search?.offer.samples = Array(samples.prefix(PathSearchOffer.sampleLimit))
        search?.offer.stage = samples.isEmpty ? .failed : .sampled
        tell(at: now)
        advanceSearch(at: now)
    }

    // MARK: The search

    private mutating func advanceSearch(at now: Instant) {
        guard let own = search, let theirs = remote?.search, theirs.round == own.offer.round, !own.isOver else {
            return
        }
        if theirs.stage == .failed || own.offer.stage == .failed { return endSearch(.hopeless, at: now) }
        if own.machine != nil, theirs.stage == .opened { handleSearch(.peerOpened, at: now) }
        guard own.machine == nil, !own.isAsked, own.offer.stage == .sampled, theirs.stage >= .sampled else { return }
        guard let plan = plan(own.offer, theirs) else {
            search?.offer.stage = .failed
            tellSoon(at: now)
            return endSearch(.hopeless, at: now)
        }
        // A search is many packets: it waits until the peer has shown that it is there.
        guard isProven(plan.peer.address) else { return }
        search?.isAsked = true
        output(.wantsSearch(plan))
    }

    /// Takes the server's word from which address the peer's session comes.
    mutating func vouch(for address: IPAddress, at now: Instant) {
        guard vouched != address.unmapped else { return }
        vouched = address.unmapped
        followSearch(remote?.search, at: now)
    }

    /// Whether something other than the peer's word says that the peer is at the address: it has answered from there through
    /// the relay, or its session comes from there, as the server says. A check from there may be forged, and earns one packet.
    private func isProven(_ address: IPAddress) -> Bool {
        if provenAddresses.contains(address) || vouched == address { return true }
        return agent.remoteCandidates.contains { $0.type == .peerReflexive && $0.endpoint.address == address }
    }

    private func plan(_ own: PathSearchOffer, _ theirs: PathSearchOffer) -> SearchPlan? {
        guard let remote else { return nil }
        guard let endpoint = theirs.samples.first, mayAim(at: endpoint) else { return nil }
        var options = SearchOptions()
        options.allowsBlock = searchTactics.contains(.block)
        if world.needsOpeners { options.openerTimeToLive = world.openerTimeToLive }
        let plan = SearchPlan.make(
            own: PortSamples(own.samples, allocation: world.nat.udp.allocation),
            peer: PortSamples(theirs.samples, allocation: remote.nat.udp.allocation),
            at: endpoint,
            options: options
        )
        let tactic: PathTactic
        switch plan?.tactic {
        case .prediction: tactic = .prediction
        case .window: tactic = .window
        case .birthday: tactic = .birthday
        case .block: tactic = .block
        case nil: return nil
        }
        return searchTactics.contains(tactic) ? plan : nil
    }

    /// The budget allows the search.
    mutating func beginSearch(_ plan: SearchPlan, limits: PunchLimits, at now: Instant) {
        guard search != nil, search?.machine == nil, !isDirect else {
            return output(.searchEnded(isFound: isDirect))
        }
        search?.plan = plan
        searchProbes = 0
        search?.machine = PortSearch(limits: limits, random: PathGenerator.branch(&random))
        timers.set(.over, at: max(timers[.over] ?? now, now + limits.duration + .seconds(2)))
        switch plan.tactic {
        case .prediction(let window): searchSockets = window
        case .window(let sockets), .birthday(let sockets, _): searchSockets = sockets
        case .block: searchSockets = 0
        }
        let name = search?.tactic.rawValue ?? ""
        output(trace(Text("search for a port: \(name)", zh: "搜索端口：\(name)"), at: now))
        handleSearch(.begin(plan), at: now)
        if let theirs = remote?.search, theirs.stage == .opened { handleSearch(.peerOpened, at: now) }
        updateReport(at: now)
    }

    /// The budget does not allow it now.
    mutating func refuseSearch(_ refusal: PunchBudget<PathPeerID>.Refusal, at now: Instant) {
        switch refusal {
        case .quiet:
            search?.offer.stage = .failed
            tellSoon(at: now)
            endSearch(.notAllowed(leads ? .a : .b), at: now)
        case .busy:
            // Another peer's search ends soon.
            search?.isAsked = false
            if leads { timers.set(.search, at: now + .seconds(5)) }
        case .resting:
            search?.offer.stage = .failed
            tellSoon(at: now)
            endSearch(.foundNothing(probes: searchProbes), at: now)
        }
    }

    mutating func searchTimer(at now: Instant) { handleSearch(.timer, at: now) }

    /// Hands something to the search, and does what it then wants.
    mutating func handleSearch(_ input: PortSearchInput, at now: Instant) {
        search?.machine?.handle(input, at: now)
        while let next = search?.machine?.nextOutput() {
            switch next {
            case .openSocket(let index):
                if let number = open(.search(index), .udp(local: freshEndpoint)) {
                    search?.numbers[index] = number
                } else {
                    search?.machine?.handle(.notOpened(index), at: now)
                }
            case .closeSocket(let index):
                if let number = search?.numbers.removeValue(forKey: index) { close(number, at: now) }
            case .probe(let index, let endpoint, let timeToLive):
                searchProbes += 1
                let base = index == 0 ? search?.sampler : search?.numbers[index]
                if let base { handleAgent(.probe(on: ICEBaseID(base), to: endpoint, timeToLive: timeToLive), at: now) }
            case .ready:
                search?.offer.stage = .opened
                if search?.openedAt == nil { search?.openedAt = now }
                tell(at: now)
            case .finished(let outcome):
                endSearch(outcome == .found ? nil : .foundNothing(probes: searchProbes), at: now)
            }
        }
        if case .notOpened(let index) = input { search?.numbers[index] = nil }
    }

    /// A direct pair answered: only its socket is kept.
    mutating func foundBySearch(on base: ICEBaseID, at now: Instant) {
        guard search?.isRunning == true else { return }
        if let index = search?.numbers.first(where: { $0.value == base.number })?.key {
            handleSearch(.foundOn(index), at: now)
        } else {
            handleSearch(.found, at: now)
        }
    }

    /// How many ports were probed until then: the end that opened its own does not probe, and takes the other's count. Until
    /// that is told, it is what the pace of a search makes of the time.
    func probedCount(until end: Instant) -> Int {
        guard let search, let plan = search.plan, plan.role == .opener else { return searchProbes }
        if let theirs = remote?.search, theirs.round == search.offer.round, theirs.probes > 0 { return theirs.probes }
        guard case .birthday(_, let limit) = plan.tactic, let openedAt = search.openedAt else { return searchProbes }
        return min(limit, max(1, Int((end - openedAt).inSeconds * Double(PunchLimits().packetsPerSecond))))
    }

    private mutating func endSearch(_ end: PathSearchEnd?, at now: Instant) {
        guard search?.isOver == false else { return }
        let wasRunning = search?.machine != nil
        if wasRunning {
            search?.offer.probes = searchProbes
            tellSoon(at: now)
        }
        search?.isOver = true
        search?.machine = nil
        if let end {
            searchEnd = end
            closeSampler(at: now)
        }
        if wasRunning { output(.searchEnded(isFound: end == nil)) }
        updateReport(at: now)
    }

    private mutating func closeSampler(at now: Instant) {
        timers.cancel(.sampler)
        if let number = search?.sampler, !isInUse(number) {
            search?.sampler = nil
            close(number, at: now)
        }
    }

    mutating func stopSearch(at now: Instant) {
        guard search != nil else { return }
        if search?.isRunning == true { handleSearch(.stop, at: now) }
        closeSampler(at: now)
        search?.isOver = true
        for (number, socket) in sockets.sorted(by: { $0.key < $1.key }) {
            if case .search = socket.use, !isInUse(number) { close(number, at: now) }
        }
    }
}
