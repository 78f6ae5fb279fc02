// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// How long an idle mapping lives: sockets that are silent for different times, all at once (RFC 5780 section 4.6).
///
/// After its wait the server is made to write to the silent socket: RESPONSE-PORT, asked from another socket. Where the server
/// cannot, the silent socket asks once more itself; a NAT that draws ports then shows by another port that the old mapping was
/// gone. One more socket sends all the time: when its port changes nevertheless, mappings have a maximum age.
struct LifetimeDiscovery: Sendable {
    private enum Timer: Hashable, Sendable {
        case revive(Int)
        case age
        case end
    }

    private struct Sleeper {
        var socket: SocketID
        var wait: Duration
        var external: IPEndpoint?
        var isAlive: Bool?
    }

    private static let ageInterval = Duration.seconds(4)
    private static let longestWait = Duration.seconds(600)
    /// What opening and reviving may take beyond the waits.
    private static let patience = Duration.seconds(10)
    private static let plan = RetryPlan(
        tries: 7,
        interval: .milliseconds(200),
        patience: .milliseconds(700)
    )

    private let address: IPAddress
    private let server: ProbeServer
    private let keepsPorts: Bool
    private let caller: SocketID
    private let runner: SocketID
    private var sleepers: [Sleeper] = []
    private var timers = TimerTable<Timer>()
    private let start: Instant
    /// Whether the server writes to another port when asked; nil before that is known.
    private var hasResponsePort: Bool?
    private var runnerExternal: IPEndpoint?
    private var runnerSeen: Instant
    private var maximumAge: Duration?
    private(set) var isDone = false

    /// Opens all sockets; the first sleeper does not sleep: it shows whether the server can write to another port.
    init?(
        through server: ProbeServer,
        address: IPAddress,
        waits: [Duration],
        keepsPorts: Bool,
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        let waits = Set(waits.filter { $0 > .zero }.map { min($0, Self.longestWait) }).sorted().prefix(16)
        guard !waits.isEmpty else { return nil }
        self.address = address
        self.server = server
        self.keepsPorts = keepsPorts
        start = now
        runnerSeen = now
        caller = sockets.openUDP(address)
        runner = sockets.openUDP(address)
        for wait in [.zero] + waits {
            sleepers.append(Sleeper(socket: sockets.openUDP(address), wait: wait))
        }
        for (number, sleeper) in sleepers.enumerated() {
            let purpose = ProbePurpose.lifetime(number)
            sockets.ask(purpose, .v4, on: sleeper.socket, to: server.endpoint, plan: .answered, now: now)
        }
        sockets.ask(.aging, .v4, on: runner, to: server.endpoint, plan: .answered, now: now)
        timers.set(.age, at: now + Self.ageInterval)
        timers.set(.end, at: now + (waits.last ?? .zero) + Self.patience)
    }

    var nextDeadline: Instant? { isDone ? nil : timers.nextDeadline }

    mutating func take(_ answer: ProbeAnswer, _ sockets: inout ProbeSockets, at now: Instant) {
        switch answer.request.purpose {
        case .revival(let number) where answer.message.kind == .error:
            // The server knows no RESPONSE-PORT.
            if number == 0, answer.isFromSource { hasResponsePort = false }
            return
        default: break
        }
        guard answer.isFromSource, answer.message.kind == .success,
            let external = answer.message.mappedEndpoint.map({ IPEndpoint($0.address.unmapped, $0.port) })
        else { return }
        switch answer.request.purpose {
        case .lifetime(let number):
            if let before = sleepers[number].external {
                // Asked a second time, by itself.
                if sleepers[number].isAlive == nil, !keepsPorts {
                    sleepers[number].isAlive = before == external
                }
                return
            }
            sleepers[number].external = external
            timers.set(.revive(number), at: (answer.request.firstSent ?? now) + sleepers[number].wait)
        case .revival(let number):
            if number == 0 { hasResponsePort = true }
            sleepers[number].isAlive = true
        case .aging:
            if let before = runnerExternal, before != external, maximumAge == nil {
                maximumAge = runnerSeen - start
            }
            runnerExternal = external
            runnerSeen = now
        default: break
        }
    }

    /// Nobody answered a request.
    mutating func unanswered(_ request: ProbeRequest) {
        guard case .revival(let number) = request.purpose else { return }
        if number == 0 { hasResponsePort = hasResponsePort ?? false }
        if sleepers[number].isAlive == nil, hasResponsePort == true { sleepers[number].isAlive = false }
    }

    mutating func advance(_ sockets: inout ProbeSockets, at now: Instant) {
        guard !isDone else { return }
        while let timer = timers.expire(at: now) {
            switch timer {
            case .revive(let number): revive(number, &sockets, at: now)
            case .age:
                sockets.ask(.aging, .v4, on: runner, to: server.endpoint, plan: .answered, now: now)
                timers.set(.age, at: now + Self.ageInterval)
            case .end: return end()
            }
        }
        let isWaiting = sockets.isPending { request in
            switch request.purpose {
            case .lifetime, .revival: true
            default: false
            }
        }
        if !isWaiting, !sleepers.indices.contains(where: { timers[.revive($0)] != nil }) {
            end()
        }
    }

    private mutating func end() {
        isDone = true
        timers.cancelAll()
    }

    private mutating func revive(_ number: Int, _ sockets: inout ProbeSockets, at now: Instant) {
        guard let external = sleepers[number].external else { return }
        if number > 0, hasResponsePort != true {
            let purpose = ProbePurpose.lifetime(number)
            sockets.ask(
                purpose,
                .v4,
                on: sleepers[number].socket,
                to: server.endpoint,
                plan: .answered,
                now: now
            )
            return
        }
        sockets.ask(
            .revival(number),
            .v4,
            on: caller,
            to: server.endpoint,
            at: sleepers[number].socket,
            attributes: [.responsePort(external.port)],
            plan: Self.plan,
            now: now
        )
    }

    /// What was found so far.
    var finding: NATFinding<MappingLifetime> {
        let sleepers = sleepers.dropFirst()
        let answered = sleepers.filter { $0.isAlive != nil }
        guard !answered.isEmpty else {
            return .unknown(hasResponsePort == true ? .fewAnswers : .noResponsePort)
        }
        let dead = answered.filter { $0.isAlive == false }.map(\.wait).min()
        let lived = answered.filter { $0.isAlive == true }.map(\.wait)
        let alive = lived.filter { wait in dead.map { wait < $0 } ?? true }.max() ?? .zero
        let lifetime = MappingLifetime(alive: alive, dead: dead, maximumAge: maximumAge)
        if let dead, lived.contains(where: { $0 > dead }) { return .likely(lifetime, .inconsistent) }
        return answered.count < sleepers.count ? .likely(lifetime, .fewAnswers) : .certain(lifetime)
    }
}
