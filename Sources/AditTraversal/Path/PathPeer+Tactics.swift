// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

extension PathPeer {
    /// Sets when which tactic begins, by what is known of both NATs now. What is known orders tactics, and forbids none that is
    /// cheap.
    mutating func considerTactics(at now: Instant) {
        guard leads, let attemptAt, !isAttemptOver, !isDirect, let remote, policy != .relayOnly else { return }
        let timing = world.timing
        let isBlocked = world.nat.udp.isBlocked || remote.nat.udp.isBlocked
        if tcp?.attempt != attemptAt, !world.tactics.isDisjoint(with: [.tcp, .sevenSteps, .sevenStepsKept]) {
            // The peer gets ready for TCP early where it has reason to.
            let isAtOnce =
                isBlocked || world.isUDPSuspect || !world.tactics.contains(.plain) || remote.tcp != nil && tcp == nil
            schedule(.tcp, at: isAtOnce ? now : attemptAt + timing.tcpDelay)
        }
        guard !isBlocked else {
            for timer in [Timer.openers, .search] { timers.cancel(timer) }
            return
        }
        let isDependent = world.nat.udp.isSymmetric || remote.nat.udp.isSymmetric
        if openers?.attempt != attemptAt, !isDependent, world.tactics.contains(.plain), world.main != nil {
            schedule(.openers, at: world.needsOpeners ? now : attemptAt + timing.openersDelay)
        }
        let mayWork = isDependent || world.nat.udp.mapping == nil || remote.nat.udp.mapping == nil
        if search?.attempt != attemptAt, mayWork, !searchTactics.isEmpty, world.main != nil {
            if world.isQuiet || remote.isQuiet {
                searchEnd = .notAllowed(PathSides(a: world.isQuiet, b: remote.isQuiet) ?? .a)
            } else {
                // What came later may say that it is too early.
                if needsBlocks { timers.cancel(.search) }
                let delay = needsBlocks ? timing.blockDelay : isDependent ? timing.tcpDelay : timing.searchDelay
                schedule(.search, at: attemptAt + delay)
            }
        }
    }

    /// Whether only blocks of ports could help that a longer look at the NATs has not shown yet.
    private var needsBlocks: Bool {
        guard let remote, searchTactics.contains(.block) else { return false }
        let both = [world.nat.udp, remote.nat.udp]
        guard both.allSatisfy({ $0.mapping == nil || $0.isSymmetric }) else { return false }
        return both.contains { $0.allocation == nil || $0.allocation == .random }
    }

    /// The tactics that search for ports.
    var searchTactics: Set<PathTactic> { world.tactics.intersection([.prediction, .window, .birthday, .block]) }

    private mutating func schedule(_ timer: Timer, at instant: Instant) {
        if let set = timers[timer], set <= instant { return }
        timers.set(timer, at: instant)
    }

    /// A direct pair answered: what still searches for one is over.
    mutating func found(on base: ICEBaseID, at now: Instant) {
        foundBySearch(on: base, at: now)
        for timer in [Timer.tcp, .openers, .search] { timers.cancel(timer) }
    }

    /// Ends what is under way; the rounds stay, so that a later one is a new one.
    mutating func stopTactics(at now: Instant) {
        for timer in [Timer.tcp, .openers, .search, .opener, .sampler] { timers.cancel(timer) }
        stopOpeners(at: now)
        stopTCP(at: now)
        stopSearch(at: now)
    }

    /// So many rounds may begin in a minute, over all tactics: what each aims at a peer's word is bounded, and so is the whole.
    static let roundLimit = 8

    /// Whether a round may begin, and then it has.
    mutating func beginsRound(at now: Instant) -> Bool {
        rounds.removeAll { now - $0 >= .seconds(60) }
        guard rounds.count < Self.roundLimit else { return false }
        rounds.append(now)
        return true
    }

    /// The address to which fresh sockets are bound.
    var freshEndpoint: IPEndpoint { IPEndpoint(world.address ?? .v4(0), 0) }

    /// Whether a tactic may aim at an endpoint that the peer named.
    func mayAim(at endpoint: IPEndpoint, over transport: ICETransport = .udp) -> Bool {
        ICEAddressFilter(own: world.addresses, trusted: []).refusal(of: endpoint, over: transport) == nil
            && !world.serverAddresses.contains(endpoint.address)
    }
}
