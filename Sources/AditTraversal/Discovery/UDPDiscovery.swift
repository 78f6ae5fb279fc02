// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// Measures what happens to UDP of one family of addresses.
///
/// First every server is asked from one socket. As soon as one with a second address answers, or a little after any did, all
/// tests run at once: bursts from fresh sockets to every target, filtering from fresh sockets, the path, hairpin. At the
/// end the first socket asks again, which shows a change of address.
struct UDPDiscovery: Sendable {
    enum Stage: Sendable {
        case searching
        case measuring
        case rechecking
        case done
    }

    private enum Timer: Hashable, Sendable {
        case gathering
        case burst(Int)
    }

    private struct Burst {
        var sockets: [SocketID]
        var isSent = false
    }

    private struct Filter {
        var socket: SocketID
        var sample: FilteringSample
    }

    /// How many sockets a burst has, and how many bursts there are.
    private static let burstWidth = 3
    /// The time between bursts, in which a busy NAT serves others.
    private static let burstInterval = Duration.milliseconds(45)
    /// How many fresh sockets each filtering test has.
    private static let filterWidth = 2
    /// How long to wait for further servers once one has answered.
    private static let gathering = Duration.milliseconds(350)
    let family: AddressFamily
    let address: IPAddress
    private let extent: NATDiscovery.Configuration.Extent
    private(set) var stage = Stage.searching
    private(set) var observations = BehaviorObservations()
    private(set) var path: PathLadder?
    private var base: SocketID?
    private var asked: Set<Int> = []
    private(set) var targets: [MappingTarget] = []
    private var primary: Int?
    private var bursts: [Burst] = []
    private var filters: [Filter] = []
    private var hairpin: HairpinTest?
    private var timers = TimerTable<Timer>()
    /// By server, whether it saw the first socket as something else in the end.
    private var rechecks: [Int: Bool] = [:]
    /// Whether the first socket was seen as something else in the end, by most servers that were asked.
    var hasChanged: Bool { rechecks.values.count { $0 } * 2 > rechecks.count }

    init(_ family: AddressFamily, address: IPAddress, extent: NATDiscovery.Configuration.Extent) {
        self.family = family
        self.address = address
        self.extent = extent
    }

    var nextDeadline: Instant? {
        [timers.nextDeadline, stage == .measuring ? hairpin?.nextDeadline : nil].compactMap { $0 }.min()
    }

    // MARK: Searching

    mutating func start(_ servers: [ProbeServer], _ sockets: inout ProbeSockets, at now: Instant) {
        let mine = servers.filter { AddressFamily($0.endpoint.address) == family }
        guard !mine.isEmpty else {
            stage = .done
            return
        }
        observations.wasAsked = true
        let base = sockets.openUDP(address)
        self.base = base
        for server in mine { ask(server.endpoint, of: server.index, &sockets, at: now) }
    }

    private mutating func ask(
        _ endpoint: IPEndpoint,
        of server: Int,
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        guard let base else { return }
        asked.insert(server)
        sockets.ask(
            .server(server),
            family,
            on: base,
            to: endpoint,
            attributes: [.software("adit")],
            plan: .search,
            now: now
        )
    }

    /// A server was found over TCP while UDP is silent: its other endpoints are tried too, lest one of them is at fault.
    mutating func retry(_ server: ProbeServer, _ sockets: inout ProbeSockets, at now: Instant) {
        guard stage == .searching, !observations.hasAnswers,
            AddressFamily(server.endpoint.address) == family
        else {
            return
        }
        for endpoint in server.endpoints.dropFirst() {
            ask(endpoint, of: server.index, &sockets, at: now)
        }
    }

    /// Takes an answer that servers have been asked for.
    mutating func take(
        _ answer: ProbeAnswer,
        _ servers: inout [ProbeServer],
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        switch answer.request.purpose {
        case .server(let index): answered(answer, index, &servers, &sockets, at: now)
        case .mapping(let target): sampled(answer, targets[target], &servers, &sockets, at: now)
        case .opening: opened(answer, &servers)
        case .filtering(let test), .control(let test): returned(answer, test, &servers)
        case .shortLived, .comesBack:
            if answer.isFromSource { path?.take(answer, &sockets) }
        case .hairpin:
            guard answer.isFromSource, let external = believed(answer, &servers) else { return }
            hairpin?.learned(answer, external, &sockets, at: now)
        case .recheck(let index): rechecked(answer, index, &servers)
        case .interface, .lifetime, .revival, .aging: break
        }
        advance(&servers, &sockets, at: now)
    }

    private mutating func answered(
        _ answer: ProbeAnswer,
        _ index: Int,
        _ servers: inout [ProbeServer],
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        guard answer.isFromSource else { return }
        servers[index].isHeardOverUDP = true
        guard let external = servers[index].note(answer.message, to: answer.local) else { return }
        servers[index].report.answersUDP = true
        servers[index].report.roundTrip = min(
            servers[index].report.roundTrip ?? answer.roundTrip,
            answer.roundTrip
        )
        note(answer, MappingTarget(endpoint: answer.request.destination, server: index), external)
        guard stage == .searching else { return }
        let soon = now + (servers[index].hasOtherAddress ? answer.roundTrip : Self.gathering)
        if timers[.gathering].map({ soon < $0 }) ?? true { timers.set(.gathering, at: soon) }
    }

