// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditCrypto
internal import AditWire

/// What comes in: checks of the peer and answers to this agent's (RFC 8445 sections 7.2.5 and 7.3).
extension ICEAgent {
    mutating func receive(_ bytes: [UInt8], on base: ICEBaseID, from: IPEndpoint, at now: Instant) {
        let from = IPEndpoint(from.address.unmapped, from.port)
        let span = bytes.span.bytes
        guard STUNMessage.looksLikeSTUN(span), let message = try? STUNMessage.decode(span), message.method == .binding
        else { return }
        switch message.kind {
        case .request: receiveCheck(message, bytes, on: base, from: from, at: now)
        case .success, .error: receiveAnswer(message, bytes, on: base, from: from, at: now)
        case .indication: break
        }
    }

    /// Whether MESSAGE-INTEGRITY is there and right.
    private func isProtected(_ bytes: [UInt8], by key: STUNIntegrityKey?) -> Bool {
        guard let key, let covered = try? STUNMessage.covered(by: .sha1, in: bytes.span.bytes) else { return false }
        return key.acceptsSHA1(code: covered.code, of: covered.bytes)
    }

    private mutating func receiveCheck(
        _ message: STUNMessage,
        _ bytes: [UInt8],
        on id: ICEBaseID,
        from: IPEndpoint,
        at now: Instant
    ) {
        let facts = ICECheckFacts(message)
        let session = [generation, earlier].lazy.compactMap(\.self).first { $0.accepts(facts.username ?? "") }
        guard let session, message.hasFingerprint, isProtected(bytes, by: session.localKey) else {
            counters.forged += 1
            return
        }
        let key = ICEPairKey(base: id, endpoint: from)
        let transport = baseIndex[id].map { bases[$0].transport } ?? .udp
        // Anybody on the way may send a copy from elsewhere, or seem to.
        if let first = seen[message.transactionID] {
            guard first == key else {
                counters.replayed += 1
                return
            }
        } else {
            seen.insert(key, for: message.transactionID)
        }
        guard bases.count < Self.baseLimit || baseIndex[id] != nil, isAnswerable(from, on: id) else {
            counters.refused += 1
            return
        }
        let unknown = message.unknownRequiredTypes
        guard unknown.isEmpty else {
            answer(
                message,
                .error,
                [.errorCode(420, reason: "Unknown Attribute"), .unknownAttributes(unknown)],
                session,
                key
            )
            return
        }
        guard settleRole(facts, at: now) else {
            answer(message, .error, [.errorCode(487, reason: "Role Conflict")], session, key)
            return
        }
        // What this end has left answers no longer, so that the peer leaves it too (RFC 7675 section 5.2).
        if !hasLeft(id) { answer(message, .success, [.xorMappedAddress(from)], session, key) }
        guard session.number == generation.number else { return }
        noteCheck(facts, on: id, from: from, transport, at: now)
    }

    static let baseLimit = 1024

    /// Whether another base has taken the place of one that will be gone.
    private func hasLeft(_ id: ICEBaseID) -> Bool {
        guard let place = baseIndex[id], bases[place].isLeaving, let selected else { return false }
        guard !bases[pairs[selected].base].isLeaving else { return false }
        guard bases[place].candidates.first?.type == .relayed else { return !isRelayed(selected) }
        return bases.contains { !$0.isLost && !$0.isLeaving && $0.candidates.first?.type == .relayed }
    }

    /// Whether an answer may go there. That a check came over a connection shows that somebody is there; and where the peer has
    /// answered before, its NAT may have given it a port on which others have a service.
    private func isAnswerable(_ endpoint: IPEndpoint, on id: ICEBaseID) -> Bool {
        let base = baseIndex[id].map { bases[$0] }
        let refusal = filter.refusal(of: endpoint, over: base?.transport ?? .udp)
        guard refusal == .port else { return refusal == nil }
        return base?.isStream == true || endpoint.port != 0 && silences[endpoint.address.source]?.hasAnswered == true
    }

