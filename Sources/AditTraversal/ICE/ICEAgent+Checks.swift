// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditCrypto
internal import AditWire

/// Checks: which is next, and when it is sent again (RFC 8445 sections 6.1.4 and 7.2).
extension ICEAgent {
    /// Sends whatever is due.
    mutating func advance(at now: Instant) {
        while step(at: now) {}
        conclude(at: now)
        watchForFailure(at: now)
    }

    /// Does one thing that is due; false when nothing is, or when the next has to wait for its turn.
    private mutating func step(at now: Instant) -> Bool {
        guard allChecks.allows(at: now) else { return false }
        if hasNew, newChecks.allows(at: now) {
            if let index = nextNew() {
                newChecks.take(at: now)
                begin(index, at: now)
                return true
            }
            allAreFrozen = waitingCount > 0
        }
        var first = -1
        var earliest = now.nanoseconds
        for index in dues.indices where dues[index] <= earliest {
            earliest = dues[index]
            first = index
        }
        guard first >= 0 else { return false }
        serve(first, at: now)
        return true
    }

    /// Whether a pair may be there whose first check is due.
    var hasNew: Bool {
        generation.remote != nil && (!triggered.isEmpty || waitingCount > 0 && !allAreFrozen)
    }

    /// The pair to check next: one that the peer checked, else the best that waits (RFC 8445 section 6.1.4.2).
    private mutating func nextNew() -> Int? {
        while !triggered.isEmpty {
            let index = triggered.removeFirst()
            pairs[index].isTriggered = false
            if pairs[index].state != .succeeded, pairs[index].state != .removed { return index }
        }
        guard waitingCount > 0 else { return nil }
        var best: Int?
        for index in pairs.indices where pairs[index].state == .waiting {
            if let known = best, pairs[known].priority >= pairs[index].priority { continue }
            best = index
        }
        if best != nil { return best }
        return pairs.indices.filter { pairs[$0].state == .frozen && !isBusy(foundation(of: $0), except: $0) }
            .max { pairs[$0].priority < pairs[$1].priority }
    }

    private mutating func begin(_ index: Int, at now: Instant) {
        let isStream = bases[pairs[index].base].isStream
        if bases[pairs[index].base].transport == .tcp, !isStream {
            set(index, .inProgress)
            pairs[index].isConnecting = true
            dues[index] = (now + configuration.timing.streamWait).nanoseconds
            allChecks.take(at: now)
            emit(.connect(from: pairs[index].key.base, to: pairs[index].key.endpoint))
            return
        }
        if pairs[index].state != .inProgress { pairs[index].sent = 0 }
        set(index, .inProgress)
        transmit(index, at: now)
    }

    /// Sends the next check of a pair in progress, or gives the pair up.
    private mutating func transmit(_ index: Int, at now: Instant) {
        let steps = schedule(of: index)
        var wait: Duration?
        var passed = 0
        for step in steps {
            passed += step.count
            if pairs[index].sent < passed {
                wait = step.wait
                break
            }
        }
        guard let wait else {
            fail(index)
            return
        }
        guard spend(on: pairs[index].key.endpoint.address, at: now) else {
            counters.refused += 1
            fail(index)
            return
        }
        pairs[index].sent += 1
        send(.check, pair: index, at: now)
        let shortest = pairs[index].roundTrip.map { $0 * 3 / 2 } ?? .zero
        dues[index] = (now + max(wait, shortest)).nanoseconds
    }

    /// How often and how quickly a pair is checked.
    private func schedule(of index: Int) -> [ICETiming.Step] {
        let timing = configuration.timing
        let base = bases[pairs[index].base]
        if base.isStream { return [ICETiming.Step(timing.streamWait)] }
        if pairs[index].key == lost { return timing.lostProbes }
        let remote = remotes[pairs[index].remote].candidate
        let isPlain =
            base.candidates.first?.type == .relayed
            || remote.type == .host && AddressRealm(remote.endpoint.address) == .private
        return isPlain ? timing.plainProbes : timing.probes
    }

    /// What is due for a pair: the next check, the next nomination, or a look at whether it still answers.
    private mutating func serve(_ index: Int, at now: Instant) {
        switch pairs[index].state {
        case .inProgress where pairs[index].isConnecting: fail(index)
        case .inProgress: transmit(index, at: now)
        case .succeeded where pairs[index].nomination != nil: nominateAgain(index, at: now)
        case .succeeded: lookAfter(index, at: now)
        case .frozen, .waiting, .failed, .removed: dues[index] = .max
        }
    }

    /// Puts a pair into the queue of those that are checked before all others (RFC 8445 section 7.3.1.4).
    mutating func trigger(_ index: Int) {
        guard !pairs[index].isTriggered, pairs[index].state != .succeeded else { return }
        if pairs[index].state == .failed || pairs[index].state == .frozen {
            if pairs[index].state == .failed { pairs[index].sent = 0 }
            set(index, .waiting)
        }
        pairs[index].isTriggered = true
        triggered.append(index)
    }

    /// Gives a pair up until the peer checks it.
    mutating func fail(_ index: Int) {
        set(index, .failed)
        pairs[index].isConnecting = false
        pairs[index].isNominated = false
        pairs[index].isKept = false
        pairs[index].awaitsSuccess = false
        pairs[index].nomination = nil
        pairs[index].wasTold = false
        pairs[index].unansweredSince = nil
        pairs[index].size = ICEPairSize()
    }

