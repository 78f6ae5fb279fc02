// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Which pair is used (RFC 8445 section 8), and its replacement by a better one.
extension ICEAgent {
    /// How good the kind of a pair is, the best first: within a private network, IPv6, IPv4, TCP, a relay.
    func grade(_ index: Int) -> Int {
        let remote = remotes[pairs[index].remote].candidate
        if isRelayed(index) { return 4 }
        if bases[pairs[index].base].transport == .tcp { return 3 }
        if AddressRealm(remote.endpoint.address) == .private { return 0 }
        return remote.endpoint.address.isV6 ? 1 : 2
    }

    func isRelayed(_ index: Int) -> Bool {
        bases[pairs[index].base].candidates.first?.type == .relayed
            || remotes[pairs[index].remote].candidate.type == .relayed
    }

    /// Where packets go beside the selected pair: by the one that it has just replaced, while that lives, else through a relay;
    /// nil when nothing answers. `isSure` is whether it is asked in a doubt, and not in vain.
    func otherWay(at now: Instant) -> (way: ICEBaseEndpoint, isSure: Bool)? {
        let former = pairs.indices.first {
            $0 != selected && pairs[$0].state == .succeeded && bases[pairs[$0].base].isLeaving && !isRelayed($0)
                && pairs[$0].unansweredSince == nil
        }
        guard let index = former ?? relayedPair else { return nil }
        let way = ICEBaseEndpoint(base: pairs[index].key.base, endpoint: pairs[index].key.endpoint)
        return (way, (pairs[index].isKept || index == former) && !isSilent(index, at: now))
    }

    /// The pair by which packets go through a relay beside the selected one; nil when no such pair answers.
    private var relayedPair: Int? {
        var best: Int?
        for index in pairs.indices where index != selected && pairs[index].state == .succeeded && isRelayed(index) {
            if let known = best, !isSurer(index, than: known) { continue }
            best = index
        }
        return best
    }

    /// Whether one pair rather than another works: it has no question open, or the other has answered longer ago.
    private func isSurer(_ index: Int, than other: Int) -> Bool {
        let isSilent = (pairs[index].unansweredSince != nil, pairs[other].unansweredSince != nil)
        if isSilent.0 != isSilent.1 { return isSilent.1 }
        return cost(index) < cost(other)
    }

    /// Whether a pair is on its way out: its socket is, or it does not answer any more.
    private func isLeaving(_ index: Int, at now: Instant) -> Bool {
        bases[pairs[index].base].isLeaving || isOverdue(index, at: now)
    }

    /// Whether one is to take the place of the selected one, which is on its way out.
    private func isSuccessor(_ index: Int, of old: Int, at now: Instant) -> Bool {
        guard isLeaving(old, at: now), !bases[pairs[index].base].isLeaving, grade(index) <= grade(old),
            let answeredAt = pairs[index].lastAnswer
        else { return false }
        return pairs[old].unansweredSince.map { answeredAt > $0 } ?? (pairs[index].unansweredSince == nil)
    }

    /// Whether it would be the relayed pair that a direct one falls back to.
    func needsStandby(_ index: Int) -> Bool {
        configuration.limits.standbyPairs > 0 && isRelayed(index)
            && !pairs.indices.contains { pairs[$0].state == .succeeded && isRelayed($0) }
    }

    /// What a pair costs: its round trip, and for a worse kind so much as a better one may be slower.
    private func cost(_ index: Int) -> Duration {
        // Less than a relay costs more, so that what is on its way out is replaced by its like.
        let leaving = bases[pairs[index].base].isLeaving ? Duration.milliseconds(100) : .zero
        let roundTrip = (pairs[index].roundTrip ?? .zero) + leaving
        switch grade(index) {
        case 0: return roundTrip
        case 1: return roundTrip + .milliseconds(10)
        case 2: return roundTrip + .milliseconds(20)
        case 3: return roundTrip + .milliseconds(40)
        default: return roundTrip * 2 + .milliseconds(250) - leaving
        }
    }

