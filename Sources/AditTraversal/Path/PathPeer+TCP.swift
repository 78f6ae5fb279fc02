// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

extension PathPeer {
    /// A TCP punch and what both ends say of it.
    struct Punch: Sendable {
        /// The two machines that punch TCP.
        enum Machine: Sendable {
            case simultaneous(TCPPunch)
            case steps(SevenSteps)
        }

        var machine: Machine
        var tactic: PathTactic
        var offer: PathTCPOffer
        /// For which attempt it is; nil for one that is only prepared.
        var attempt: Instant?
        /// Whether the peer's endpoints were handed in, and the beginning was agreed on.
        var hasTargets = false
        var hasPlan = false
        var isGoing = false
        /// When it was begun, and how long a signal takes by what servers took to answer.
        var begunAt: Instant
        var signalTime = Duration.zero
        var numbers: [PunchSocketID: UInt32] = [:]
        /// Whether it was stopped.
        var isStopped = false
        /// Why it was given up; nil while it was not.
        var failure: TCPPunchFailure?

        /// Whether ports are being searched for.
        var isSearching: Bool { hasPlan && failure == nil }

        var machineDeadline: Instant? {
            guard failure == nil else { return nil }
            switch machine {
            case .simultaneous(let punch): return punch.nextDeadline
            case .steps(let steps): return steps.nextDeadline
            }
        }

        mutating func handle(_ input: TCPPunchInput, at now: Instant) {
            switch machine {
            case .simultaneous(var punch):
                // The case is emptied first, so that the machine is not copied.
                machine = .steps(Self.placeholder)
                punch.handle(input, at: now)
                machine = .simultaneous(punch)
            case .steps(var steps):
                steps.handle(input, at: now)
                machine = .steps(steps)
            }
        }

        mutating func nextOutput() -> TCPPunchOutput? {
            switch machine {
            case .simultaneous(var punch):
                machine = .steps(Self.placeholder)
                defer { machine = .simultaneous(punch) }
                return punch.nextOutput()
            case .steps(var steps):
                defer { machine = .steps(steps) }
                return steps.nextOutput()
            }
        }

        private static let placeholder = SevenSteps(
            SevenStepsConfiguration(.asked, keepsFourthSocket: false),
            random: SeededGenerator(seed: 0)
        )
    }

    private var tcpTactic: PathTactic {
        if world.tactics.contains(.tcp) { return .tcp }
        return world.tactics.contains(.sevenStepsKept) ? .sevenStepsKept : .sevenSteps
    }

    /// What is known of the NAT in front of this device, with what servers saw of the punching port.
    var nat: PathNAT {
        guard let seen = tcp?.offer.mapped, seen.count > 1, world.nat.tcp.mapping == nil, world.nat.tcp.kind == nil
        else { return world.nat }
        var nat = world.nat
        let isConstant = Set(seen).count == 1
        nat.tcp.mapping = isConstant ? .endpointIndependent : .addressAndPortDependent
        if !isConstant { nat.tcp.kind = .symmetric }
        return nat
    }

    /// Opens the port, and asks servers how they see it, as soon as UDP seems to be blocked at either end: at both ends at once,
    /// before it is agreed on when to begin.
    mutating func prepareTCP(at now: Instant) {
        guard tcp == nil, !isDirect, isTCPBlind || world.isUDPSuspect, world.tactics.contains(.tcp),
            policy != .relayOnly, world.main != nil,
            !world.stunTCP.isEmpty
        else { return }
        startTCP(round: 1, attempt: nil, at: now)
    }

    mutating func beginTCP(at now: Instant) {
        guard !isDirect, !world.stunTCP.isEmpty || world.nat.tcp.kind == .open else { return }
        if let tcp, tcp.attempt == nil, !tcp.isStopped, tcp.failure == nil {
            self.tcp?.attempt = attemptAt
            return advanceTCP(at: now)
        }
        startTCP(round: (tcp?.offer.round ?? 0) &+ 1, attempt: attemptAt, at: now)
    }

    /// The peer began a round, or got on with one.
    mutating func followTCP(_ offer: PathTCPOffer?, at now: Instant) {
        guard let offer, policy != .relayOnly else { return }
        let isAllowed = !world.tactics.isDisjoint(with: [.tcp, .sevenSteps, .sevenStepsKept])
        if !leads, offer.round != tcp?.offer.round, isAllowed, !isDirect {
            startTCP(round: offer.round, attempt: attemptAt, at: now)
        }
        if offer.round == tcp?.offer.round { advanceTCP(at: now) }
    }