    private mutating func answer(
        _ request: STUNMessage,
        _ kind: STUNKind,
        _ attributes: [STUNAttribute],
        _ session: ICEGeneration,
        _ key: ICEPairKey
    ) {
        let message = STUNMessage(kind, transactionID: request.transactionID, attributes: attributes)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(96)
        message.encode(into: &bytes, fingerprint: true, integrity: .sha1) { session.localKey.sha1Code(of: $0) }
        counters.answers += 1
        counters.bytes += bytes.count
        emit(.send(bytes, on: key.base, to: key.endpoint, timeToLive: nil))
    }

    /// RFC 8445 section 7.3.1.1: false when the peer has to change its role.
    private mutating func settleRole(_ facts: ICECheckFacts, at now: Instant) -> Bool {
        switch role {
        case .controlling:
            guard let other = facts.controlling else { return true }
            if tieBreaker >= other { return false }
            change(to: .controlled, at: now)
        case .controlled:
            guard let other = facts.controlled else { return true }
            if tieBreaker < other { return false }
            change(to: .controlling, at: now)
        }
        return true
    }

    private mutating func change(to role: ICERole, at now: Instant) {
        self.role = role
        for index in pairs.indices {
            rank(index)
            pairs[index].nomination = nil
            pairs[index].awaitsSuccess = false
        }
        nominationAt = nil
        tell(.roleChanged(role))
        if role == .controlling { choose(at: now) }
    }

    /// RFC 8445 sections 7.3.1.3 to 7.3.1.5.
    private mutating func noteCheck(
        _ facts: ICECheckFacts,
        on id: ICEBaseID,
        from: IPEndpoint,
        _ transport: ICETransport,
        at now: Instant
    ) {
        // Nobody can forge where a connection comes from.
        let isConnection = baseIndex[id].map { bases[$0].isStream } ?? false
        note(ICESource(address: from.address, hasAnswered: isConnection))
        if isConnection {
            silences[from.address.source, default: ICESilence(since: now)].hasAnswered = true
        } else if var silence = silences[from.address.source], !silence.hasAnswered {
            silence.credit = min(silence.credit + 1, configuration.limits.checksToSilentAddress)
            silences[from.address.source] = silence
        }
        let base = place(of: id, transport: transport, like: from)
        let key = ICEPairKey(base: id, endpoint: from)
        if pairIndex[key] == nil {
            guard let remote = learn(from, transport, priority: facts.priority) else { return }
            if insertPair(base: base, remote: remote) == nil { return }
        }
        guard let index = pairIndex[key] else { return }
        if facts.useCandidate, role == .controlled { nominated(index, number: facts.nomination, at: now) }
        if pairs[index].state != .succeeded, isWanted(index) { trigger(index) }
    }

    /// Whether a check of the pair could still change something.
    private func isWanted(_ index: Int) -> Bool {
        guard let selected, pairs[selected].generation == generation.number, !pairs[index].awaitsSuccess else {
            return true
        }
        if isConcluded { return false }
        return grade(index) < grade(selected) || isRelayed(selected) || needsStandby(index)
    }

    private mutating func receiveAnswer(
        _ message: STUNMessage,
        _ bytes: [UInt8],
        on base: ICEBaseID,
        from: IPEndpoint,
        at now: Instant
    ) {
        let id = message.transactionID
        guard let transaction = transactions[id] ?? probes[id],
            transaction.key == ICEPairKey(base: base, endpoint: from)
        else {
            counters.forged += 1
            return
        }
        let session = transaction.generation == generation.number ? generation : earlier
        guard let session, session.number == transaction.generation, isProtected(bytes, by: session.remoteKey) else {
            counters.forged += 1
            return
        }
        if transactions.remove(id) == nil { _ = probes.remove(id) }
        let index = place(for: transaction, from: from)
        switch message.kind {
        case .success:
            guard let mapped = message.mappedEndpoint, message.unknownRequiredTypes.isEmpty, let index else { return }
            silences[from.address.source, default: ICESilence(since: now)].hasAnswered = true
            note(ICESource(address: from.address, hasAnswered: true))
            succeed(index, transaction, mapped: mapped, at: now)
        default:
            guard let index else { return }
            if message.errorNumber == 487 {
                conflict(index, transaction, at: now)
            } else if pairs[index].state == .inProgress {
                fail(index)
            }
        }
    }