    private mutating func note(_ answer: ProbeAnswer, _ target: MappingTarget, _ external: IPEndpoint) {
        observations.samples.append(
            MappingSample(
                socket: answer.request.socket.number,
                burst: bursts.firstIndex { $0.sockets.contains(answer.request.socket) },
                order: answer.request.order,
                local: answer.local,
                target: target,
                external: external
            )
        )
    }

    /// The external endpoint that an answer tells, unless the answer is an error or absurd.
    private func believed(_ answer: ProbeAnswer, _ servers: inout [ProbeServer]) -> IPEndpoint? {
        guard let primary, answer.message.kind == .success else { return nil }
        return servers[primary].note(answer.message, to: answer.local)
    }

    // MARK: Measuring

    private mutating func measure(
        _ servers: [ProbeServer],
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        timers.cancel(.gathering)
        let usable = servers.filter {
            AddressFamily($0.endpoint.address) == family && $0.isUsable && $0.report.answersUDP
        }
        let best =
            usable.first { $0.hasOtherAddress && $0.otherPort != nil } ?? usable.first {
                $0.hasOtherAddress
            }
            ?? usable.first { $0.otherPort != nil } ?? usable.first
        guard let best else {
            stage = .done
            return
        }
        stage = .measuring
        primary = best.index
        targets = best.endpoints.map { MappingTarget(endpoint: $0, server: best.index) }
        for other in usable where other.index != best.index && targets.count < 7 {
            guard !targets.contains(where: { $0.endpoint == other.endpoint }) else { continue }
            targets.append(MappingTarget(endpoint: other.endpoint, server: other.index))
        }
        let burstCount = extent == .quick ? 2 : 3
        for index in 0..<burstCount { timers.set(.burst(index), at: now + Self.burstInterval * index) }
        startFiltering(best, &sockets, at: now)
        guard extent != .quick else { return }
        if family == .v4 {
            path = PathLadder(through: best, address: address, &sockets, at: now)
            hairpin = HairpinTest(through: best, address: address, family, &sockets, at: now)
        }
    }

    private mutating func startFiltering(
        _ server: ProbeServer,
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        if server.otherAddressAndPort != nil { observations.offered.insert(.address) }
        if server.otherPort != nil { observations.offered.insert(.port) }
        observations.obstacle = observations.offered.isEmpty ? .oneAddress : .noAnswer
        for test in FilteringTest.allCases where observations.offered.contains(test) {
            for _ in 0..<Self.filterWidth {
                let socket = sockets.openUDP(address)
                filters.append(Filter(socket: socket, sample: FilteringSample(test: test)))
                sockets.ask(.opening, family, on: socket, to: server.endpoint, plan: .answered, now: now)
                askForChange(test, .filtering(test), of: server, on: socket, &sockets, at: now)
            }
        }
    }

    private func askForChange(
        _ test: FilteringTest,
        _ purpose: ProbePurpose,
        of server: ProbeServer,
        on socket: SocketID,
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        guard let source = test == .address ? server.otherAddressAndPort : server.otherPort else {
            return
        }
        let changesPort = source.port != server.endpoint.port
        sockets.ask(
            purpose,
            family,
            on: socket,
            to: server.endpoint,
            answerFrom: source,
            attributes: [.changeRequest(address: test == .address, port: changesPort)],
            plan: .filtered,
            now: now
        )
    }

    private mutating func openBurst(_ sockets: inout ProbeSockets) {
        bursts.append(Burst(sockets: (0..<Self.burstWidth).map { _ in sockets.openUDP(address) }))
    }

    /// Sends bursts all of whose sockets are open or lost: every socket to the first target, then every one to the next.
    private mutating func sendBursts(_ sockets: inout ProbeSockets, at now: Instant) {
        for index in bursts.indices where !bursts[index].isSent {
            let open = bursts[index].sockets.filter { sockets.local(of: $0) != nil }
            let isWaiting = bursts[index].sockets.contains {
                sockets.isUDP($0) && sockets.local(of: $0) == nil
            }
            guard !isWaiting else { continue }
            bursts[index].isSent = true
            for (number, target) in targets.enumerated() {
                for socket in open {
                    let purpose = ProbePurpose.mapping(target: number)
                    sockets.ask(purpose, family, on: socket, to: target.endpoint, plan: .answered, now: now)
                }
            }
        }
    }

    private mutating func sampled(
        _ answer: ProbeAnswer,
        _ target: MappingTarget,
        _ servers: inout [ProbeServer],
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        guard answer.isFromSource,
            let external = servers[target.server].note(answer.message, to: answer.local)
        else {
            return
        }
        note(answer, target, external)
        startControl(answer.request.socket, servers, &sockets, at: now)
    }

