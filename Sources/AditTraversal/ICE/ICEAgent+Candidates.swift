// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Candidates and the checklist (RFC 8445 sections 5 and 6).
extension ICEAgent {
    mutating func addLocal(_ candidate: ICECandidate, base id: ICEBaseID) {
        guard candidate.component == 1 else { return }
        let count = bases.reduce(0) { $0 + $1.candidates.count }
        guard count < configuration.limits.localCandidates else { return }
        if !filter.own.contains(candidate.endpoint.address) {
            filter.own.append(candidate.endpoint.address)
            let held = postponed
            postponed = []
            for candidate in held { addRemote(candidate) }
        }
        let base = place(of: id, transport: candidate.transport, like: candidate.endpoint)
        guard !bases[base].candidates.contains(where: { $0.endpoint == candidate.endpoint }) else { return }
        if candidate.type == .host || candidate.type == .relayed {
            bases[base].candidates.insert(candidate, at: 0)
        } else {
            bases[base].candidates.append(candidate)
        }
        for remote in remotes.indices where remotes[remote].isCurrent { _ = addPair(base: base, remote: remote) }
    }

    mutating func addRemote(_ candidate: ICECandidate) {
        guard candidate.component == 1, candidate.tcpType != .active else { return }
        if let known = remoteIndex[ICERemoteKey(endpoint: candidate.endpoint, transport: candidate.transport)] {
            // A check was faster than the candidate (RFC 8838 section 11.4).
            guard remotes[known].state == .learned else { return }
            remotes[known] = ICERemote(candidate: candidate, state: .told)
            for index in pairs.indices where pairs[index].remote == known { rank(index) }
            // The check may have come through the relay, which is no reason to try nothing else.
            for base in bases.indices { _ = addPair(base: base, remote: known) }
            // Only now it is known what the pair in use is.
            if let selected, pairs[selected].remote == known { tell(.selected(pair(selected))) }
            return
        }
        let limits = configuration.limits
        let refusal = filter.refusal(of: candidate.endpoint, over: candidate.transport)
        if refusal == .notOurNetwork || refusal == .linkLocal, postponed.count < limits.remoteCandidates {
            // A network of ours that is not known yet may be the peer's too.
            postponed.append(candidate)
            return
        }
        let network = candidate.endpoint.address.network
        let told = remotes.filter { $0.state == .told }
        guard refusal == nil,
            told.count < limits.remoteCandidates,
            told.count(where: { $0.candidate.endpoint.address.network == network }) < limits.remoteCandidatesPerNetwork,
            !bases.contains(where: { $0.candidates.first?.endpoint == candidate.endpoint })
        else {
            counters.refused += 1
            return
        }
        let remote = store(ICERemote(candidate: candidate, state: .told))
        for base in bases.indices { _ = addPair(base: base, remote: remote) }
    }

    /// Forgets a candidate that the peer tells no longer; one that answers stays as long as it does.
    mutating func withdraw(_ candidate: ICECandidate) {
        let key = ICERemoteKey(endpoint: candidate.endpoint, transport: candidate.transport)
        postponed.removeAll { $0.endpoint == candidate.endpoint && $0.transport == candidate.transport }
        guard let place = remoteIndex[key], remotes[place].state == .told else { return }
        if pairs.contains(where: { $0.remote == place && $0.state == .succeeded }) {
            remotes[place].state = .learned
        } else {
            forget(remote: place)
        }
    }

    /// The place of a base, which is made when it is not known.
    mutating func place(of id: ICEBaseID, transport: ICETransport, like endpoint: IPEndpoint) -> Int {
        if let known = baseIndex[id] { return known }
        return store(ICEBase(id: id, transport: transport, isV6: endpoint.address.isV6, isStream: false))
    }

    /// The place of a new base: that of a lost one, to which no pair belongs any more, or one at the end.
    mutating func store(_ base: ICEBase) -> Int {
        let place = bases.firstIndex(where: \.isLost) ?? bases.count
        if place < bases.count { bases[place] = base } else { bases.append(base) }
        baseIndex[base.id] = place
        return place
    }