    /// Whether one is so much better than the selected one that a change is worth it.
    private func isBetter(_ index: Int, than old: Int, at now: Instant) -> Bool {
        let margin = max(.milliseconds(5), (pairs[old].roundTrip ?? .zero) / 10)
        guard cost(index) + margin < cost(old) else { return false }
        if grade(index) < grade(old) { return true }
        // Times vary; a change for their sake alone has to wait.
        guard let lastSelection else { return true }
        return now - lastSelection >= .seconds(5)
    }

    /// Whether a pair answered lately enough to be used, and no answer is overdue: an end that follows the other one away from a
    /// silent pair would go back to it.
    private func isFresh(_ index: Int, at now: Instant) -> Bool {
        guard pairs[index].state == .succeeded, pairs[index].generation == generation.number,
            let last = pairs[index].lastAnswer, !isSilent(index, at: now)
        else { return false }
        return pairs[index].isKept || now - last < configuration.timing.expiry
    }

    /// Looks whether another pair is to be used.
    mutating func choose(at now: Instant) {
        guard configuration.renominates else { return }
        var best: Int?
        for index in pairs.indices where index != selected && isFresh(index, at: now) {
            if let known = best, cost(known) <= cost(index) { continue }
            best = index
        }
        if let selected, isLeaving(selected, at: now) {
            let successors = pairs.indices.filter {
                $0 != selected && isFresh($0, at: now) && isSuccessor($0, of: selected, at: now)
            }
            if let next = successors.min(by: { cost($0) < cost($1) }) {
                if role == .controlling { nominate(next, at: now) }
                return use(next, isNominated: role == .controlling, at: now)
            }
        }
        guard let best else { return }
        guard role == .controlling else {
            // Until the peer chooses, any valid pair will do (RFC 8445 section 12.1); a direct one it will choose as soon as
            // it has answered the peer too.
            if selected.map({ isRelayed($0) && !isRelayed(best) }) ?? true { use(best, isNominated: false, at: now) }
            return
        }
        if let selected, !isBetter(best, than: selected, at: now) { return }
        nominate(best, at: now)
        use(best, isNominated: true, at: now)
    }

    /// Nominates the one pair without `renominates`: at once when no better one is left, else after a while.
    mutating func conclude(at now: Instant) {
        guard !configuration.renominates, role == .controlling, !isConcluded else { return }
        var best: Int?
        for index in pairs.indices where isFresh(index, at: now) {
            if pairs[index].nomination != nil { return }
            if let known = best, pairs[known].priority >= pairs[index].priority { continue }
            best = index
        }
        guard let best else {
            nominationAt = nil
            return
        }
        let mayImprove = pairs.contains {
            ($0.state == .waiting || $0.state == .frozen || $0.state == .inProgress)
                && $0.priority > pairs[best].priority
        }
        if mayImprove {
            let at = nominationAt ?? now + configuration.timing.nominationDelay
            nominationAt = at
            guard now >= at else { return }
        }
        nominationAt = nil
        nominate(best, at: now)
    }

    private mutating func nominate(_ index: Int, at now: Instant) {
        for other in pairs.indices where pairs[other].nomination != nil {
            pairs[other].nomination = nil
            plan(other, at: now)
        }
        lastNomination = lastNomination + 1 & 0xFF_FFFF
        pairs[index].nomination = lastNomination
        pairs[index].nominationsSent = 0
        nominateAgain(index, at: now)
    }

    /// Sends the nomination, again and again until it is answered.
    mutating func nominateAgain(_ index: Int, at now: Instant) {
        guard let number = pairs[index].nomination else { return }
        let timing = configuration.timing
        let steps = bases[pairs[index].base].isStream ? [ICETiming.Step(timing.streamWait)] : timing.probes
        var left = pairs[index].nominationsSent
        guard
            let step = steps.first(where: { step in
                left -= step.count
                return left < 0
            })
        else {
            endPath(index, at: now)
            return
        }
        pairs[index].nominationsSent += 1
        send(.nomination(number), pair: index, at: now)
        let shortest = pairs[index].roundTrip.map { $0 * 3 / 2 } ?? .zero
        dues[index] = (now + max(step.wait, shortest)).nanoseconds
    }

