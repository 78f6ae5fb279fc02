// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// One side of ICE towards one peer (RFC 8445), without sockets: candidates, pairs, checks, nomination, consent.
///
/// Each check is a transaction of its own, never the same bytes again: so its answer tells the time to the peer exactly.
package struct ICEAgent: Sendable {
    /// What it was made with.
    package let configuration: ICEConfiguration
    /// The role, which a conflict may change.
    package internal(set) var role: ICERole
    /// What it counted.
    package internal(set) var counters = ICECounters()

    var tieBreaker: UInt64
    var random: any RandomNumberGenerator & Sendable
    var filter: ICEAddressFilter
    var generation: ICEGeneration
    /// The credentials before the last restart, for the pair that is in use until there is a new one.
    var earlier: ICEGeneration?

    var bases: [ICEBase] = []
    var baseIndex: [ICEBaseID: Int] = [:]
    var remotes: [ICERemote] = []
    var remoteIndex: [ICERemoteKey: Int] = [:]
    /// Candidates in networks that this machine is not in, as far as its own candidates tell.
    var postponed: [ICECandidate] = []
    var pairs: [ICECheckPair] = []
    /// What is due for each pair, in nanoseconds: beside the pairs, so that the earliest is found quickly.
    var dues: [Int64] = []
    var pairIndex: [ICEPairKey: Int] = [:]
    var freePairs: [Int] = []
    var lastSerial: UInt32 = 0
    /// How many pairs are waiting or frozen.
    var waitingCount = 0
    /// Whether all of them wait for a pair of their foundation, as far as is known.
    var allAreFrozen = false
    var triggered: [Int] = []
    var selected: Int?
    var lastSelection: Instant?
    /// When payload last came on the selected pair.
    var payloadAt: Instant?
    /// The direct pair that was in use and went silent last.
    var lost: ICEPairKey?
    /// The number of the last nomination, sent or seen.
    var lastNomination: UInt32 = 0
    /// Whether one pair was nominated for good, without `renominates`.
    var isConcluded = false
    var nominationAt: Instant?
    var failureAt: Instant?
    var hasFailed = false
    var isActive = true
    var localIsDone = false
    var remoteIsDone = false

    var transactions: ICETable<ICETransaction>
    var probes: ICETable<ICETransaction>
    var seen = ICETable<ICEPairKey>(capacity: 256)
    var silences: [IPAddress: ICESilence] = [:]
    /// Where checks and answers with the peer's key came from, until `takeSources()`.
    var sources: [ICESource] = []
    /// From where pairs left that stood by and were given up, until `takeGivenUp()`.
    var givenUp: [ICEBaseID] = []
    var newChecks: ICEBucket
    var allChecks: ICEBucket
    private var outputs: [ICEOutput] = []
    private var taken = 0

    /// Makes an agent that waits for candidates.
    ///
    /// - Parameter random: for transaction ids and jitter; has to be one that others cannot predict, except in a simulation.
    package init(_ configuration: ICEConfiguration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        self.random = random
        role = configuration.role
        tieBreaker = configuration.tieBreaker
        filter = configuration.remoteFilter
        generation = ICEGeneration(number: 1, local: configuration.local, remote: nil)
        transactions = ICETable(capacity: configuration.limits.transactions)
        probes = ICETable(capacity: configuration.limits.probes)
        newChecks = ICEBucket(interval: configuration.timing.pacing, burst: configuration.timing.burst)
        let rate = max(configuration.limits.checksPerSecond, 1)
        allChecks = ICEBucket(interval: .seconds(1) / rate, burst: rate / 5)
    }

    /// The credentials that the peer has to know.
    package var localCredentials: ICECredentials { generation.local }
    /// The peer's credentials; nil before they are told.
    package var remoteCredentials: ICECredentials? { generation.remote }
    /// The pair on which payload is to be sent; nil when none is valid.
    package var selectedPair: ICEPair? { selected.map { pair($0) } }
    /// When the selected pair last answered.
    var selectedAnswerAt: Instant? { selected.flatMap { pairs[$0].lastAnswer } }
    /// Since when a check of the selected pair is not answered.
    var selectedUnansweredSince: Instant? { selected.flatMap { pairs[$0].unansweredSince } }
    /// The pairs that answered, in no order.
    package var validPairs: [ICEPair] {
        pairs.indices.filter { pairs[$0].state == .succeeded }.map { pair($0) }
    }
    /// The remote candidates, told and learned, in the order in which they came.
    package var remoteCandidates: [ICECandidate] {
        remotes.filter(\.isCurrent).map(\.candidate)
    }
    /// How many pairs there are, in whatever state.
    package var pairCount: Int { pairs.count - freePairs.count }

    /// Whether an answer to a check or probe of this agent is waited for.
    package func isWaiting(for id: STUNTransactionID) -> Bool {
        transactions[id] != nil || probes[id] != nil
    }

    /// When `.timer` is to be handed in; nil for never.
    package var nextDeadline: Instant? {
        var earliest = Int64.max
        if hasNew { earliest = newChecks.opening }
        for due in dues where due < earliest { earliest = due }
        if earliest != .max { earliest = max(earliest, allChecks.opening) }
        for instant in [nominationAt, failureAt] {
            if let instant { earliest = min(earliest, instant.nanoseconds) }
        }
        return earliest == .max ? nil : Instant(nanoseconds: max(earliest, 0))
    }

    /// Takes what happened, and the instant at which it did.
    package mutating func handle(_ input: ICEInput, at now: Instant) {
        switch input {
        case .local(let candidate, let base): addLocal(candidate, base: base)
        case .localDone: localIsDone = true
        case .remote(let candidate): addRemote(candidate)
        case .remoteDone: remoteIsDone = true
        case .remoteGone(let candidate): withdraw(candidate)
        case .remoteCredentials(let credentials): take(credentials, at: now)
        case .received(let bytes, let base, let from): receive(bytes, on: base, from: from, at: now)
        case .streamOpened(let base, let local, let remote): openStream(base, local: local, remote: remote)
        case .streamClosed(let base), .baseLost(let base): lose(base, at: now)
        case .baseLeaves(let base):
            if let place = baseIndex[base] { bases[place].isLeaving = true }
            choose(at: now)
        case .probe(let base, let endpoint, let timeToLive):
            probe(on: base, to: endpoint, timeToLive: timeToLive, at: now)
        case .measure: if let selected { measure(selected, at: now) }
        case .doubt: doubt(at: now)
        case .active(let isActive): setActive(isActive, at: now)
        case .restart(let credentials): restart(credentials, at: now)
        case .timer: break
        }
        advance(at: now)
    }

    /// What is to be done next; nil when there is nothing until the next input.
    package mutating func nextOutput() -> ICEOutput? {
        guard taken < outputs.count else {
            outputs.removeAll(keepingCapacity: true)
            taken = 0
            return nil
        }
        defer { taken += 1 }
        return outputs[taken]
    }

    mutating func emit(_ output: ICEOutput) {
        outputs.append(output)
    }

    mutating func tell(_ event: ICEEvent) {
        outputs.append(.event(event))
    }
}
