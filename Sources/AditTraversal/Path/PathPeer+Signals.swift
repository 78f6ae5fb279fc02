// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

extension PathPeer {
    /// What this end has to tell now.
    var description: PathDescription {
        var description = PathDescription(credentials: credentials)
        description.candidates = Array(told.prefix(PathDescription.candidateLimit).map(\.candidate))
        description.isComplete = world.isComplete
        description.policy = world.policy
        description.isQuiet = world.isQuiet
        description.nat = nat
        description.relay = relayTransport
        description.openers = openers?.offer
        description.tcp = tcp?.offer
        description.search = search?.offer
        if leads, remote != nil { description.reason = report.reason }
        return description
    }

    /// Tells the peer within a moment, together with what else comes until then.
    mutating func tellSoon(at now: Instant) {
        if timers[.tell] == nil { timers.set(.tell, at: now + world.timing.gathering) }
    }

    mutating func tell(at now: Instant) {
        timers.cancel(.tell)
        if let signal = exchange.tell(description, at: now) { output(.event(.signal(signal, to: id))) }
    }

    /// Takes what was gathered, or what else changed in the surroundings.
    mutating func take(_ world: PathWorld, at now: Instant) {
        guard world != self.world else { return }
        self.world = world
        tellLocal(at: now)
        prepareTCP(at: now)
        considerTactics(at: now)
        // The reason names the NATs, and may be another one by what is known now.
        updateReport(at: now)
        tellSoon(at: now)
    }

    /// Hands local candidates that are new to the agent.
    mutating func tellLocal(at now: Instant) {
        let wanted = world.candidates.filter { isAllowed($0.candidate) }
        for base in leaving where !world.leaving.contains(base) {
            handleAgent(.baseLost(base), at: now)
            leaving.remove(base)
        }
        for old in told where !wanted.contains(where: { $0.base == old.base }) && !leaving.contains(old.base) {
            if world.leaving.contains(old.base) {
                leaving.insert(old.base)
                handleAgent(.baseLeaves(old.base), at: now)
            } else {
                handleAgent(.baseLost(old.base), at: now)
            }
        }
        let new = wanted.filter { !told.contains($0) }
        told = wanted
        for candidate in new { handleAgent(.local(candidate.candidate, base: candidate.base), at: now) }
        if world.isComplete, !isLocalDone {
            isLocalDone = true
            handleAgent(.localDone, at: now)
        }
    }

    /// Takes a signal of the peer; false when the peer left.
    mutating func take(_ signal: PathSignal, at now: Instant) -> Bool {
        switch exchange.receive(signal, at: now) {
        case .ended: return false
        case .nothing:
            if keepsItsOwn, let remote { take(remote, isNewSession: false, at: now) }
        case .description(let description, let isNewSession):
            take(description, isNewSession: isNewSession, at: now)
        }
        if exchange.peerHas(credentials) { expectsAnswer = false }
        if exchange.isDue { tellSoon(at: now) }
        return true
    }

    /// Whether the peer has seen that this end began anew, and stays with the credentials that it told before.
    private var keepsItsOwn: Bool { areCredentialsFresh && exchange.peerHas(credentials) }

    private mutating func take(_ description: PathDescription, isNewSession: Bool, at now: Instant) {
        let old = remote
        remote = description
        if isNewSession, old != nil {
            // Another process: whatever was agreed on is gone.
            stopTactics(at: now)
            openers = nil
            tcp = nil
            search = nil
        }
        if isNewSession || description.credentials != old?.credentials || keepsItsOwn { pair(description, at: now) }
        for candidate in heard where !description.candidates.contains(candidate) {
            heard.remove(candidate)
            handleAgent(.remoteGone(candidate), at: now)
        }
        var hasNew = false
        for candidate in description.candidates where isWorthwhile(candidate) && !heard.contains(candidate) {
            heard.insert(candidate)
            hasNew = true
            if world.policy != .directOnly { output(.permit(candidate.endpoint.address)) }
            handleAgent(.remote(candidate), at: now)
        }
        if hasNew { permitReflexive(of: description) }
        if description.isComplete, !isRemoteDone {
            isRemoteDone = true
            handleAgent(.remoteDone, at: now)
        }
        if description.policy != old?.policy { tellLocal(at: now) }
        prepareTCP(at: now)
        followOpeners(description.openers, at: now)
        followTCP(description.tcp, at: now)
        followSearch(description.search, at: now)
        considerTactics(at: now)
        updateReport(at: now)
        tellSoon(at: now)
    }

    /// The peer has other credentials: its checks and ours begin anew.
    private mutating func pair(_ description: PathDescription, at now: Instant) {
        heard.removeAll()
        isRemoteDone = false
        if areCredentialsFresh {
            // A peer that has not seen them will answer them with others. Two that each answer the other would never end.
            expectsAnswer = !exchange.peerHas(credentials)
        } else if expectsAnswer {
            expectsAnswer = false
        } else if !exchange.peerHas(credentials) {
            // What it told before it knew of these may cross them again. A peer that has them goes on with them.
            renew(at: now)
            expectsAnswer = true
        }
        areCredentialsFresh = false
        handleAgent(.remoteCredentials(description.credentials), at: now)
        beginAttempt(at: now)
    }

    /// A peer behind a NAT comes to the relay from its reflexive address, on a port that nobody has to know.
    private mutating func permitReflexive(of description: PathDescription) {
        guard world.policy != .directOnly, let address = description.nat.address else { return }
        output(.permit(address))
    }

    private func isWorthwhile(_ candidate: ICECandidate) -> Bool {
        guard heard.count < PathDescription.candidateLimit, candidate.component == 1 else { return false }
        return isAllowed(candidate)
    }

    /// Whether both ends' policies allow packets to such a candidate, or from it.
    private func isAllowed(_ candidate: ICECandidate) -> Bool {
        switch policy {
        // A tactic that is asked for alone has to do without the plain checks.
        case .automatic:
            candidate.type == .relayed || world.tactics.contains(candidate.transport == .tcp ? .tcp : .plain)
        case .directOnly: candidate.type != .relayed
        case .relayOnly: candidate.type == .relayed
        }
    }

    // MARK: Restart

    /// Begins anew with other credentials; the path in use stays until there is another.
    mutating func restart(at now: Instant) {
        guard remote != nil else { return }
        guard !areCredentialsFresh else {
            // The peer has not answered the last restart yet.
            exchange.remind(at: now)
            if selected == nil { scheduleRetry(at: now) }
            return
        }
        stopTactics(at: now)
        renew(at: now)
        output(.wantsGathering)
        tellSoon(at: now)
    }

    /// The network is another one: what was tried in the old one says nothing about it.
    mutating func networkChanged(at now: Instant) {
        retryPause = world.timing.retry
        for number in sockets.keys.sorted() { close(number, at: now) }
        restart(at: now)
    }

    private mutating func renew(at now: Instant) {
        var generator = PathGenerator(random)
        credentials = ICECredentials(using: &generator)
        random = generator.base
        areCredentialsFresh = true
        isLocalDone = false
        told = []
        handleAgent(.restart(credentials), at: now)
        tellLocal(at: now)
    }

    /// Both ends know enough to begin: from here on tactics are tried one after the other.
    private mutating func beginAttempt(at now: Instant) {
        attemptAt = now
        isAttemptOver = false
        searchEnd = nil
        timers.cancel(.retry)
        for timer in [Timer.tcp, .openers, .search, .over] { timers.cancel(timer) }
        timers.set(.over, at: now + world.timing.patience)
        timers.set(.verdict, at: now + world.timing.verdict)
        considerTactics(at: now)
    }
}
