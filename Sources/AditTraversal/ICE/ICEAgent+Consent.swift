// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Whether a path still answers, and what follows when it does not (RFC 7675, RFC 8445 sections 9 and 11).
extension ICEAgent {
    /// Sets when a valid pair is looked at next.
    mutating func plan(_ index: Int, at now: Instant) {
        guard pairs[index].state == .succeeded, pairs[index].nomination == nil else { return }
        let timing = configuration.timing
        if index == selected {
            let isStream = bases[pairs[index].base].isStream && !isRelayed(index)
            let consent = isStream ? timing.streamConsent ?? timing.consent : timing.consent
            dues[index] = (now + jittered(isActive ? consent : timing.keepalive)).nanoseconds
        } else {
            dues[index] = pairs[index].isKept ? (now + jittered(timing.keepalive)).nanoseconds : .max
        }
    }

    /// Looks at a pair: asks whether it answers, or gives it up.
    mutating func lookAfter(_ index: Int, at now: Instant) {
        let timing = configuration.timing
        let since = pairs[index].unansweredSince ?? now
        let last = pairs[index].lastAnswer ?? now
        var end = max(last + timing.expiry, since + (timing.expiry - timing.consent))
        let isStream = bases[pairs[index].base].isStream
        if let silence = isStream ? timing.streamSilence : timing.silence, index == selected, !isRelayed(index) {
            let patience = max(silence, (pairs[index].roundTrip ?? .zero) * 4)
            end = min(end, max(since, payloadAt ?? since) + patience)
        }
        if pairs[index].unansweredSince != nil, now >= end {
            if index == selected, !isRelayed(index), configuration.renominates { lost = pairs[index].key }
            endPath(index, at: now)
            return
        }
        if index == selected, pairs[index].unansweredSince == nil { askForSize(index, at: now) }
        pairs[index].unansweredSince = since
        if isOverdue(index, at: now) {
            choose(at: now)
            guard pairs[index].state == .succeeded else { return }
        }
        send(.check, pair: index, at: now)
        let next = now + jittered(timing.consentRetry ?? timing.consent)
        dues[index] = min(next, max(end, now + .milliseconds(1))).nanoseconds
    }

    /// Looks at the pair in use and at those that stand by, which may have died with it.
    mutating func doubt(at now: Instant) {
        guard let selected else { return }
        if pairs[selected].unansweredSince == nil { lookAfter(selected, at: now) }
        for index in pairs.indices where pairs[index].isKept && pairs[index].state == .succeeded {
            if pairs[index].unansweredSince == nil, pairs[index].nomination == nil { lookAfter(index, at: now) }
        }
    }

    /// From where the pairs leave that stand by and have not answered for so long.
    func silentStandbys(for silence: Duration, at now: Instant) -> [ICEBaseID] {
        pairs.indices.lazy.filter { index in
            pairs[index].isKept && pairs[index].state == .succeeded
                && pairs[index].unansweredSince.map { now - $0 >= silence } ?? false
        }.map { pairs[$0].key.base }
    }

    /// From where the pairs left that stood by and were given up since the last call.
    mutating func takeGivenUp() -> [ICEBaseID] {
        guard !givenUp.isEmpty else { return [] }
        defer { givenUp.removeAll(keepingCapacity: true) }
        return givenUp
    }

    /// Whether the pair in use has not answered for so long that another of its kind, which has answered since, is better.
    func isOverdue(_ index: Int, at now: Instant) -> Bool { index == selected && isSilent(index, at: now) }

    /// Whether a pair has not answered for longer than an answer takes.
    func isSilent(_ index: Int, at now: Instant) -> Bool {
        guard let since = pairs[index].unansweredSince else { return false }
        return now - since >= max(Self.overdueAfter, (pairs[index].roundTrip ?? .zero) * 3)
    }

    private static let overdueAfter = Duration.milliseconds(400)

    /// What an Ethernet of 1500 bytes carries of a datagram over IPv6, and a little less than over IPv4 within PPPoE.
    static let largePacketSize = 1452
    /// After so many large checks without an answer packets stay small.
    private static let sizeMisses = 3
    /// Only while payload comes.
    private static let sizeInterest = Duration.seconds(5)

    /// How large packets on the selected pair may be, in bytes; 0 when nothing larger than the least was answered.
    var selectedPacketSize: Int { selected.map { pairs[$0].size.packetSize } ?? 0 }

    /// Asks whether large packets pass (RFC 8899), beside each look at a direct pair over UDP: they may from now on, or no longer.
    private mutating func askForSize(_ index: Int, at now: Instant) {
        guard configuration.renominates, !bases[pairs[index].base].isStream, !isRelayed(index) else { return }
        if pairs[index].size.isAsked {
            pairs[index].size = ICEPairSize(misses: pairs[index].size.misses + 1)
        }
        guard pairs[index].size.misses < Self.sizeMisses, let payloadAt, now - payloadAt < Self.sizeInterest else {
            return
        }
        pairs[index].size.isAsked = true
        send(.size, pair: index, at: now)
    }

