// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Searches the ports of a peer's NAT, or opens the own one for the peer's search: prediction, window, birthday and block.
///
/// The sockets are its driver's, and so is the recognition of the peer: each probe is a check that authenticates itself, and
/// whoever sees one answered hands in `found`. The machine only decides which port is tried from which socket, and when; it
/// keeps to its ``PunchLimits`` whatever the plan says. It is used for one search.
package struct PortSearch: Sendable {
    private enum Timer: Hashable, Sendable {
        case work
        case round
        case wait
        case end
    }

    /// The time between two packets where the whole does not have to leave at once.
    package static let spacing = Duration.milliseconds(10)
    /// The time between two rounds in which an opener's sockets send again: for what was lost.
    package static let openerRound = Duration.seconds(5)
    /// The same where all sockets send at once.
    package static let windowRound = Duration.seconds(1)
    /// How many such rounds there are.
    package static let windowRounds = 3
    /// How long a prober waits for `peerOpened`.
    package static let openerPatience = Duration.seconds(5)
    /// How long answers are awaited when everything was tried.
    package static let lastWait = Duration.seconds(2)

    private let limits: PunchLimits
    private var random: any RandomNumberGenerator & Sendable
    private var outputs: [PortSearchOutput] = []
    private var firstOutput = 0
    private var timers = TimerTable<Timer>()
    private var pace: PacketPace
    private var plan: SearchPlan?
    private var isOver = false

    /// Numbers of sockets that have yet to be opened.
    private var unopened = 0..<0
    private var awaited: Set<Int> = []
    private var open: [Int] = []
    private var refusedInRow = 0
    private var isReady = false
    /// Sockets that have yet to send in this round.
    private var round: ArraySlice<Int> = []
    private var roundCount = 0

    private var isProbing = false
    private var candidates: ArraySlice<UInt16> = []
    private var probesLeft = 0
    private var burstLeft = 0

    /// How many packets it had sent.
    package private(set) var packetCount = 0
    /// How many pairs of a socket and an endpoint it had sent to.
    package private(set) var flowCount = 0

    /// Makes a search that waits for `begin`.
    package init(limits: PunchLimits = PunchLimits(), random: any RandomNumberGenerator & Sendable) {
        self.limits = limits
        self.random = random
        pace = PacketPace(limits.packetsPerSecond)
    }

    /// When `.timer` is to be handed in; nil for never.
    package var nextDeadline: Instant? { timers.nextDeadline }

    /// What the driver has to do next.
    package mutating func nextOutput() -> PortSearchOutput? {
        guard firstOutput < outputs.count else {
            outputs.removeAll(keepingCapacity: true)
            firstOutput = 0
            return nil
        }
        firstOutput += 1
        return outputs[firstOutput - 1]
    }

    /// Takes what happened.
    package mutating func handle(_ input: PortSearchInput, at now: Instant) {
        guard !isOver else {
            // A socket that came too late.
            if case .opened(let socket) = input { outputs.append(.closeSocket(socket)) }
            return
        }
        switch input {
        case .begin(let plan): begin(plan, at: now)
        case .opened(let socket): opened(socket, at: now)
        case .notOpened(let socket): notOpened(socket, at: now)
        case .peerOpened:
            guard plan != nil else { return }
            timers.cancel(.wait)
            startProbing(at: now)
        case .found: end(.found, keeping: nil)
        case .foundOn(let socket): end(.found, keeping: socket)
        case .stop: end(.stopped, keeping: nil)
        case .timer:
            while !isOver, let timer = timers.expire(at: now) { expired(timer, at: now) }
        }
    }

    // MARK: Beginning

    private mutating func begin(_ wanted: SearchPlan, at now: Instant) {
        guard plan == nil else { return }
        plan = wanted
        timers.set(.end, at: now + limits.duration)
        let sockets = min(max(0, wanted.socketCount), limits.sockets, limits.flows)
        unopened = 1..<sockets + 1
        if sockets == 0, wanted.role == .opener {
            // The main socket opens the NAT.
            open = [0]
            flowCount += 1
        }
        prepareProbes(wanted)
        isProbing = !wanted.waitsForOpener
        if !isProbing, probesLeft > 0 { timers.set(.wait, at: now + Self.openerPatience) }
        round = open[...]
        work(at: now)
    }

    private mutating func prepareProbes(_ plan: SearchPlan) {
        guard plan.role == .prober else { return }
        let room = limits.flows - unopened.count
        switch plan.tactic {
        case .prediction(let window):
            candidates = plan.guesses[...]
            probesLeft = min(room, candidates.count)
            burstLeft = window
        case .birthday(_, let probes), .block(let probes):
            probesLeft = min(room, probes, plan.guesses.isEmpty ? plan.range.count : plan.guesses.count)
            candidates = plan.ports(probesLeft, using: &random)[...]
        case .window: break
        }
    }

    private mutating func startProbing(at now: Instant) {
        guard !isProbing else { return }
        isProbing = true
        work(at: now)
    }

    // MARK: Sockets

    private mutating func opened(_ socket: Int, at now: Instant) {
        guard awaited.remove(socket) != nil else { return }
        refusedInRow = 0
        open.append(socket)
        flowCount += 1
        // Its place was taken when it was asked for.
        sendOpener(from: socket)
        settle(at: now)
    }

    private mutating func notOpened(_ socket: Int, at now: Instant) {
        guard awaited.remove(socket) != nil else { return }
        refusedInRow += 1
        if refusedInRow >= 8 { unopened = unopened.upperBound..<unopened.upperBound }
        settle(at: now)
        if open.isEmpty, unopened.isEmpty, awaited.isEmpty { end(.noSockets, keeping: nil) }
    }

    private mutating func settle(at now: Instant) {
        guard !isReady, unopened.isEmpty, awaited.isEmpty, !open.isEmpty else { return }
        isReady = true
        outputs.append(.ready)
        timers.set(.round, at: now + roundTime)
    }

    private mutating func sendOpener(from socket: Int) {
        guard let plan else { return }
        packetCount += 1
        outputs.append(.probe(from: socket, to: plan.peer, timeToLive: plan.openerTimeToLive))
    }

    private var isWindow: Bool {
        if case .window? = plan?.tactic { return true }
        return false
    }

    private var roundTime: Duration {
        isWindow || open == [0] ? Self.windowRound : Self.openerRound
    }

    // MARK: Packets

    /// Does what may be done now, and sets the time for the rest.
    private mutating func work(at now: Instant) {
        guard let plan, !isOver else { return }
        while true {
            let isAtOnce = isWindow || open == [0] || burstLeft > 0
            if let socket = unopened.first {
                guard pace.take(at: now) else { return workLater(at: pace.next(at: now)) }
                unopened = socket + 1..<unopened.upperBound
                awaited.insert(socket)
                outputs.append(.openSocket(socket))
            } else if let socket = round.first {
                guard pace.take(at: now) else { return workLater(at: pace.next(at: now)) }
                round.removeFirst()
                sendOpener(from: socket)
                if round.isEmpty { settle(at: now) }
            } else if isProbing, probesLeft > 0, let port = candidates.first {
                guard pace.take(at: now) else { return workLater(at: pace.next(at: now)) }
                candidates.removeFirst()
                probesLeft -= 1
                burstLeft -= 1
                packetCount += 1
                flowCount += 1
                outputs.append(.probe(from: 0, to: IPEndpoint(plan.peer.address, port), timeToLive: nil))
                if probesLeft == 0 { timers.set(.wait, at: now + Self.lastWait) }
            } else {
                return timers.cancel(.work)
            }
            if !isAtOnce || burstLeft == 0 && isProbing && plan.role == .prober {
                return workLater(at: now + Self.spacing)
            }
        }
    }

    private mutating func workLater(at time: Instant) {
        timers.set(.work, at: time)
    }

    private mutating func expired(_ timer: Timer, at now: Instant) {
        switch timer {
        case .work: work(at: now)
        case .round:
            roundCount += 1
            if isWindow, roundCount >= Self.windowRounds {
                timers.set(.wait, at: now + Self.lastWait)
            } else {
                round = open[...]
                timers.set(.round, at: now + roundTime)
                work(at: now)
            }
        case .wait:
            if !isProbing { startProbing(at: now) } else { end(.exhausted, keeping: nil) }
        case .end: end(.exhausted, keeping: nil)
        }
    }

    private mutating func end(_ outcome: SearchOutcome, keeping kept: Int?) {
        isOver = true
        timers.cancelAll()
        for socket in open + awaited.sorted() where socket != 0 && socket != kept {
            outputs.append(.closeSocket(socket))
        }
        open.removeAll()
        awaited.removeAll()
        outputs.append(.finished(outcome))
    }
}