    private mutating func startTCP(round: UInt8, attempt: Instant?, at now: Instant) {
        stopTCP(at: now)
        guard beginsRound(at: now) else { return }
        let tactic = tcpTactic
        let branch = PathGenerator.branch(&random)
        let machine: Punch.Machine
        if tactic == .tcp {
            var configuration = TCPPunchConfiguration()
            configuration.name = ownID.name
            configuration.peerName = id.name
            configuration.attemptLimit = Self.connectionAttempts
            configuration.strangerLimit = Self.connectionAttempts
            forgetAimed(at: now)
            configuration.spent = aimed.mapValues(\.count)
            machine = .simultaneous(TCPPunch(configuration, random: branch))
        } else {
            var configuration = SevenStepsConfiguration(
                leads ? .asking : .asked,
                keepsFourthSocket: tactic == .sevenStepsKept
            )
            configuration.name = ownID.name
            configuration.peerName = id.name
            machine = .steps(SevenSteps(configuration, random: branch))
        }
        tcp = Punch(machine: machine, tactic: tactic, offer: PathTCPOffer(round: round), attempt: attempt, begunAt: now)
        for address in provenAddresses { handlePunch(.trust(address), at: now) }
        handlePunch(.begin(local: freshEndpoint, servers: world.stunTCP), at: now)
        tellSoon(at: now)
    }

    /// The peer has answered from an address, as the relay saw: the punch need not hold back there, and may search.
    mutating func trustForTCP(_ address: IPAddress, at now: Instant) {
        guard tcp != nil, tcp?.failure == nil else { return }
        handlePunch(.trust(address), at: now)
        advanceTCP(at: now)
    }

    /// Hands something to the punch, and does what it then wants.
    mutating func handlePunch(_ input: TCPPunchInput, at now: Instant) {
        tcp?.handle(input, at: now)
        while let next = tcp?.nextOutput() {
            switch next {
            case .open(let id, let kind):
                packetsSpent += 1
                if let number = open(.punch(id), kind) {
                    tcp?.numbers[id] = number
                } else {
                    tcp?.handle(.closed(id, .denied), at: now)
                }
            case .write(let id, let bytes):
                if let number = tcp?.numbers[id] { output(.write(number, bytes)) }
            case .close(let id, let isAbrupt):
                if let number = tcp?.numbers.removeValue(forKey: id) { close(number, isAbrupt: isAbrupt, at: now) }
            case .event(let event): punched(event, at: now)
            }
        }
        if case .closed(let id, _) = input { tcp?.numbers[id] = nil }
    }

    private mutating func punched(_ event: TCPPunchEvent, at now: Instant) {
        switch event {
        case .mapped(let endpoints, let local):
            tcp?.offer.mapped = Array(endpoints.prefix(PathTCPOffer.endpointLimit))
            tcp?.offer.local = local
            // A connection and a question: two round trips to the server, each as long as a signal through it.
            if let begunAt = tcp?.begunAt { tcp?.signalTime = min((now - begunAt) / 2, .seconds(1)) }
            updateReport(at: now)
            // Where it is time to begin, that is said in the same signal.
            advanceTCP(at: now)
            tell(at: now)
        case .established(let id, let local, let remote): adopt(id, local, remote, at: now)
        case .ready:
            tcp?.offer.isReady = true
            tellSoon(at: now)
        case .failed(let failure):
            tcp?.failure = failure
            updateReport(at: now)
        case .trace(let step): output(trace(step.words, at: now))
        }
    }

    /// A connection with somebody: the agent finds out who it is.
    private mutating func adopt(_ id: PunchSocketID, _ local: IPEndpoint, _ remote: IPEndpoint, at now: Instant) {
        let number = tcp?.numbers[id] ?? sockets.first { $0.value.use == .punch(id) }?.key
        guard let number, sockets[number] != nil else { return }
        tcp?.numbers[id] = number
        guard sockets.values.count(where: \.isStream) < Self.streamLimit else {
            return close(number, isAbrupt: true, at: now)
        }
        sockets[number]?.use = .stream(id)
        sockets[number]?.local = local
        sockets[number]?.remote = remote
        handleAgent(.streamOpened(base: ICEBaseID(number), local: local, remote: remote), at: now)
    }

    private mutating func advanceTCP(at now: Instant) {
        guard let own = tcp, own.failure == nil, let theirs = remote?.tcp, theirs.round == own.offer.round,
            let peerLocal = theirs.local
        else { return }
        if case .steps = own.machine { return advanceSteps(own, theirs, at: now) }
        guard own.offer.local != nil else { return }
        if !own.hasTargets {
            tcp?.hasTargets = true
            beginTCPSearch(own.offer, theirs, at: now)
            // What a router has opened takes in everybody.
            var targets = openedPorts + theirs.mapped
            if isNear(theirs.mapped) { targets.append(peerLocal) }
            handlePunch(.targets(punchTargets(targets)), at: now)
        }
        beginTCPSearch(own.offer, theirs, at: now)
        if theirs.goes {
            // Where both said it, each hears the other's word no later than both wait for, and the earlier one holds for both.
            tcp?.isGoing = true
            handlePunch(.go, at: now)
        } else if tcp?.isGoing == true {
            return
        } else if leads ? own.attempt != nil : isTCPBlind {
            // The word to begin is on its way for half a signal's round trip; both then begin in the same moment. Where nothing
            // but TCP can work whoever has the other's endpoints first says it, together with its own.
            tcp?.isGoing = true
            tcp?.offer.goes = true
            tell(at: now)
            handlePunch(.goAfter(exchange.roundTrip.map { $0 / 2 } ?? own.signalTime), at: now)
        }
    }

