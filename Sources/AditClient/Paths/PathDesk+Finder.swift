// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import AditWire
import NIOCore
import NIOPosix

// The finder, which is made when it is needed first, and what it tells.
extension PathDesk {
    /// Changes the finder.
    func withFinder(_ change: @escaping @Sendable (inout PathFinder) -> Void) {
        if let driver { return driver.update(change) }
        waiting.append(change)
        guard !isOpening, let connection, isConnected else { return }
        isOpening = true
        let name = connection.adit?.deviceName ?? ""
        let network = parts.network
        NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) { network() }.assumeIsolated()
            .whenComplete { [self] result in
                isOpening = false
                guard !hasStopped, driver == nil else { return }
                makeFinder(name, (try? result.get()) ?? LocalNetwork())
            }
    }

    private func makeFinder(_ name: String, _ network: LocalNetwork) {
        var configuration = PathConfiguration(
            ownID: PathPeerID(name: name, key: parts.key.publicKey.fingerprint),
            policy: parts.options.policy,
            server: services.server,
            network: network,
            isQuiet: parts.options.isQuiet,
            staysReady: parts.options.staysReady
        )
        if let tactics = parts.options.tactics { configuration.tactics = tactics }
        let hearer = NIOLoopBound(WeakDesk(desk: self), eventLoop: eventLoop)
        let made = SocketMachineDriver(
            PathFinder(configuration, random: SystemRandomNumberGenerator()),
            on: eventLoop,
            watchesNetwork: true,
            tls: SocketTLS(trust: parts.trust, applicationProtocols: ["stun.turn"]),
            onEvent: { hearer.value.desk?.heard($0) }
        )
        driver = made
        let changes = waiting
        waiting = []
        made.update { finder in for change in changes { change(&finder) } }
        made.start()
        guard parts.options.policy != .relayOnly else { return }
        let helpers = PathSurroundings(network: network, options: parts.options, on: eventLoop) { [weak made] change in
            made?.update(change)
        }
        self.helpers = helpers
        helpers.lookAtNAT(services.discoveryServers)
    }

    fileprivate func heard(_ event: PathEvent) {
        guard !hasStopped else { return }
        switch event {
        case .signal(let signal, let id):
            guard let peer = known[id] else { return }
            let payload = signal.bytes
            peer.lastPayload = payload
            say(payload, to: peer)
            openRelay(peer)
            beginEarly(peer)
        case .changed(let report, let id):
            guard let peer = known[id] else { return }
            let before = peer.found?.kind
            peer.found = report
            // What was lost may be more than the path: the session shows no silence for a quarter of a minute.
            if let before, before.isUsable, before != report.kind, !report.kind.isDirect { session.check(nil) }
            pathFound(peer)
            show(peer, isNews: true)
        case .received(let batch, let id):
            guard let peer = known[id] else { return }
            peer.relay.strays.heard(at: now)
            deliver(batch, from: peer)
        case .roundTrip(let time, let report, let id):
            guard let peer = known[id], let contact = peer.contact else { return }
            peer.found = report
            let shown = shown(peer) ?? report
            peer.report = shown
            tell(.roundTrip(contact, time, shown))
        case .trace(let trace, let id):
            if let contact = known[id]?.contact { tell(.trace(contact, trace)) }
        case .wantsPort(let port, let transport):
            if parts.options.mapsPorts { helpers?.map(port, transport) }
        case .moved(let network):
            session.check(network.interfaces.flatMap(\.addresses))
            helpers?.moved(to: network, services.discoveryServers)
        case .ended(let id, let failure):
            guard let peer = known[id] else { return }
            finderEnded(peer, failure)
        }
    }

    /// Hands packets on, from wherever they came.
    func deliver(_ packets: PacketBatch, from peer: DeskPeer) {
        guard let contact = peer.contact else { return }
        if let delegate { delegate.received(packets, from: contact.id) } else { tell(.received(contact, packets)) }
    }

    /// Tells of a path, if there is news.
    ///
    /// - Parameter isNews: tells in any case.
    func show(_ peer: DeskPeer, isNews: Bool = false) {
        guard let contact = peer.contact, let report = shown(peer) else { return }
        let isSame = report.kind == peer.report?.kind && report.reason == peer.report?.reason
        peer.report = report
        guard isNews || !isSame else { return }
        delegate?.pathChanged(contact.id, report)
        tell(.changed(contact, report))
    }
}

/// The desk as the driver knows it, which does not keep it.
private struct WeakDesk {
    weak var desk: PathDesk?
}
