// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// A host that punches TCP with ``TCPPunch`` or ``SevenSteps``, the very machines that devices run.
///
/// One connection leads to the rendezvous, and carries what a session would. On each connection that the punch establishes the
/// hosts say who they are, and a side is done when the other one has heard it.
package struct TCPPunchHost: SocketMachine {
    package typealias Event = PunchEvent

    /// How many servers are asked where ports are searched: both ports of both addresses.
    package static let sampleCount = 4

    private enum Punch: Sendable {
        case atOnce(TCPPunch)
        case inSteps(SevenSteps)
    }

    private struct Link: Sendable {
        var remote: IPEndpoint
        var stream = PunchMessageStream()
    }

    /// The machine's own sockets; the numbers from 1 on are the punch's.
    private static let rendezvous = SocketID(0)
    private static let firstAttempt: UInt32 = 16
    /// How long one side stays for the other, when it is done.
    private static let parting = Duration.seconds(40)

    private let configuration: PunchConfiguration
    private var punch: Punch
    private var outputs: [SocketOutput<Event>] = []
    private var firstOutput = 0
    private var rendezvousStream = PunchMessageStream()
    private var isMet = false
    private var mapped: [IPEndpoint] = []
    private var local: IPEndpoint?
    private var hasBegun = false
    private var links: [SocketID: Link] = [:]
    private var hasHeard = false
    private var endAt: Instant?
    private var isOver = false
    /// Whether both directions work.
    package private(set) var isDone = false
    /// How many connection attempts were made.
    package private(set) var attemptCount = 0

    /// Makes the machine; it begins at once.
    package init(_ configuration: PunchConfiguration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        let (name, peer) = (configuration.site.rawValue, configuration.site.other.rawValue)
        switch configuration.tactic {
        case .sevenSteps, .sevenStepsKept:
            var steps = SevenStepsConfiguration(
                configuration.site == .a ? .asking : .asked,
                keepsFourthSocket: configuration.tactic == .sevenStepsKept
            )
            (steps.name, steps.peerName) = (name, peer)
            punch = .inSteps(SevenSteps(steps, random: random))
        case .plain, .tcp, .prediction, .window, .birthday, .block:
            var atOnce = TCPPunchConfiguration()
            (atOnce.name, atOnce.peerName) = (name, peer)
            atOnce.serverPatience = .seconds(35)
            atOnce.limits = configuration.limits
            punch = .atOnce(TCPPunch(atOnce, random: random))
        }
        let any = IPEndpoint(configuration.address, 0)
        outputs.append(.open(Self.rendezvous, .tcp(local: any, remote: configuration.rendezvous)))
    }

    package var nextDeadline: Instant? {
        let own =
            switch punch {
            case .atOnce(let machine): machine.nextDeadline
            case .inSteps(let machine): machine.nextDeadline
            }
        guard let endAt else { return own }
        return min(own ?? endAt, endAt)
    }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        guard firstOutput < outputs.count else {
            outputs.removeAll(keepingCapacity: true)
            firstOutput = 0
            return nil
        }
        firstOutput += 1
        return outputs[firstOutput - 1]
    }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        guard !isOver else { return }
        switch input {
        case .connected(Self.rendezvous, _, _): met(at: now)
        case .bytes(Self.rendezvous, let bytes):
            for message in rendezvousStream.take(bytes) ?? [] { told(message, at: now) }
        case .closed(Self.rendezvous, let end):
            if !hasBegun { finish(.failed(isMet ? .noPeer : end == .timedOut ? .noServer : .socket(end))) }
        case .bytes(let id, let bytes) where links[id] != nil: hear(id, bytes, at: now)
        case .bytes(let id, let bytes): hand(.bytes(PunchSocketID(id.number), bytes), at: now)
        case .opened(let id, let local): hand(.opened(PunchSocketID(id.number), local: local), at: now)
        case .connected(let id, let local, let remote):
            hand(.connected(PunchSocketID(id.number), local: local, remote: remote), at: now)
        case .accepted(let id, let listener, let local, let remote):
            let listener = PunchSocketID(listener.number)
            hand(.accepted(PunchSocketID(id.number), by: listener, local: local, remote: remote), at: now)
        case .closed(let id, let end): closed(id, end, at: now)
        case .timer:
            if let endAt, endAt <= now { return close() }
            hand(.timer, at: now)
        case .received, .receivedBatch, .refused, .response, .networkChanged: break
        }
    }

    // MARK: The rendezvous

    private mutating func met(at now: Instant) {
        isMet = true
        let any = IPEndpoint(configuration.address, 0)
        hand(.begin(local: any, servers: configuration.servers), at: now)
        // Who goes step by step has nothing to say yet, but that it is there.
        if case .inSteps = punch { say(.hello, [any]) }
    }

    private mutating func say(_ kind: PunchMessage.Kind, _ addresses: [IPEndpoint]) {
        var message = PunchMessage(pair: configuration.pair, kind, site: configuration.site)
        message.addresses = addresses
        outputs.append(.write(Self.rendezvous, message.bytes))
    }

    private mutating func told(_ message: PunchMessage, at now: Instant) {
        guard message.pair == configuration.pair else { return }
        switch (message.kind, punch) {
        case (.tell, .inSteps):
            begin(message.addresses)
            hand(.targets(message.addresses), at: now)
        case (.go, .atOnce):
            guard message.site == configuration.site, !hasBegun else { return }
            let targets = PunchTargets(message).endpoints
            if configuration.tactic.isSearch {
                search(message, at: now)
            } else {
                begin(targets)
                hand(.targets(targets), at: now)
                hand(message.pause == 0 ? .go : .goAfter(.milliseconds(Int(message.pause))), at: now)
            }
        case (.opened, .atOnce):
            guard configuration.tactic.isSearch else { return }
            hand(.go, at: now)
        default: break
        }
    }

    private mutating func begin(_ targets: [IPEndpoint]) {
        guard !hasBegun else { return }
        hasBegun = true
        outputs.append(.event(.began(targets)))
    }

    private mutating func search(_ go: PunchMessage, at now: Instant) {
        guard let endpoint = go.addresses.first else { return }
        let own = PortSamples(mapped, allocation: configuration.allocation)
        let peer = PortSamples(Array(go.addresses.dropFirst(3)), allocation: configuration.peerAllocation)
        guard let plan = SearchPlan.make(own: own, peer: peer, at: endpoint, options: configuration.options),
            configuration.tactic.suits(plan)
        else { return finish(.failed(.unsuitable)) }
        begin([plan.peer])
        hand(.search(plan), at: now)
        // Many ports are open before the first is tried, because a connection that comes too early is gone.
        if case .birthday = plan.tactic, plan.role == .prober { return }
        hand(go.pause == 0 ? .go : .goAfter(.milliseconds(Int(go.pause))), at: now)
    }

    // MARK: The punch

    private mutating func hand(_ input: TCPPunchInput, at now: Instant) {
        var told: [TCPPunchEvent] = []
        switch punch {
        case .atOnce(var machine):
            machine.handle(input, at: now)
            while let output = machine.nextOutput() { perform(output, &told) }
            punch = .atOnce(machine)
        case .inSteps(var machine):
            machine.handle(input, at: now)
            while let output = machine.nextOutput() { perform(output, &told) }
            punch = .inSteps(machine)
        }
        for event in told { take(event, at: now) }
    }

    private mutating func perform(_ output: TCPPunchOutput, _ told: inout [TCPPunchEvent]) {
        switch output {
        case .open(let id, let kind):
            if id.number >= Self.firstAttempt { attemptCount += 1 }
            outputs.append(.open(SocketID(id.number), kind))
        case .write(let id, let bytes): outputs.append(.write(SocketID(id.number), bytes))
        case .close(let id, let isAbrupt): outputs.append(.close(SocketID(id.number), isAbrupt: isAbrupt))
        case .event(let event): told.append(event)
        }
    }

    private mutating func take(_ event: TCPPunchEvent, at now: Instant) {
        switch event {
        case .mapped(let endpoints, let local):
            guard let seen = endpoints.first else { return finish(.failed(.noServer)) }
            mapped = endpoints
            self.local = local
            outputs.append(.event(.seen(seen, local: local)))
            let own = IPEndpoint(configuration.address, local.port)
            if case .inSteps = punch { say(.tell, [seen]) } else { say(.hello, [seen, own] + endpoints) }
        case .established(let id, _, let remote):
            let id = SocketID(id.number)
            if links.isEmpty { outputs.append(.event(.spent(packets: attemptCount))) }
            links[id] = Link(remote: remote)
            send(.probe, on: id)
        case .ready: say(.opened, [])
        case .failed(let failure):
            guard !isDone else { return }
            switch failure {
            case .noSocket(let end): finish(.failed(.socket(end)))
            case .noServer: finish(.failed(.noServer))
            case .noPeer: finish(.failed(.noPeer))
            case .timedOut: finish(.failed(hasHeard ? .oneWay : .nothingHeard))
            }
        case .trace(let step):
            // The plain punch is told by its events.
            if step.number > 0 || configuration.tactic.isSearch { outputs.append(.event(.step(step))) }
        }
    }

    // MARK: The peer

    private mutating func send(_ kind: PunchMessage.Kind, on id: SocketID) {
        var message = PunchMessage(pair: configuration.pair, kind, site: configuration.site)
        message.hasHeard = kind == .answer
        outputs.append(.write(id, message.bytes))
    }

    private mutating func hear(_ id: SocketID, _ bytes: [UInt8], at now: Instant) {
        guard var link = links[id] else { return }
        guard let messages = link.stream.take(bytes) else {
            links[id] = nil
            outputs.append(.close(id, isAbrupt: true))
            return hand(.closed(PunchSocketID(id.number), .malformed), at: now)
        }
        links[id] = link
        for message in messages
        where message.pair == configuration.pair && message.site == configuration.site.other {
            hasHeard = true
            if message.kind == .probe { send(.answer, on: id) }
            if message.hasHeard, !isDone {
                isDone = true
                endAt = now + Self.parting
                outputs.append(.event(.connected(link.remote)))
            }
        }
    }

    private mutating func closed(_ id: SocketID, _ end: SocketEnd, at now: Instant) {
        if links.removeValue(forKey: id) != nil, end == .finished { outputs.append(.close(id, isAbrupt: false)) }
        if id.number >= Self.firstAttempt, id.number < SocketID.acceptedStart, !isDone {
            outputs.append(.event(.retried(end)))
        }
        hand(.closed(PunchSocketID(id.number), end), at: now)
    }

    // MARK: The end

    private mutating func finish(_ event: Event) {
        guard !isOver else { return }
        if links.isEmpty { outputs.append(.event(.spent(packets: attemptCount))) }
        outputs.append(.event(event))
        close()
    }

    private mutating func close() {
        isOver = true
        endAt = nil
        var told: [TCPPunchEvent] = []
        switch punch {
        case .atOnce(var machine):
            machine.handle(.stop, at: .zero)
            while let output = machine.nextOutput() { perform(output, &told) }
            punch = .atOnce(machine)
        case .inSteps(var machine):
            machine.handle(.stop, at: .zero)
            while let output = machine.nextOutput() { perform(output, &told) }
            punch = .inSteps(machine)
        }
        for id in [Self.rendezvous] + links.keys.sorted(by: { $0.number < $1.number }) {
            outputs.append(.close(id, isAbrupt: true))
        }
    }
}