    /// The seven steps want to be told one after the other where the other side is.
    private mutating func advanceSteps(_ own: Punch, _ theirs: PathTCPOffer, at now: Instant) {
        guard !own.hasTargets, let target = theirs.mapped.first ?? theirs.local, mayAim(at: target, over: .tcp) else {
            return
        }
        tcp?.hasTargets = true
        handlePunch(.targets([target]), at: now)
    }

    private mutating func beginTCPSearch(_ own: PathTCPOffer, _ theirs: PathTCPOffer, at now: Instant) {
        guard tcp?.hasPlan == false, let plan = tcpPlan(own, theirs) else { return }
        // The wide search waits until the peer has shown that it is there. Where UDP is blocked it cannot be shown: the
        // relay sees the relay of the peer. The search is then as narrow as what any address gets, at both ends.
        guard isTCPBlind || provenAddresses.contains(plan.peer.address) else { return }
        tcp?.hasPlan = true
        handlePunch(.search(plan), at: now)
    }

    /// Whether no packet over UDP can show where the peer is; both ends know the same of it.
    private var isTCPBlind: Bool { world.nat.udp.isBlocked || remote?.nat.udp.isBlocked == true }

    /// How to search the peer's TCP port; nil where it is known, or where only luck would help.
    private func tcpPlan(_ own: PathTCPOffer, _ theirs: PathTCPOffer) -> SearchPlan? {
        guard let endpoint = theirs.mapped.first, mayAim(at: endpoint, over: .tcp), !world.isQuiet,
            remote?.isQuiet == false
        else { return nil }
        var options = SearchOptions()
        if isTCPBlind { options.window = Self.connectionAttempts - 1 }
        let plan = SearchPlan.make(
            own: PortSamples(own.mapped, allocation: nat.tcp.allocation),
            peer: PortSamples(theirs.mapped, allocation: remote?.nat.tcp.allocation),
            at: endpoint,
            options: options
        )
        switch plan?.tactic {
        case .prediction: return searchTactics.contains(.prediction) ? plan : nil
        case .window: return searchTactics.contains(.window) ? plan : nil
        // A thousand connections look like a scan.
        case .birthday, .block, nil: return nil
        }
    }

    /// TCP ports that the peer's router has opened for it.
    private var openedPorts: [IPEndpoint] {
        heard.filter { $0.transport == .tcp && $0.tcpType == .passive && $0.isPortMapped }.map(\.endpoint)
            .sorted { $0.port < $1.port }
    }

    /// Whether the peer may be in the same network: it is seen at the same address.
    private func isNear(_ mapped: [IPEndpoint]) -> Bool {
        world.stunTCP.isEmpty || mapped.contains { world.addresses.contains($0.address) }
    }

    /// What is connected to of what the peer told: few endpoints, since nobody there has yet shown to be the peer.
    private func punchTargets(_ endpoints: [IPEndpoint]) -> [IPEndpoint] {
        var seen: Set<IPEndpoint> = []
        let targets = endpoints.filter { mayAim(at: $0, over: .tcp) && seen.insert($0).inserted }
        return Array(targets.prefix(Self.punchTargetLimit))
    }

    /// How often one endpoint is connected to, and how many endpoints are.
    static let connectionAttempts = 25
    static let punchTargetLimit = 4

    /// What addresses got is remembered so long after the last of it, over all rounds.
    private static let aimedMemory = Duration.seconds(60)

    private mutating func forgetAimed(at now: Instant) {
        aimed = aimed.filter { now - $0.value.at < Self.aimedMemory }
    }

    mutating func stopTCP(at now: Instant) {
        guard tcp != nil else { return }
        if case .simultaneous(let punch)? = tcp?.machine {
            forgetAimed(at: now)
            for (address, count) in punch.spent where count != aimed[address]?.count {
                guard aimed.count < Self.endpointLimit || aimed[address] != nil else { break }
                aimed[address] = (count, now)
            }
        }
        handlePunch(.stop, at: now)
        tcp?.isStopped = true
        for (number, socket) in sockets.sorted(by: { $0.key < $1.key }) {
            if case .punch = socket.use { close(number, isAbrupt: true, at: now) }
        }
    }
}
