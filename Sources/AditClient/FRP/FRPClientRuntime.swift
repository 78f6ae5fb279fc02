// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditTransport
package import AditWire
package import Logging
import NIOConcurrencyHelpers
package import NIOCore

/// frp's client: registers proxies, leads visitors to their services, and logs in the words that scripts wait for.
package final class FRPClientRuntime: DeviceSessionDelegate {
    private struct State {
        var run = ""
        var hasLoggedIn = false
        var treatments: [String: VisitorTreatment] = [:]
        var datagrams: DatagramServices?
    }

    private let setup: FRPClientSetup
    private let proxies: [String: FRPClientProxy]
    private let exitsOnFailure: Bool
    private let log: Logger
    private let dialer: TargetDialer
    private let forwarder = SpliceForwarder()
    private let state = NIOLockedValueBox(State())
    private let ended: @Sendable () -> Void

    /// Makes a client; `ended` is called when the first login failed and the configuration says to give up then.
    package init(
        _ setup: FRPClientSetup,
        exitsOnFailure: Bool,
        log: Logger,
        ended: @escaping @Sendable () -> Void
    ) {
        self.setup = setup
        self.exitsOnFailure = exitsOnFailure
        self.log = log
        self.ended = ended
        proxies = Dictionary(setup.proxies.map { ($0.request.proxyName, $0) }) { first, _ in first }
        dialer = TargetDialer()
    }

    /// Begins to connect through a session that was made with this client as its delegate.
    package func start(_ link: any DeviceLink) {
        for proxy in setup.proxies { link.register(proxy.request) }
        link.start()
    }

    package func sessionEvent(_ event: DeviceSessionEvent) {
        switch event {
        case .connecting: log.info("try to connect to server...")
        case .connected(let connection):
            state.withLockedValue { state in
                state.run = connection.runID
                state.hasLoggedIn = true
            }
            tell(.info, "login to server success, get run id [\(connection.runID)]")
            let names = setup.proxies.map(\.name).joined(separator: " ")
            if !names.isEmpty { tell(.info, "proxy added: [\(names)]") }
        case .disconnected(let error, let retryAfter): disconnected(error, retryAfter)
        case .refused(let error):
            tell(.error, "login to the server failed: \(error)")
            ended()
        case .registered(let response): tell(.info, "start proxy success", proxy: response.proxyName)
        case .registrationFailed(let name, let error, _):
            let words = error.why.first?.english ?? error.what.english
            tell(.warning, "start error: \(words)", proxy: name)
        case .tunnelClosed(let name, let error): tell(.warning, "closed by the server: \(error)", proxy: name)
        case .heartbeatSent: tell(.debug, "send heartbeat to server")
        case .draining, .requestReport, .roundTrip, .visitorsRefused, .turnOffered, .peerSignal, .peerUnavailable,
            .serviceHolder:
            break
        case .stopped:
            state.withLockedValue { $0.datagrams }?.closeAll()
            tell(.info, "closed")
        }
    }

    private func disconnected(_ error: AditError, _ retryAfter: Duration) {
        let isFirst = state.withLockedValue { !$0.hasLoggedIn }
        guard isFirst, exitsOnFailure else {
            tell(.warning, "connect to server error: \(error)")
            return
        }
        tell(
            .error,
            "login to the server failed: \(error). "
                + "With loginFailExit enabled, no additional retries will be attempted"
        )
        ended()
    }

    package func workConnection(_ start: FRPStartWorkConnection, channel: any Channel) {
        guard let proxy = proxies[start.proxyName], start.error.isEmpty else { return channel.close(promise: nil) }
        tell(.debug, "join connections", proxy: start.proxyName)
        // frp's own file may name any target; what Adit refuses by default is refused here too.
        let treatment = treatment(of: proxy, on: channel.eventLoop)
        if proxy.request.proxyType == "udp" { return serveDatagrams(channel, proxy, treatment) }
        VisitorRelay.serve(
            channel,
            to: proxy.target,
            allowed: [],
            dialer: dialer,
            forwarder: forwarder,
            splicing: { [self] in tell(.debug, "a visitor is spliced", proxy: start.proxyName) },
            treatment: treatment,
            preface: treatment?.preface(start)
        ) {}.whenSuccess { [self] outcome in
            switch outcome {
            case .failed(let failure):
                tell(.error, "connect to local service [\(proxy.target)] error: \(failure)", proxy: start.proxyName)
            case .ended: tell(.debug, "join connections closed", proxy: start.proxyName)
            }
        }
    }

    /// Leads the datagrams of a udp proxy to its service; a newer work connection takes the place of an older one.
    private func serveDatagrams(_ channel: any Channel, _ proxy: FRPClientProxy, _ treatment: VisitorTreatment?) {
        let name = proxy.request.proxyName
        // As in frp, a session ends when nothing passed for 30 seconds.
        var terms = DatagramService.Terms(target: proxy.target, idleTimeout: .seconds(30))
        terms.treatment = treatment
        let framing = DatagramLink.Framing.frp(setup.session.wireVersion, isServer: false)
        let services = state.withLockedValue { state in
            if let known = state.datagrams { return known }
            let made = DatagramServices(on: channel.eventLoop)
            state.datagrams = made
            return made
        }
        services.use(channel, framing: framing, for: name) { [self, terms] loop in
            DatagramService(terms, dialer: dialer, tally: DatagramTally(), on: loop) { [weak self] news in
                switch news {
                case .came(let visitor): self?.tell(.debug, "udp session of [\(visitor)] begins", proxy: name)
                case .left(let visit): self?.tell(.debug, "udp session of [\(visit.visitor)] ends", proxy: name)
                case .refused: self?.tell(.warning, "local service [\(proxy.target)] refuses udp", proxy: name)
                case .unreachable(let failure):
                    self?.tell(.error, "local service [\(proxy.target)] error: \(failure)", proxy: name)
                case .answered: break
                }
            }
        }
    }

    /// The treatment of a proxy's visitors; nil when there is nothing to do for them.
    private func treatment(of proxy: FRPClientProxy, on loop: any EventLoop) -> VisitorTreatment? {
        guard proxy.bandwidth != nil || proxy.proxyProtocol != nil else { return nil }
        return state.withLockedValue { state in
            let name = proxy.request.proxyName
            if let known = state.treatments[name] { return known }
            let treatment = VisitorTreatment(
                bandwidth: proxy.bandwidth,
                isShared: true,
                proxyProtocol: proxy.proxyProtocol,
                on: loop
            )
            state.treatments[name] = treatment
            return treatment
        }
    }

    private func tell(_ level: Logger.Level, _ message: String, proxy: String? = nil) {
        var fields: Logger.Metadata = [:]
        let run = state.withLockedValue { $0.run }
        if !run.isEmpty { fields["run"] = "\(run)" }
        if let proxy { fields["proxy"] = "\(proxies[proxy]?.name ?? proxy)" }
        log.log(level: level, "\(message)", metadata: fields)
    }
}