    /// Measures a round trip; a silence that it shows is looked into.
    mutating func measure(_ index: Int, at now: Instant) {
        send(.measure, pair: index, at: now)
        let timing = configuration.timing
        guard let retry = timing.consentRetry, pairs[index].unansweredSince == nil, pairs[index].nomination == nil
        else { return }
        pairs[index].unansweredSince = now
        dues[index] = (now + max(retry, (pairs[index].roundTrip ?? .zero) * 3)).nanoseconds
    }

    /// By up to a fifth in either direction, so that looks at many paths do not fall together (RFC 7675 section 5.1).
    private mutating func jittered(_ duration: Duration) -> Duration {
        let fraction = Double(random.next() >> 11) * 0x1p-53
        return .nanoseconds(Int64(Double(duration.wholeNanoseconds) * (0.8 + 0.4 * fraction)))
    }

    /// A pair does not answer any more.
    mutating func endPath(_ index: Int, at now: Instant) {
        let lost = pair(index)
        let isOld = pairs[index].generation != generation.number
        let wasSelected = selected == index
        if pairs[index].isKept { givenUp.append(lost.base) }
        if isOld { removePair(index) } else { fail(index) }
        if wasSelected {
            selected = nil
            payloadAt = nil
            // It is asked again and again whether it answers.
            if !isOld, self.lost == pairs[index].key { trigger(index) }
            replace(lost, at: now)
        } else if selected != nil {
            settle(at: now)
        }
    }

    /// Says that the pair in use is lost, and takes the next best.
    private mutating func replace(_ lost: ICEPair, at now: Instant) {
        tell(.consentLost(lost))
        lastSelection = nil
        choose(at: now)
        guard selected == nil else { return }
        // What answered once, and was not asked for long, is asked again before all else.
        for index in pairs.indices where pairs[index].state == .succeeded {
            fail(index)
            if configuration.renominates { trigger(index) }
        }
        if waitingCount == 0, !pairs.contains(where: { $0.state == .inProgress }), !hasFailed {
            hasFailed = true
            tell(.failed)
        }
    }

    mutating func setActive(_ isActive: Bool, at now: Instant) {
        guard self.isActive != isActive else { return }
        self.isActive = isActive
        if let selected, pairs[selected].unansweredSince == nil { plan(selected, at: now) }
    }

    /// Says `failed` once there was nothing left to try for long enough (RFC 8863 section 4).
    mutating func watchForFailure(at now: Instant) {
        guard !hasFailed, localIsDone, remoteIsDone, generation.remote != nil, selected == nil, waitingCount == 0,
            !pairs.contains(where: { $0.state == .inProgress || $0.state == .succeeded })
        else {
            failureAt = nil
            return
        }
        let at = failureAt ?? now + configuration.timing.patience
        failureAt = at
        guard now >= at else { return }
        failureAt = nil
        hasFailed = true
        tell(.failed)
    }

    /// Takes the peer's credentials; other ones than before are a restart of the peer.
    mutating func take(_ credentials: ICECredentials, at now: Instant) {
        guard let known = generation.remote else {
            generation = ICEGeneration(
                number: generation.number,
                local: generation.local,
                localKey: generation.localKey,
                remote: credentials
            )
            return
        }
        if known != credentials { renew(local: generation.local, remote: credentials, at: now) }
    }

    /// RFC 8445 section 9.
    mutating func restart(_ credentials: ICECredentials, at now: Instant) {
        renew(local: credentials, remote: nil, at: now)
    }

    /// Forgets the peer's candidates and all pairs but the one in use.
    private mutating func renew(local: ICECredentials, remote: ICECredentials?, at now: Instant) {
        let keepsEarlier = selected.map { pairs[$0].generation != generation.number } ?? false
        if !keepsEarlier { earlier = generation.remote == nil ? nil : generation }
        generation = ICEGeneration(number: generation.number + 1, local: local, remote: remote)
        for index in pairs.indices where index != selected { removePair(index) }
        if let selected {
            pairIndex[pairs[selected].key] = nil
            pairs[selected].nomination = nil
            remotes[pairs[selected].remote].state = .retired
            plan(selected, at: now)
        }
        for place in remotes.indices where remotes[place].state != .retired { remotes[place].state = .forgotten }
        remoteIndex.removeAll(keepingCapacity: true)
        triggered.removeAll()
        postponed = []
        nominationAt = nil
        failureAt = nil
        isConcluded = false
        hasFailed = false
        remoteIsDone = false
        lastNomination = 0
        silences = silences.filter { $0.value.hasAnswered || now - $0.value.since < Self.silenceMemory }
        pairOpenStreams()
    }
}