    /// The place of a new remote candidate: one that was forgotten, or one at the end.
    mutating func store(_ remote: ICERemote) -> Int {
        let place = remotes.firstIndex { $0.state == .forgotten } ?? remotes.count
        if place < remotes.count { remotes[place] = remote } else { remotes.append(remote) }
        remoteIndex[remote.key] = place
        return place
    }

    mutating func forget(remote place: Int) {
        for index in pairs.indices where pairs[index].remote == place { removePair(index) }
        if remotes[place].isCurrent { remoteIndex[remotes[place].key] = nil }
        remotes[place].state = .forgotten
    }

    /// The place of a remote candidate that a check or a connection showed; nil when there are too many of them.
    mutating func learn(_ endpoint: IPEndpoint, _ transport: ICETransport, priority: UInt32?) -> Int? {
        if let known = remoteIndex[ICERemoteKey(endpoint: endpoint, transport: transport)] { return known }
        if remotes.count(where: { $0.state == .learned }) >= configuration.limits.peerReflexiveCandidates {
            // Beyond the limit, one that came to nothing gives way.
            let used = Set(pairs.filter { $0.state != .failed && $0.state != .removed }.map(\.remote))
            let idle = remotes.indices.first { remotes[$0].state == .learned && !used.contains($0) }
            guard let idle else {
                counters.refused += 1
                return nil
            }
            forget(remote: idle)
        }
        let candidate = ICECandidate(
            foundation: "r\(remotes.count)",
            transport: transport,
            priority: priority ?? ICECandidate.priority(typePreference: 110, localPreference: 0),
            endpoint: endpoint,
            // From a server's address comes what it relays, though the peer has not told of it yet.
            type: filter.trusted.contains(endpoint.address.unmapped) ? .relayed : .peerReflexive
        )
        return store(ICERemote(candidate: candidate, state: .learned))
    }

    /// Adds a pair that the rules allow; its place when it is new.
    mutating func addPair(base: Int, remote: Int) -> Int? {
        guard let local = bases[base].candidates.first, !bases[base].isLost, !bases[base].isStream else { return nil }
        let candidate = remotes[remote].candidate
        guard bases[base].transport == candidate.transport, bases[base].isV6 == candidate.endpoint.address.isV6,
            local.endpoint.address.isLoopback || !candidate.endpoint.address.isLoopback
        else { return nil }
        // A relay does not reach a private network (RFC 8656 section 21).
        if local.type == .relayed, AddressRealm(candidate.endpoint.address) != .public,
            !filter.trusted.contains(candidate.endpoint.address), !candidate.endpoint.address.isLoopback
        {
            return nil
        }
        if candidate.transport == .tcp {
            // RFC 6544 section 6.2: only those that connect are checked.
            guard configuration.connectsStreams else { return nil }
            switch (local.tcpType, candidate.tcpType) {
            case (.active, .passive), (.simultaneousOpen, .simultaneousOpen): break
            default: return nil
            }
        }
        return insertPair(base: base, remote: remote)
    }

    /// Adds a pair whatever the rules say, unless it is there already or the limit is reached; its place when it is new.
    mutating func insertPair(base: Int, remote: Int) -> Int? {
        let key = ICEPairKey(base: bases[base].id, endpoint: remotes[remote].candidate.endpoint)
        guard pairIndex[key] == nil else { return nil }
        let priority = priority(base: base, remote: remote)
        if pairCount >= configuration.limits.pairs {
            let victim = pairs.indices.filter { pairs[$0].state != .removed && pairs[$0].state != .succeeded }
                .min { pairs[$0].priority < pairs[$1].priority }
            guard let victim, pairs[victim].priority < priority else {
                counters.refused += 1
                return nil
            }
            removePair(victim)
        }
        lastSerial &+= 1
        let pair = ICECheckPair(
            key: key,
            base: base,
            remote: remote,
            serial: lastSerial,
            generation: generation.number,
            priority: priority
        )
        let index: Int
        if let free = freePairs.popLast() {
            index = free
            pairs[free] = pair
            dues[free] = .max
        } else {
            index = pairs.count
            pairs.append(pair)
            dues.append(.max)
        }
        pairIndex[key] = index
        waitingCount += 1
        allAreFrozen = false
        failureAt = nil
        hasFailed = false
        if configuration.timing.freezes, isBusy(foundation(of: index), except: index) { pairs[index].state = .frozen }
        return index
    }

