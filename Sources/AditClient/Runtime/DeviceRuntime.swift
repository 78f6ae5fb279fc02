// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditCrypto
package import AditTransport
package import AditWire
import Glibc
import NIOConcurrencyHelpers
package import NIOCore
import NIOPosix

/// Keeps tunnels open: tells the server which are wanted, leads every visitor to its target, and watches the targets.
///
/// It does not decide when to connect again; that is the session's job, and it never gives up. What happens is told
/// through one closure in order, as `DeviceEvent`s.
package final class DeviceRuntime: DeviceSessionDelegate {
    private let server: HostPort
    let loop: any EventLoop
    let dialer: TargetDialer
    let datagrams: DatagramServices
    private let diagnose: @Sendable () -> TargetDiagnosis
    let tell: @Sendable (DeviceEvent) -> Void
    let state: NIOLockedValueBox<RuntimeState>
    private let link = NIOLockedValueBox<(any DeviceLink)?>(nil)
    private let pathService = NIOLockedValueBox<PathService?>(nil)
    private let connections = NIOLockedValueBox<NIOLoopBound<PeerConnections>?>(nil)
    private let privateServices = NIOLockedValueBox<DeviceServices?>(nil)
    private let probeInterval: TimeAmount

    /// Makes a runtime for a server; `tell` hears every event, `diagnose` gives the facts of this machine.
    package init(
        server: HostPort,
        orders: [TunnelOrder],
        loop: any EventLoop,
        dialer: TargetDialer = TargetDialer(),
        probeInterval: TimeAmount = .seconds(2),
        diagnose: @escaping @Sendable () -> TargetDiagnosis = { .ofThisMachine() },
        tell: @escaping @Sendable (DeviceEvent) -> Void
    ) {
        self.server = server
        self.loop = loop
        self.dialer = dialer
        datagrams = DatagramServices(on: loop)
        self.probeInterval = probeInterval
        self.diagnose = diagnose
        self.tell = tell
        let status = DeviceStatus(pid: getpid(), server: server.description, startedAt: Self.unixSeconds())
        state = NIOLockedValueBox(RuntimeState(status: status, orders: orders))
    }

    /// Begins to look at the targets and to connect through a session that was made with this runtime as its delegate.
    package func start(_ link: any DeviceLink) {
        self.link.withLockedValue { $0 = link }
        let orders = state.withLockedValue { state in state.names.compactMap { state.tunnels[$0]?.order } }
        for order in orders { open(order) }
        link.start()
    }

    /// Takes part in finding paths between devices; before `start`, with a session that takes signals.
    package func usePaths(_ parts: PathService.Parts) {
        let link = link
        let session = PathSession(
            signal: { signal in link.withLockedValue { $0 }?.signal(signal) },
            announce: { services in link.withLockedValue { $0 }?.announce(services) },
            openStream: { message, initialize in link.withLockedValue { $0 }?.openPeerStream(message, initialize) },
            check: { addresses in link.withLockedValue { $0 }?.check(addresses) }
        )
        let service = PathService(parts, on: loop, session: session) { [weak self] news in
            self?.pathNews(news)
        }
        pathService.withLockedValue { $0 = service }
        let key = parts.key
        loop.execute { [self] in
            let made = PeerConnections(key, service) { [weak self] stream, peer in
                guard let services = self?.services else { throw QUICStreamError.connectionLost }
                try services.take(stream, from: peer)
            }
            service.carry(for: made)
            connections.withLockedValue { $0 = NIOLoopBound(made, eventLoop: loop) }
        }
    }

    /// The paths to other devices; nil when this process takes no part in finding any.
    package var paths: PathService? { pathService.withLockedValue { $0 } }

    /// Offers private services to other devices, and visits theirs; right after `usePaths` and before `start`.
    package func useServices(_ services: DeviceServices) {
        privateServices.withLockedValue { $0 = services }
        loop.execute { [self] in
            if let connections = connections.withLockedValue({ $0 }) { services.use(connections.value) }
        }
    }

    /// The private services; nil when this process takes no part in finding paths.
    package var services: DeviceServices? { privateServices.withLockedValue { $0 } }

    private func pathNews(_ news: PathNews) {
        guard !state.withLockedValue({ $0.isEnded }) else { return }
        state.withLockedValue { $0.took(news, at: Self.unixSeconds()) }
        tell(.path(news))
    }

    /// Opens, changes and closes tunnels until just these are left; those that do not change are not touched.
    package func replaceTunnels(with orders: [TunnelOrder]) {
        let change = state.withLockedValue { $0.replace(with: orders) }
        let link = link.withLockedValue { $0 }
        for name in change.removed {
            link?.unregister(name: name)
            datagrams.close(name)
        }
        for order in change.added {
            datagrams.close(order.name)
            link?.unregister(name: order.name)
            open(order)
        }
    }

    /// Closes the tunnels and the session; visits end with it.
    package func stop() async {
        state.withLockedValue { $0.isEnded = true }
        // The goodbye to other devices goes through the session.
        try? await services?.stop().get()
        let connections = connections.withLockedValue { $0 }
        try? await loop.submit { connections?.value.stop() }.get()
        try? await paths?.stop().get()
        let link = link.withLockedValue { $0 }
        try? await link?.stop().get()
        datagrams.closeAll()
    }

    /// What is known now, for the status socket.
    package var status: DeviceStatus {
        var status = state.withLockedValue { $0.snapshot }
        if let services = services?.status { (status.services, status.visits) = (services.services, services.visits) }
        return status
    }

    private func open(_ order: TunnelOrder) {
        if let error = TargetRules.loop(order.target, server: server) ?? TargetRules.refusal(of: order) {
            state.withLockedValue { $0.failed(order.name, error, state: .refused) }
            return refused(order.name, error, willRetry: false)
        }
        probe(order.name)
        link.withLockedValue { $0 }?.register(order.request(rewrite: nil))
    }

    // MARK: The session

    package func sessionEvent(_ event: DeviceSessionEvent) {
        guard !state.withLockedValue({ $0.isEnded }) else { return }
        switch event {
        case .connecting, .heartbeatSent: break
        case .connected(let connection):
            connected(connection)
            services?.use(server: connection.fingerprint?.description ?? "")
            paths?.connected(connection)
        case .roundTrip(let trip):
            state.withLockedValue { state in
                state.status.roundTripMs = trip.wholeNanoseconds / 1_000_000
                state.facts?.roundTrip = trip
            }
        case .disconnected(let error, let retryAfter):
            state.withLockedValue { $0.disconnected(error) }
            paths?.disconnected()
            tell(.waiting(error, retryIn: retryAfter))
        case .refused(let error):
            state.withLockedValue { state in
                state.disconnected(error)
                state.isEnded = true
            }
            tell(.ended(error))
        case .registered(let response): registered(response)
        case .registrationFailed(let name, let error, let willRetry):
            state.withLockedValue { $0.failed(name, error, state: .refused) }
            refused(name, error, willRetry: willRetry)
        case .tunnelClosed(let name, let error):
            state.withLockedValue { $0.failed(name, error, state: .closed) }
            datagrams.close(name)
            tell(.closed(tunnel: name, error))
            endIfNothingIsLeft(error)
        case .peerSignal(let signal): paths?.received(signal)
        case .peerUnavailable(let answer): paths?.unavailable(answer)
        case .requestReport(let report): reported(report)
        case .visitorsRefused(let refused): turnedAway(refused)
        case .turnOffered(let offer):
            state.withLockedValue { $0.facts?.turn = offer }
            paths?.renewed(offer)
            tell(.turnOffered(offer))
        case .serviceHolder: break
        case .draining(let delay): tell(.draining(reconnectAfter: delay))
        case .stopped: break
        }
    }

    private func connected(_ connection: DeviceConnection) {
        var facts = SessionFacts(server: server, fingerprint: connection.fingerprint?.description)
        facts.serverName = connection.adit?.serverName ?? ""
        facts.deviceName = connection.adit?.deviceName ?? ""
        facts.domain = connection.adit?.domain ?? ""
        facts.stun = connection.adit?.stun
        facts.turn = connection.adit?.turn
        let told = state.withLockedValue { state in
            facts.roundTrip = state.facts?.roundTrip
            state.connected(facts, at: Self.unixSeconds())
            return facts
        }
        tell(.connected(told))
    }

    private func registered(_ response: FRPNewProxyResponse) {
        let name = response.proxyName
        let addresses = response.adit?.addresses ?? []
        let shown = addresses.isEmpty ? [response.remoteAddress] : addresses
        let expiry = response.adit?.expiresAt ?? 0
        let tunnel = OpenTunnel(name: name, addresses: shown, expiresAt: expiry == 0 ? nil : expiry)
        let isKnown = state.withLockedValue { state in
            state.opened(tunnel)
            return state.tunnels[name] != nil
        }
        guard isKnown else { return }
        tell(.opened(tunnel))
        checkHost(name)
    }

    private func refused(_ name: String, _ error: AditError, willRetry: Bool) {
        tell(.refused(tunnel: name, error, retryIn: willRetry ? .seconds(30) : nil))
        if !willRetry { endIfNothingIsLeft(error) }
    }

    /// A process none of whose tunnels can ever open again has nothing to wait for.
    private func endIfNothingIsLeft(_ error: AditError) {
        guard services?.status.services.isEmpty ?? true else { return }
        let isOver = state.withLockedValue { state in
            let isOver = state.tunnels.values.allSatisfy { $0.status.state == .refused || $0.status.state == .closed }
            if isOver { state.isEnded = true }
            return isOver
        }
        if isOver { tell(.ended(error)) }
    }

    private func reported(_ report: AditRequestReport) {
        let omitted = max(0, min(report.omitted, 1_000_000_000))
        let isKnown = state.withLockedValue { state in
            state.tunnels[report.proxyName]?.status.requests += 1 + UInt64(omitted)
            return state.tunnels[report.proxyName] != nil
        }
        guard isKnown else { return }
        tell(
            .request(
                tunnel: report.proxyName,
                RequestRow(
                    method: report.method,
                    path: report.path,
                    status: report.status,
                    duration: .milliseconds(max(0, report.durationMs)),
                    visitor: report.visitor,
                    isUpgraded: report.upgraded,
                    omitted: omitted
                )
            )
        )
    }

    private func turnedAway(_ refused: AditVisitorsRefused) {
        let count = max(0, min(refused.count, 1_000_000_000))
        let isKnown = state.withLockedValue { state in
            state.tunnels[refused.proxyName]?.status.turnedAway &+= UInt64(count)
            return state.tunnels[refused.proxyName] != nil
        }
        guard isKnown, count > 0 else { return }
        let words = TurnedAway(
            count: count,
            period: .seconds(max(1, min(refused.seconds, 86_400))),
            reason: String(refused.reason.prefix(64)),
            limit: String(refused.limit.prefix(32))
        )
        tell(.turnedAway(tunnel: refused.proxyName, words))
    }

    package func peerStream(_ message: AditPeerStream, channel: any Channel) {
        guard let paths else { return channel.close(promise: nil) }
        paths.stream(message, channel: channel)
    }

    // MARK: Visitors

    package func workConnection(_ start: FRPStartWorkConnection, channel: any Channel) {
        let name = start.proxyName
        let found = state.withLockedValue { state -> (TunnelOrder, Int, VisitorTreatment?)? in
            guard !state.isEnded, let tunnel = state.tunnels[name] else { return nil }
            if !Self.carriesDatagrams(start, tunnel.order) { state.visitBegan(name) }
            return (tunnel.order, tunnel.generation, state.treatment(name, on: loop))
        }
        guard let (order, generation, treatment) = found else { return channel.close(promise: nil) }
        if Self.carriesDatagrams(start, order) {
            return serveDatagrams(channel, order, generation: generation, treatment: treatment)
        }
        let visitor = Self.visitor(start)
        VisitorRelay.serve(
            channel,
            to: order.target,
            allowed: order.targetAllow,
            dialer: dialer,
            treatment: treatment,
            preface: treatment?.preface(start)
        ) { [self] in
            if order.kind != .http { tell(.visitorCame(tunnel: name, visitor: visitor)) }
        }
        .whenSuccess { [self] outcome in
            switch outcome {
            case .failed(let failure):
                state.withLockedValue { $0.visitEnded(name, generation: generation, nil) }
                judge(.failed(failure), of: name, generation: generation)
            case .ended(let statistics):
                state.withLockedValue { $0.visitEnded(name, generation: generation, statistics) }
                if order.kind != .http { tell(.visitorLeft(tunnel: name, visitor: visitor, statistics)) }
            }
        }
    }

    private static func visitor(_ start: FRPStartWorkConnection) -> String {
        IPAddress(start.sourceAddress).map { $0.unmapped.description } ?? start.sourceAddress
    }

    // MARK: Targets

    /// Looks at a target, and again and again for as long as it does not answer.
    func probe(_ name: String) {
        let found = state.withLockedValue { state -> (TunnelOrder, Int)? in
            guard !state.isEnded, let tunnel = state.tunnels[name], !tunnel.isProbing else { return nil }
            state.tunnels[name]?.isProbing = true
            return (tunnel.order, tunnel.generation)
        }
        guard let (order, generation) = found else { return }
        look(at: order).whenSuccess { [self] in
            state.withLockedValue { state in
                if state.tunnels[name]?.generation == generation { state.tunnels[name]?.isProbing = false }
            }
            judge($0, of: name, generation: generation)
        }
    }

    /// One look at a target; whether a port of UDP is open can only be known on this machine.
    private func look(at order: TunnelOrder) -> EventLoopFuture<ProbeResult> {
        if order.kind == .udp { return lookForDatagrams(at: order.target) }
        var target = order.target
        // To an app of HTTP/2 alone, a request of HTTP/1.1 would be a fault.
        if order.speaksHTTP2 { target.scheme = .tcp }
        let found = TargetProbe(dialer: dialer).look(at: target, allowed: order.targetAllow, on: loop)
        guard order.kind == .game, order.target.isLoopback else { return found }
        // Many games have UDP alone.
        return found.flatMap { [self] result in
            guard case .failed(.refused) = result else { return loop.makeSucceededFuture(result) }
            return lookForDatagrams(at: order.target).map { $0 == .unproven ? .unproven : result }
        }
    }

    private func lookForDatagrams(at target: TunnelTarget) -> EventLoopFuture<ProbeResult> {
        guard target.isLoopback else { return loop.makeSucceededFuture(.unproven) }
        return NIOThreadPool.singleton.runIfActive(eventLoop: loop) { ListeningPorts.hasUDP(target.port) }
            .map { $0 == false ? .failed(.refused) : .unproven }
            .flatMapErrorThrowing { _ in .unproven }
    }

    func judge(_ result: ProbeResult, of name: String, generation: Int) {
        let found = state.withLockedValue { state -> (order: TunnelOrder, isNews: Bool)? in
            guard !state.isEnded, let tunnel = state.tunnels[name], tunnel.generation == generation else { return nil }
            state.tunnels[name]?.lastProbe = result
            return (tunnel.order, tunnel.lastProbe != result)
        }
        guard let (order, isNews) = found else { return }
        let none = TargetDiagnosis(listening: [], isInContainer: false)
        guard isNews, case .failed = result else {
            return conclude(
                isNews ? none.health(result, of: order.target, command: order.kind.rawValue) : nil,
                of: name
            )
        }
        if order.kind == .udp {
            return conclude(.fails(DatagramWords.nothingListens(order.target)), of: name)
        }
        // The facts of this machine are only asked for when they are needed: collecting them reads much of /proc.
        NIOThreadPool.singleton.runIfActive(eventLoop: loop) { [diagnose] in diagnose() }.whenSuccess { [self] facts in
            guard state.withLockedValue({ $0.tunnels[name]?.generation == generation }) else { return }
            conclude(facts.health(result, of: order.target, command: order.kind.rawValue), of: name)
        }
    }

    /// Takes note of a target's health, if that is news, and goes on looking for as long as it is bad.
    private func conclude(_ news: TargetHealth?, of name: String) {
        if let news, state.withLockedValue({ $0.noteHealth(name, news) }) { tell(.health(tunnel: name, news)) }
        if case .fails? = state.withLockedValue({ $0.tunnels[name]?.health }) {
            loop.scheduleTask(in: probeInterval) { [weak self] in self?.probe(name) }
        } else {
            checkHost(name)
        }
    }

    /// Asks a web app by its public name, once both are there, and sends its own name from then on when it objects.
    private func checkHost(_ name: String) {
        let found = state.withLockedValue { state -> (order: TunnelOrder, host: String, own: ProbeResult)? in
            guard !state.isEnded, let tunnel = state.tunnels[name], tunnel.order.hostHeader == .automatic,
                !tunnel.hasCheckedHost, tunnel.status.state == .open, let own = tunnel.lastProbe,
                case .answered = own, let host = tunnel.status.addresses.first.flatMap(Self.host)
            else { return nil }
            state.tunnels[name]?.hasCheckedHost = true
            return (tunnel.order, host, own)
        }
        guard let (order, host, own) = found else { return }
        let probe = TargetProbe(dialer: dialer)
        probe.look(at: order.target, host: host, allowed: order.targetAllow, on: loop).whenSuccess { [self] answer in
            guard let error = HostCheck.rejection(publicName: answer, ownName: own, target: order.target) else {
                return
            }
            let rewrite = order.target.authority
            let isCurrent = state.withLockedValue { state in
                guard !state.isEnded, state.tunnels[name]?.order == order else { return false }
                state.tunnels[name]?.rewrite = rewrite
                return true
            }
            guard isCurrent, let link = link.withLockedValue({ $0 }) else { return }
            tell(.hostRewritten(tunnel: name, error))
            link.unregister(name: name)
            link.register(order.request(rewrite: rewrite))
        }
    }

    /// The host and port in a web address.
    private static func host(_ address: String) -> String? {
        guard let scheme = address.firstRange(of: "://") else { return nil }
        return String(address[scheme.upperBound...].prefix { $0 != "/" })
    }

    private static func unixSeconds() -> Int64 { Int64(time(nil)) }
}