    /// The pair of an answered check; for a probe it is made if it is not there yet.
    private mutating func place(for transaction: ICETransaction, from: IPEndpoint) -> Int? {
        if transaction.pair >= 0 {
            return pairs[transaction.pair].serial == transaction.serial && pairs[transaction.pair].state != .removed
                ? transaction.pair : nil
        }
        if let known = pairIndex[transaction.key] { return known }
        guard transaction.generation == generation.number else { return nil }
        let base = place(of: transaction.key.base, transport: .udp, like: from)
        guard let remote = learn(from, bases[base].transport, priority: nil) else { return nil }
        return insertPair(base: base, remote: remote)
    }

    /// The peer says that both have one role (RFC 8445 section 7.2.5.1).
    private mutating func conflict(_ index: Int, _ transaction: ICETransaction, at now: Instant) {
        if role == transaction.role {
            tieBreaker = random.next()
            change(to: role == .controlling ? .controlled : .controlling, at: now)
        }
        // With the new role another pair may have been chosen, and this one removed.
        guard pairs[index].state != .succeeded, pairs[index].state != .removed else { return }
        set(index, .waiting)
        trigger(index)
    }

    /// RFC 8445 section 7.2.5.3.
    private mutating func succeed(_ index: Int, _ transaction: ICETransaction, mapped: IPEndpoint, at now: Instant) {
        let mapped = IPEndpoint(mapped.address.unmapped, mapped.port)
        let roundTrip = now - transaction.sentAt
        let known =
            bases[pairs[index].base].candidates.first { $0.endpoint == mapped }
            ?? (bases[pairs[index].base].isStream ? localStreamCandidate(at: mapped) : nil)
        pairs[index].local = known ?? peerReflexive(pairs[index], at: mapped)
        pairs[index].roundTrip = pairs[index].roundTrip.map { ($0 * 7 + roundTrip) / 8 } ?? roundTrip
        pairs[index].lastAnswer = now
        pairs[index].unansweredSince = nil
        let isNew = pairs[index].state != .succeeded
        if isNew {
            set(index, .succeeded)
            pairs[index].isConnecting = false
            unfreeze(like: index)
        }
        if !pairs[index].wasTold {
            pairs[index].wasTold = true
            tell(.valid(pair(index)))
        }
        if case .nomination(let number) = transaction.purpose, pairs[index].nomination == number {
            pairs[index].nomination = nil
            concludeNomination(index, at: now)
        }
        if pairs[index].awaitsSuccess {
            pairs[index].awaitsSuccess = false
            use(index, isNominated: true, at: now)
        }
        choose(at: now)
        // What became valid beside the selected pair may be worth keeping.
        if isNew, let selected, selected != index { keepStandbys(beside: selected, at: now) }
        if transaction.purpose == .size { pairs[index].size = ICEPairSize(packetSize: Self.largePacketSize) }
        if transaction.purpose == .measure { tell(.roundTrip(roundTrip, pair(index))) }
        if pairs[index].nomination == nil { plan(index, at: now) }
    }

    private mutating func unfreeze(like index: Int) {
        guard configuration.timing.freezes else { return }
        let foundation = foundation(of: index)
        for other in pairs.indices where pairs[other].state == .frozen && self.foundation(of: other) == foundation {
            set(other, .waiting)
        }
    }
}

/// What an agent reads in a check.
private struct ICECheckFacts {
    var username: String?
    var priority: UInt32?
    var useCandidate = false
    var controlling: UInt64?
    var controlled: UInt64?
    var nomination: UInt32?

    init(_ message: STUNMessage) {
        for attribute in message.attributes {
            switch attribute {
            case .username(let text): username = text
            case .priority(let number): priority = number
            case .useCandidate: useCandidate = true
            case .iceControlling(let number): controlling = number
            case .iceControlled(let number): controlled = number
            default: break
            }
        }
        if useCandidate { nomination = ICEAttribute.nomination(in: message) }
    }
}