    /// The peer answered the nomination (RFC 8445 section 8.1.1).
    mutating func concludeNomination(_ index: Int, at now: Instant) {
        guard !configuration.renominates else { return }
        isConcluded = true
        use(index, isNominated: true, at: now)
    }

    /// The peer nominated a pair (RFC 8445 section 7.3.1.5).
    mutating func nominated(_ index: Int, number: UInt32?, at now: Instant) {
        if configuration.renominates, let number {
            guard number >= lastNomination else { return }
            lastNomination = number
        } else if let selected, selected != index, pairs[selected].isNominated,
            pairs[selected].generation == generation.number, pairs[selected].priority > pairs[index].priority
        {
            // Of several nominated pairs the best is used (RFC 8445 section 8.1.1).
            return
        }
        for other in pairs.indices { pairs[other].awaitsSuccess = false }
        guard pairs[index].state == .succeeded else {
            pairs[index].awaitsSuccess = true
            return
        }
        use(index, isNominated: true, at: now)
    }

    /// Uses a pair from now on.
    mutating func use(_ index: Int, isNominated: Bool, at now: Instant) {
        if isNominated, !configuration.renominates { isConcluded = true }
        if selected == index, pairs[index].isNominated == isNominated || !isNominated { return }
        let old = selected
        if old != index { payloadAt = nil }
        selected = index
        if !isRelayed(index) { lost = nil }
        pairs[index].isNominated = isNominated
        if let old, old != index {
            pairs[old].isNominated = false
            if pairs[old].generation != generation.number { removePair(old) }
        }
        lastSelection = now
        tell(.selected(pair(index)))
        settle(at: now)
    }

    /// Stops checks that can change nothing any more, and decides which pairs are looked after.
    mutating func settle(at now: Instant) {
        guard let selected else { return }
        let isDirect = !isRelayed(selected)
        // A search that led here has sent up to two thousand probes, whose answers change nothing any more.
        if grade(selected) < 3 { probes.removeAll() }
        for index in pairs.indices where index != selected && !pairs[index].awaitsSuccess {
            switch pairs[index].state {
            case .frozen, .waiting, .inProgress:
                let isUseless = isDirect && grade(index) >= grade(selected) && !needsStandby(index)
                guard isConcluded || configuration.renominates && isUseless else { continue }
                if pairs[index].isTriggered {
                    pairs[index].isTriggered = false
                    triggered.removeAll { $0 == index }
                }
                fail(index)
            default: break
            }
        }
        keepStandbys(beside: selected, at: now)
        plan(selected, at: now)
    }

    mutating func keepStandbys(beside selected: Int, at now: Instant) {
        var left = configuration.renominates ? configuration.limits.standbyPairs : 0
        let valid = pairs.indices.filter { $0 != selected && pairs[$0].state == .succeeded }
            .sorted { cost($0) < cost($1) }
        var kept: Set<Int> = []
        if !isRelayed(selected), left > 0, let relay = valid.first(where: { isRelayed($0) }) {
            kept.insert(relay)
            left -= 1
        }
        for index in valid where left > 0 && !kept.contains(index) {
            kept.insert(index)
            left -= 1
        }
        for index in valid {
            let isKept = kept.contains(index)
            guard pairs[index].isKept != isKept else { continue }
            pairs[index].isKept = isKept
            // One that does not answer is asked on at once, until it does or is given up.
            if isKept, pairs[index].unansweredSince != nil { continue }
            if pairs[index].nomination == nil { plan(index, at: now) }
        }
        pairs[selected].isKept = false
    }
}