    /// Once a socket was seen as the same by the whole server, nothing keeps the server's other answers away from it.
    private mutating func startControl(
        _ socket: SocketID,
        _ servers: [ProbeServer],
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        guard observations.control.isEmpty, let primary else { return }
        let own = observations.samples.filter {
            $0.socket == socket.number && $0.target.server == primary
        }
        guard own.count == servers[primary].endpoints.count, Set(own.map(\.external)).count == 1 else {
            return
        }
        for test in observations.offered {
            observations.control[test] = false
            askForChange(test, .control(test), of: servers[primary], on: socket, &sockets, at: now)
        }
    }

    private mutating func opened(_ answer: ProbeAnswer, _ servers: inout [ProbeServer]) {
        guard answer.isFromSource,
            let index = filters.firstIndex(where: { $0.socket == answer.request.socket }),
            let external = believed(answer, &servers), let primary
        else { return }
        filters[index].sample.isOpen = true
        note(answer, MappingTarget(endpoint: answer.request.destination, server: primary), external)
    }

    private mutating func returned(
        _ answer: ProbeAnswer,
        _ test: FilteringTest,
        _ servers: inout [ProbeServer]
    ) {
        guard let primary else { return }
        // An error, or an answer from the usual place: this server does not know CHANGE-REQUEST.
        guard answer.isFromSource, answer.message.kind == .success else {
            if answer.from == servers[primary].endpoint {
                observations.obstacle = .noChangeRequest
                observations.offered.removeAll()
            }
            return
        }
        if case .control = answer.request.purpose {
            observations.control[test] = true
        } else if let index = filters.firstIndex(where: { $0.socket == answer.request.socket }) {
            filters[index].sample.hasPassed = true
            filters[index].sample.isOpen = true
        }
    }

    // MARK: What else happens

    mutating func opened(_ id: SocketID, _ sockets: inout ProbeSockets, at now: Instant) {
        sendBursts(&sockets, at: now)
    }

    /// Takes a datagram that answers nothing.
    mutating func received(
        _ id: SocketID,
        _ bytes: [UInt8],
        from: IPEndpoint,
        _ sockets: inout ProbeSockets
    ) {
        hairpin?.received(id, bytes, from: from, &sockets)
    }

    mutating func refused(_ id: SocketID, _ refusal: SocketRefusal, _ sockets: inout ProbeSockets) {
        path?.refused(id, refusal, &sockets)
    }

    /// Does what is due, and goes on when a stage is over.
    mutating func advance(
        _ servers: inout [ProbeServer],
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        while let timer = timers.expire(at: now) {
            switch timer {
            case .gathering: measure(servers, &sockets, at: now)
            case .burst: openBurst(&sockets)
            }
        }
        hairpin?.advance(&sockets, at: now)
        sendBursts(&sockets, at: now)
        let isPending =
            sockets.isPending { $0.family == family && isMine($0.purpose) } || timers.nextDeadline != nil
        switch stage {
        case .searching:
            let unanswered = sockets.isPending { $0.family == family && isSearch($0.purpose) }
            if !unanswered, base.map({ sockets.local(of: $0) != nil || !sockets.isUDP($0) }) ?? true {
                measure(servers, &sockets, at: now)
            }
        case .measuring:
            guard !isPending, bursts.allSatisfy(\.isSent), hairpin?.isDone ?? true else { return }
            finishMeasuring(servers, &sockets, at: now)
        case .rechecking:
            if !isPending { stage = .done }
        case .done: break
        }
    }

    private func isMine(_ purpose: ProbePurpose) -> Bool {
        switch purpose {
        case .interface, .lifetime, .revival, .aging: false
        default: true
        }
    }

    private func isSearch(_ purpose: ProbePurpose) -> Bool {
        if case .server = purpose { return true }
        return false
    }

    private mutating func finishMeasuring(
        _ servers: [ProbeServer],
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        observations.filtering = filters.map(\.sample)
        if let hairpin { observations.hairpin = hairpin.finding }
        stage = .rechecking
        guard let base, sockets.isUDP(base) else {
            stage = .done
            return
        }
        // Every server, because one that makes addresses up would look like a change.
        for sample in observations.samples where sample.socket == base.number {
            let index = sample.target.server
            guard servers[index].endpoint == sample.target.endpoint else { continue }
            sockets.ask(.recheck(index), family, on: base, to: sample.target.endpoint, plan: .answered, now: now)
        }
    }

    private mutating func rechecked(_ answer: ProbeAnswer, _ index: Int, _ servers: inout [ProbeServer]) {
        let first = observations.samples.first {
            $0.socket == answer.request.socket.number && $0.target.endpoint == answer.request.destination
        }
        guard answer.isFromSource, let first, let external = servers[index].note(answer.message, to: answer.local)
        else { return }
        rechecks[index] = first.external != external
    }

    /// Takes what there is when the time is up.
    mutating func stop(_ sockets: inout ProbeSockets) {
        if stage == .measuring {
            observations.filtering = filters.map { filter in
                var sample = filter.sample
                // A test that is still running has not failed.
                if !sample.hasPassed, sockets.isPending(where: { $0.socket == filter.socket }) {
                    sample.isOpen = false
                }
                return sample
            }
            if let hairpin { observations.hairpin = hairpin.finding }
        }
        stage = .done
    }
}