    mutating func removePair(_ index: Int) {
        guard pairs[index].state != .removed else { return }
        set(index, .removed)
        if pairIndex[pairs[index].key] == index { pairIndex[pairs[index].key] = nil }
        if pairs[index].isTriggered { triggered.removeAll { $0 == index } }
        if selected == index { selected = nil }
        freePairs.append(index)
        if remotes[pairs[index].remote].state == .retired { remotes[pairs[index].remote].state = .forgotten }
    }

    /// Sets the state, and with it the number of those that wait and what is due.
    mutating func set(_ index: Int, _ state: ICECheckPair.State) {
        let old = pairs[index].state
        let isWaiting = state == .waiting || state == .frozen
        if (old == .waiting || old == .frozen) != isWaiting { waitingCount += isWaiting ? 1 : -1 }
        pairs[index].state = state
        allAreFrozen = false
        if state != .inProgress { dues[index] = .max }
    }

    mutating func rank(_ index: Int) {
        guard pairs[index].state != .removed else { return }
        pairs[index].priority = priority(base: pairs[index].base, remote: pairs[index].remote)
    }

    /// RFC 8445 section 6.1.2.3.
    private func priority(base: Int, remote: Int) -> UInt64 {
        let own = UInt64(bases[base].candidates.first?.priority ?? 1)
        let other = UInt64(remotes[remote].candidate.priority)
        let (controlling, controlled) = role == .controlling ? (own, other) : (other, own)
        return min(own, other) << 32 + 2 * max(own, other) + (controlling > controlled ? 1 : 0)
    }

    func foundation(of index: Int) -> String {
        let local = bases[pairs[index].base].candidates.first?.foundation ?? ""
        return "\(local) \(remotes[pairs[index].remote].candidate.foundation)"
    }

    /// Whether a pair of that foundation waits or is checked.
    func isBusy(_ foundation: String, except index: Int) -> Bool {
        pairs.indices.contains {
            $0 != index && (pairs[$0].state == .waiting || pairs[$0].state == .inProgress)
                && self.foundation(of: $0) == foundation
        }
    }

    /// The pair as it is told.
    func pair(_ index: Int) -> ICEPair {
        let pair = pairs[index]
        return ICEPair(
            local: pair.local ?? bases[pair.base].candidates.first ?? peerReflexive(pair, at: pair.key.endpoint),
            remote: remotes[pair.remote].candidate,
            base: pair.key.base,
            isNominated: pair.isNominated,
            roundTrip: pair.roundTrip
        )
    }

    /// A local candidate that an answer showed (RFC 8445 section 7.2.5.3.1).
    func peerReflexive(_ pair: ICECheckPair, at endpoint: IPEndpoint) -> ICECandidate {
        let base = bases[pair.base]
        return ICECandidate(
            foundation: "p\(base.id.number)",
            transport: base.transport,
            priority: checkPriority(base: pair.base),
            endpoint: endpoint,
            type: .peerReflexive,
            related: base.candidates.first?.endpoint,
            tcpType: base.candidates.first?.tcpType
        )
    }

    /// PRIORITY of a check: what a peer-reflexive candidate learned from it would have (RFC 8445 section 7.1.1).
    func checkPriority(base: Int) -> UInt32 {
        let local = bases[base].candidates.first?.priority ?? 0
        // What comes through a relay stays as little preferred as the relay.
        if bases[base].candidates.first?.type == .relayed { return max(local, 1) }
        return local & 0x00FF_FFFF | ICECandidateType.peerReflexive.preference << 24 | 1
    }
}

extension ICERemote {
    /// Whether the candidate belongs to the present session.
    var isCurrent: Bool { state == .told || state == .learned }
}

extension IPAddress {
    var isV6: Bool {
        if case .v6 = unmapped { return true }
        return false
    }

    /// The IPv4 /24 or IPv6 /64 that the address is in.
    fileprivate var network: IPAddress {
        switch unmapped {
        case .v4(let number): .v4(number & 0xFFFF_FF00)
        case .v6(let high, _): .v6(high: high, low: 0)
        }
    }
}