    /// Counts a check to an address; false when there were enough of them without an answer.
    mutating func spend(on address: IPAddress, at now: Instant) -> Bool {
        if filter.trusted.contains(address.unmapped) { return true }
        let source = address.source
        if silences[source] == nil {
            if silences.count >= 256 {
                silences = silences.filter { now - $0.value.since < Self.silenceMemory }
                guard silences.count < 256 else { return false }
            }
            silences[source] = ICESilence(since: now)
        }
        guard var silence = silences[source] else { return false }
        if silence.hasAnswered { return true }
        guard silence.sent < configuration.limits.checksToSilentAddress + silence.credit else { return false }
        silence.sent += 1
        silences[source] = silence
        return true
    }

    /// After so long a restart may try silent addresses again.
    static let silenceMemory = Duration.seconds(30)

    /// Sends one check on a pair.
    mutating func send(_ purpose: ICETransaction.Purpose, pair index: Int, at now: Instant) {
        let pair = pairs[index]
        let credentials = pair.generation == generation.number ? generation : earlier ?? generation
        let priority = checkPriority(base: pair.base)
        let transaction = ICETransaction(
            purpose: purpose,
            key: pair.key,
            pair: index,
            serial: pair.serial,
            generation: credentials.number,
            role: role,
            priority: priority,
            sentAt: now
        )
        let id = STUNTransactionID(using: &random)
        guard let bytes = request(id, purpose, priority: priority, credentials: credentials) else { return }
        transactions.insert(transaction, for: id)
        allChecks.take(at: now)
        emit(bytes, on: pair.key.base, to: pair.key.endpoint)
    }

    /// Sends a check of a tactic: once, to wherever it says, if anything may be sent there at all.
    mutating func probe(on base: ICEBaseID, to endpoint: IPEndpoint, timeToLive: UInt8?, at now: Instant) {
        guard filter.refusal(of: endpoint) == nil else {
            counters.refused += 1
            return
        }
        let priority = baseIndex[base].map { checkPriority(base: $0) } ?? ICEAgent.blindPriority
        let id = STUNTransactionID(using: &random)
        guard let bytes = request(id, .probe, priority: priority, credentials: generation) else { return }
        let transaction = ICETransaction(
            purpose: .probe,
            key: ICEPairKey(base: base, endpoint: endpoint),
            pair: -1,
            serial: 0,
            generation: generation.number,
            role: role,
            priority: priority,
            sentAt: now
        )
        probes.insert(transaction, for: id)
        emit(bytes, on: base, to: endpoint, timeToLive: timeToLive)
    }

    static let blindPriority = ICECandidate.priority(
        typePreference: ICECandidateType.peerReflexive.preference,
        localPreference: 0
    )

    private mutating func emit(
        _ bytes: [UInt8],
        on base: ICEBaseID,
        to endpoint: IPEndpoint,
        timeToLive: UInt8? = nil
    ) {
        counters.checks += 1
        counters.bytes += bytes.count
        emit(.send(bytes, on: base, to: endpoint, timeToLive: timeToLive))
    }

    /// A check's bytes (RFC 8445 section 7.2.2); nil while the peer's credentials are not known.
    private func request(
        _ id: STUNTransactionID,
        _ purpose: ICETransaction.Purpose,
        priority: UInt32,
        credentials: ICEGeneration
    ) -> [UInt8]? {
        guard let key = credentials.remoteKey else { return nil }
        var attributes: [STUNAttribute] = []
        attributes.reserveCapacity(5)
        attributes.append(.username(credentials.outgoingUsername))
        attributes.append(.priority(priority))
        attributes.append(role == .controlling ? .iceControlling(tieBreaker) : .iceControlled(tieBreaker))
        if case .nomination(let number) = purpose {
            attributes.append(.useCandidate)
            if configuration.renominates { attributes.append(ICEAttribute.nomination(number)) }
        }
        var bytes: [UInt8] = []
        func encode() {
            bytes.removeAll(keepingCapacity: true)
            let message = STUNMessage(.request, transactionID: id, attributes: attributes)
            message.encode(into: &bytes, fingerprint: true, integrity: .sha1) { key.sha1Code(of: $0) }
        }
        bytes.reserveCapacity(128)
        encode()
        guard purpose == .size else { return bytes }
        // PADDING (RFC 5780 section 7.6), whose type and length are four bytes more.
        attributes.append(.padding(Self.largePacketSize - bytes.count - 4))
        encode()
        return bytes
    }
}

/// NOMINATION, which numbers the nominations of a controlling side that may change its mind, so that one that is late
/// undoes nothing (draft-thatcher-ice-renomination section 4).
enum ICEAttribute {
    static let nominationType: UInt16 = 0xC001

    static func nomination(_ number: UInt32) -> STUNAttribute {
        .other(type: nominationType, [0, UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)])
    }

    static func nomination(in message: STUNMessage) -> UInt32? {
        for case .other(nominationType, let value) in message.attributes where value.count == 4 {
            return UInt32(value[1]) << 16 | UInt32(value[2]) << 8 | UInt32(value[3])
        }
        return nil
    }
}
