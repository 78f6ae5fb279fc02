// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

/// Finds out what the NATs and firewalls in front of this machine do: RFC 5780, and what it leaves out.
///
/// It begins with the first `.timer`, and ends with the event `finished`, after which it has no socket and no deadline. All
/// but lifetimes takes less than five seconds; when the address changes meanwhile, everything is measured once more, and
/// after a second change the report says that it is uncertain. What it keeps is bounded whatever arrives.
package struct NATDiscovery: SocketMachine {
    /// How long everything but lifetimes may take.
    package static let timeLimit = Duration.milliseconds(4800)
    private static let serverLimit = 8

    private enum Stage: Hashable, Sendable {
        case created
        case measuring
        case lifetime
        case finished
    }

    private var configuration: Configuration
    private var sockets: ProbeSockets
    private var stage = Stage.created
    private var start = Instant.zero
    /// How often the address of this machine or of the NAT was seen to change.
    private var changeCount = 0
    private var servers: [ProbeServer] = []
    private var udp: UDPDiscovery?
    private var udpV6: UDPDiscovery?
    private var tcp: TCPDiscovery?
    private var web: WebDiscovery
    private var interfaces = InterfaceDiscovery()
    private var lifetime: LifetimeDiscovery?
    private var hasBegunMeasuring = false
    /// Servers found over TCP whose other endpoints were tried over UDP.
    private var retried: Set<Int> = []
    private var report = NATReport()

    /// Makes a discovery.
    ///
    /// - Parameter random: gives transaction ids, which others must not be able to foresee.
    package init(_ configuration: Configuration, random: any RandomNumberGenerator & Sendable) {
        self.configuration = configuration
        sockets = ProbeSockets(random: random)
        web = WebDiscovery(configuration)
    }

    /// When `.timer` is to be handed in; the origin of time before the beginning.
    package var nextDeadline: Instant? {
        switch stage {
        case .created: return .zero
        case .finished: return nil
        case .measuring, .lifetime: break
        }
        var deadlines = [sockets.nextDeadline, lifetime?.nextDeadline]
        if stage == .measuring {
            deadlines += [
                start + Self.timeLimit, udp?.nextDeadline, udpV6?.nextDeadline, tcp?.nextDeadline,
            ]
        }
        return deadlines.compactMap { $0 }.min()
    }

    package mutating func nextOutput() -> SocketOutput<Event>? { sockets.nextOutput() }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        guard stage != .finished else { return }
        if stage == .created { begin(at: now) }
        switch input {
        case .opened(let id, let local): opened(id, local, at: now)
        case .received(let id, let bytes, let from): received(id, bytes, from, at: now)
        case .refused(let id, let refusal): udp?.refused(id, refusal, &sockets)
        case .connected(let id, let local, _):
            if web.owns(id) {
                web.connected(id, &sockets)
            } else {
                tcp?.connected(id, local: local, &sockets)
            }
        case .accepted(let id, let listener, _, let remote):
            if let tcp, tcp.owns(listener) {
                self.tcp?.accepted(id, by: listener, remote: remote, &sockets)
            } else {
                sockets.put(.close(id, isAbrupt: true))
            }
        case .bytes(let id, let bytes): tcp?.bytes(id, bytes, &servers, &sockets, at: now)
        case .closed(let id, let end):
            sockets.lost(id)
            web.closed(id)
            tcp?.closed(id, end, &sockets)
        case .response(let id, let response): web.answered(id, response)
        case .networkChanged(let network): changed(to: network, at: now)
        case .receivedBatch, .timer: break
        }
        advance(at: now)
    }

    // MARK: Beginning

    private mutating func begin(at now: Instant) {
        stage = .measuring
        start = now
        hasBegunMeasuring = false
        retried = []
        servers = configuration.servers.prefix(Self.serverLimit).enumerated().map {
            ProbeServer(index: $0, $1)
        }
        sockets.tell(.progress(changeCount == 0 ? .servers : .restarted))
        let network = configuration.network
        if let address = network.address {
            udp = UDPDiscovery(.v4, address: address, extent: configuration.extent)
            udp?.start(servers, &sockets, at: now)
            tcp = TCPDiscovery(address: address, extent: configuration.extent)
            tcp?.start(servers, &sockets)
        }
        if let address = network.addressV6 {
            udpV6 = UDPDiscovery(.v6, address: address, extent: configuration.extent)
            udpV6?.start(servers, &sockets, at: now)
        }
        web = WebDiscovery(configuration)
        web.start(configuration, &sockets)
        interfaces = InterfaceDiscovery()
        interfaces.start(network, servers, isQuick: configuration.extent == .quick, &sockets, at: now)
    }

    // MARK: Inputs

    private mutating func opened(_ id: SocketID, _ local: IPEndpoint, at now: Instant) {
        if sockets.isUDP(id) {
            sockets.opened(id, local: local, at: now)
            udp?.opened(id, &sockets, at: now)
            udpV6?.opened(id, &sockets, at: now)
        } else {
            tcp?.opened(id, local: local, &sockets)
        }
    }

    private mutating func received(
        _ id: SocketID,
        _ bytes: [UInt8],
        _ from: IPEndpoint,
        at now: Instant
    ) {
        let from = IPEndpoint(from.address.unmapped, from.port)
        guard let answer = sockets.receive(id, bytes, from: from, at: now) else {
            udp?.received(id, bytes, from: from, &sockets)
            return
        }
        switch answer.request.purpose {
        case .interface(let number): interfaces.take(answer, number)
        case .lifetime, .revival, .aging: lifetime?.take(answer, &sockets, at: now)
        default:
            switch answer.request.family {
            case .v4: udp?.take(answer, &servers, &sockets, at: now)
            case .v6: udpV6?.take(answer, &servers, &sockets, at: now)
            }
            if case .server(let index) = answer.request.purpose, servers[index].isUsable {
                tcp?.found(servers[index], at: now)
            }
        }
    }

    private mutating func changed(to network: LocalNetwork, at now: Instant) {
        let before = configuration.network
        configuration.network = network
        guard
            before.address != network.address || before.addressV6 != network.addressV6
                || before.gateway != network.gateway || before.gatewayV6 != network.gatewayV6
        else { return }
        switch stage {
        case .measuring: restart(at: now)
        case .lifetime:
            report.udp.lifetime = .unknown(.addressChanged)
            report.didChange = true
            finish()
        case .created, .finished: break
        }
    }

    /// Begins again after the first change; after a second one nothing would be certain anyway.
    private mutating func restart(at now: Instant) {
        changeCount += 1
        guard changeCount == 1 else { return }
        closeEverything()
        begin(at: now)
    }

    private mutating func closeEverything() {
        tcp?.finish(&sockets)
        web.stop(&sockets)
        sockets.closeAll()
        udp = nil
        udpV6 = nil
        tcp = nil
    }

    // MARK: Going on

    private mutating func advance(at now: Instant) {
        for request in sockets.expire(at: now) { lifetime?.unanswered(request) }
        switch stage {
        case .measuring:
            udp?.advance(&servers, &sockets, at: now)
            udpV6?.advance(&servers, &sockets, at: now)
            tcp?.advance(servers, &sockets, at: now)
            retryOverUDP(at: now)
            if !hasBegunMeasuring, udp?.stage == .measuring || udpV6?.stage == .measuring {
                hasBegunMeasuring = true
                sockets.tell(.progress(.behavior))
            }
            guard isComplete || start + Self.timeLimit <= now else { return }
            conclude(at: now)
        case .lifetime:
            lifetime?.advance(&sockets, at: now)
            guard let lifetime, lifetime.isDone else { return }
            report.udp.lifetime = lifetime.finding
            finish()
        case .created, .finished: break
        }
    }

    /// A server that answers over TCP alone is tried at its other endpoints over UDP, lest the first is at fault.
    private mutating func retryOverUDP(at now: Instant) {
        for server in servers where server.report.answersTCP && !server.report.answersUDP {
            guard retried.insert(server.index).inserted else { continue }
            udp?.retry(server, &sockets, at: now)
        }
    }

    private var isComplete: Bool {
        guard udp?.stage ?? .done == .done, udpV6?.stage ?? .done == .done, tcp?.isDone ?? true else {
            return false
        }
        let isLooking = sockets.isPending { request in
            if case .interface = request.purpose { return true }
            return false
        }
        // Once something answers, the web has to be waited for only to find a sign-in page.
        return !isLooking && web.isDone
    }

    private mutating func conclude(at now: Instant) {
        if udp?.hasChanged ?? false || udpV6?.hasChanged ?? false {
            if changeCount == 0 { return restart(at: now) }
            changeCount += 1
        }
        udp?.stop(&sockets)
        udpV6?.stop(&sockets)
        tcp?.finish(&sockets)
        let inference = ReportInference(
            configuration: configuration,
            servers: servers,
            udp: udp,
            udpV6: udpV6,
            tcp: tcp,
            web: web,
            interfaces: interfaces
        )
        report = inference.report
        report.duration = now - start
        report.didChange = changeCount > 0
        if changeCount > 1 { report = report.doubted(.addressChanged) }
        closeEverything()
        startLifetime(at: now)
    }

    private mutating func startLifetime(at now: Instant) {
        let server = servers.first {
            $0.isUsable && $0.report.answersUDP && AddressFamily($0.endpoint.address) == .v4
        }
        if configuration.extent == .withLifetime, report.udp.kind.value != .open, let server,
            let address = configuration.network.address
        {
            lifetime = LifetimeDiscovery(
                through: server,
                address: address,
                waits: configuration.lifetimeWaits,
                keepsPorts: report.udp.allocation.value == .preserving
                    || report.udp.isTranslated.value == false,
                &sockets,
                at: now
            )
        }
        guard lifetime != nil else {
            if configuration.extent == .withLifetime {
                report.udp.lifetime = .unknown(report.udp.kind.value == .open ? .notApplicable : .noAnswer)
            }
            return finish()
        }
        stage = .lifetime
        sockets.tell(.interim(report))
        sockets.tell(.progress(.lifetime))
    }

    private mutating func finish() {
        stage = .finished
        sockets.closeAll()
        sockets.tell(.finished(report))
    }
}
