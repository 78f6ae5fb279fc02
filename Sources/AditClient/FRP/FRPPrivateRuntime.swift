// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditCrypto
package import AditTransport
import AditTraversal
package import AditWire
package import Logging
import NIOConcurrencyHelpers
package import NIOCore

/// The private proxies and visitors of frp's client between Adit peers: stcp, sudp and xtcp, on paths between the two clients.
///
/// It has a session of its own beside frp's, as a guest. The server leads visitors to proxies by name; that the right two have met
/// is shown by the secret, which both prove on the connection between them.
package final class FRPPrivateRuntime: DeviceSessionDelegate {
    /// What lives on the event loop.
    private struct Parts {
        var peers: GuestPeers
        var connections: PeerConnections
        var desk: ServiceDesk
        var visitors: FRPVisitors
        /// How packets go to each client, as it was told last.
        var ways: [PathPeerID: String] = [:]
    }

    private let setup: FRPPrivateSetup
    private let loop: any EventLoop
    private let log: Logger
    private let names: [String: String]
    private let parts: NIOLoopBoundBox<Parts?>
    private let link = NIOLockedValueBox<(any DeviceLink)?>(nil)
    private let paths: PathService
    private let refused: @Sendable (AditError) -> Void

    /// Makes the private part of a client; `refused` is called when the server will not have it at all.
    package init(
        _ setup: FRPPrivateSetup,
        on loop: any EventLoop,
        options: PathOptions = PathOptions(),
        log: Logger,
        refused: @escaping @Sendable (AditError) -> Void
    ) {
        self.setup = setup
        self.loop = loop
        self.log = log
        self.refused = refused
        names = Dictionary(setup.services.map { ($0.order.name, $0.name) }) { first, _ in first }
        parts = NIOLoopBoundBox.makeEmptyBox(valueType: Parts.self, eventLoop: loop)
        let link = link
        var options = options
        options.staysReady = !setup.services.isEmpty
        let news = NIOLockedValueBox<@Sendable (PathNews) -> Void>({ _ in })
        paths = PathService(
            PathService.Parts(
                key: setup.key,
                home: nil,
                server: setup.session.server,
                trust: setup.session.serverTrust,
                options: options
            ),
            on: loop,
            session: PathSession(
                signal: { signal in link.withLockedValue { $0 }?.signal(signal) },
                announce: { services in link.withLockedValue { $0 }?.announce(services) },
                openStream: { message, initialize in link.withLockedValue { $0 }?.openPeerStream(message, initialize) },
                check: { addresses in link.withLockedValue { $0 }?.check(addresses) }
            )
        ) { event in news.withLockedValue { $0 }(event) }
        news.withLockedValue { $0 = { [weak self] event in self?.pathNews(event) } }
    }

    /// Begins to connect through a session that was made with this runtime as its delegate, on its event loop.
    package func start(_ link: any DeviceLink) {
        self.link.withLockedValue { $0 = link }
        loop.execute { [self] in
            parts.value = makeParts()
            for service in setup.services {
                // The secret stays here; the server gets the name alone.
                link.register(FRPNewProxy(proxyName: service.order.name, proxyType: service.type))
            }
            link.start()
        }
    }

    private func makeParts() -> Parts {
        let parts = parts
        let connections = PeerConnections(setup.key, paths) { stream, peer in
            guard let desk = parts.value?.desk else { throw QUICStreamError.connectionLost }
            try desk.take(stream, from: peer)
        }
        paths.carry(for: connections)
        let link = link
        let peers = GuestPeers(connections, on: loop) { query in link.withLockedValue { $0 }?.ask(query) }
        let desk = ServiceDesk(on: loop) { [weak self] news in self?.serviceNews(news) }
        desk.replace(with: setup.services.map(\.order))
        peers.announce(desk.names)
        let visitors = FRPVisitors(
            setup.visitors,
            peers: peers,
            ownKey: KeyFingerprint(of: setup.key.publicKey.bytes),
            on: loop
        ) { [weak self] name, event in
            self?.visitorNews(name, event)
        }
        return Parts(peers: peers, connections: connections, desk: desk, visitors: visitors)
    }

    /// Ends everything, and the session.
    package func stop() -> EventLoopFuture<Void> {
        loop.submit { [self] in
            guard let parts = parts.value else { return }
            parts.visitors.close()
            parts.peers.stop()
            parts.desk.close()
            parts.connections.stop()
        }
        .flatMap { [paths] in paths.stop() }
        .flatMap { [self] in link.withLockedValue { $0 }?.stop() ?? loop.makeSucceededVoidFuture() }
        .map { [self] in parts.value = nil }
    }

    // MARK: The session

    package func sessionEvent(_ event: DeviceSessionEvent) {
        switch event {
        case .connected(let connection):
            tell(.info, "private proxies and visitors are connected")
            paths.connected(connection)
            parts.value?.peers.connected(true)
            parts.value?.visitors.start()
        case .disconnected(let error, _):
            tell(.warning, "private proxies and visitors: connect to server error: \(error)")
            paths.disconnected()
            parts.value?.peers.connected(false)
        case .refused(let error):
            let told = FRPPrivateProblem.notServed(error)
            for service in setup.services { tell(.error, "start error: \(told)", proxy: service.name) }
            for visitor in setup.visitors { tell(.error, "start error: \(told)", proxy: visitor.name) }
            refused(told)
        case .registered(let response): tell(.info, "start proxy success", proxy: names[response.proxyName])
        case .registrationFailed(let name, let error, _): tell(.warning, "start error: \(error)", proxy: names[name])
        case .tunnelClosed(let name, let error): tell(.warning, "closed by the server: \(error)", proxy: names[name])
        case .turnOffered(let offer): paths.renewed(offer)
        case .peerSignal(let signal): paths.received(signal)
        case .peerUnavailable(let answer): paths.unavailable(answer)
        case .serviceHolder(let holder): parts.value?.peers.took(holder)
        case .connecting, .heartbeatSent, .draining, .requestReport, .roundTrip, .visitorsRefused, .stopped: break
        }
    }

    package func workConnection(_ start: FRPStartWorkConnection, channel: any Channel) {
        channel.close(promise: nil)
    }

    package func peerStream(_ message: AditPeerStream, channel: any Channel) {
        paths.stream(message, channel: channel)
    }

    // MARK: News

    private func pathNews(_ news: PathNews) {
        switch news {
        case .changed(let contact, let report):
            let words = Self.words(report.kind)
            if parts.value?.ways.updateValue(words, forKey: contact.id) != words {
                tell(.info, "path to a client of user [\(Self.user(contact.name))]: \(words)")
            }
            if !report.kind.isUsable { parts.value?.visitors.forget(contact.name) }
        case .ended(let contact, _):
            parts.value?.ways[contact.id] = nil
            parts.value?.visitors.forget(contact.name)
        case .problem(let name, let error):
            tell(.debug, "path to [\(name)]: \(error)")
            if error.code == .deviceOffline { parts.value?.visitors.forget(name) }
        case .opened, .roundTrip, .received, .trace: break
        }
    }

    private func serviceNews(_ news: ServiceNews) {
        switch news {
        case .came(let visitor):
            tell(.debug, "join connections of user [\(Self.user(visitor.device))]", proxy: names[visitor.service])
        case .left(let visitor, _): tell(.debug, "join connections closed", proxy: names[visitor.service])
        case .refused(let visitor):
            let words = "a visitor of user [\(Self.user(visitor.device))] was refused"
            tell(.warning, words, proxy: names[visitor.service] ?? visitor.service)
        case .targetFailed(let name, let failure):
            let target = setup.services.first { $0.order.name == name }?.order.target.description ?? ""
            tell(.error, "connect to local service [\(target)] error: \(failure)", proxy: names[name])
        case .targetAnswers(let name): tell(.info, "the local service answers again", proxy: names[name])
        }
    }

    private func visitorNews(_ name: String, _ event: FRPVisitors.Event) {
        switch event {
        case .started(let endpoint):
            let place = endpoint.map { ", listens at \($0)" } ?? ""
            tell(.info, "start visitor success\(place)", proxy: name)
        case .failed(let error): tell(.error, "start error: \(error)", proxy: name)
        case .visit(.came): tell(.debug, "join connections", proxy: name)
        case .visit(.left): tell(.debug, "join connections closed", proxy: name)
        case .visit(.fellBack): tell(.info, "no direct path in time, the fallback visitor takes over", proxy: name)
        case .visit(.failed(_, let error)): tell(.warning, "visit failed: \(error)", proxy: name)
        }
    }

    private static func words(_ kind: PathKind) -> String {
        switch kind {
        case .none: "there is none"
        case .relayed: "through the server"
        case .direct: "direct"
        }
    }

    /// The user that a guest calls itself.
    private static func user(_ guest: String) -> String {
        FRPGuestName(guest)?.user ?? guest
    }

    private func tell(_ level: Logger.Level, _ message: String, proxy: String? = nil) {
        log.log(level: level, "\(message)", metadata: proxy.map { ["proxy": "\($0)"] } ?? [:])
    }
}
