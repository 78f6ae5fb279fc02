// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
package import AditTransport
package import AditTunnel
package import AditWire
import Logging
import NIOConcurrencyHelpers
package import NIOCore

/// Decides who may come in and which tunnels exist, and keeps the store, the table and the listeners in step.
package final class ServerPolicy: ServerSessionPolicy {
    struct Changeable {
        var setup: ServerSetup
        var isStopping = false
        var httpPort: UInt16 = 0
        var httpsPort: UInt16 = 0
        var stun: STUNService?
        var turn: TURNService?
    }

    let store: Store
    let table: TunnelTable
    let listeners: TunnelListeners
    let certificates: CertificateStore
    let signalling: PeerSignalling
    let unixClock: UnixClock
    let clock: Clock
    let log: Logger
    let changeable: NIOLockedValueBox<Changeable>
    /// When devices were removed whose end the others have been told.
    private let removals: NIOLockedValueBox<[String: UnixTime]> = NIOLockedValueBox([:])
    /// Of what was removed before, devices hear when they log in and ask for it.
    private let since: UnixTime

    init(
        setup: ServerSetup,
        store: Store,
        table: TunnelTable,
        listeners: TunnelListeners,
        certificates: CertificateStore,
        unixClock: UnixClock,
        clock: Clock,
        log: Logger
    ) {
        self.store = store
        self.table = table
        self.listeners = listeners
        self.certificates = certificates
        self.unixClock = unixClock
        self.clock = clock
        self.log = log
        since = unixClock.now()
        let changeable = NIOLockedValueBox(Changeable(setup: setup))
        self.changeable = changeable
        signalling = PeerSignalling(
            store: store,
            clock: clock,
            log: log,
            relays: { changeable.withLockedValue { $0.setup.relaysSessions } },
            ceiling: { table.ceiling(of: $0) }
        )
    }

    /// The setup as of the last reload.
    var setup: ServerSetup { changeable.withLockedValue { $0.setup } }

    /// The port on which names are served; 0 when they are not.
    var httpPort: UInt16 { changeable.withLockedValue { $0.httpPort } }

    /// The port on which names are served with TLS; 0 when they are not.
    var httpsPort: UInt16 { changeable.withLockedValue { $0.httpsPort } }

    package func sessionOpened(_ session: ServerSession) {
        table.insert(session)
        signalling.opened(session)
        let words =
            setup.role == .frps ? "client login info: \(describe(session))" : "session open: \(describe(session))"
        log.info(
            "\(words)",
            metadata: ["run": "\(session.runID)", "remote": "\(session.remoteAddress.map(\.description) ?? "-")"]
        )
    }

    package func closeTunnel(named name: String, for session: ServerSession) {
        signalling.release(name, of: session)
        guard let tunnel = table.tunnel(named: name, of: session).flatMap({ table.remove($0) }) else { return }
        tunnel.close()
        noteUse(of: [tunnel], on: session.eventLoop)
        log.info("close proxy", metadata: ["run": "\(session.runID)", "proxy": "\(name)"])
    }

    package func peerSignal(_ signal: AditPeerSignal, from session: ServerSession) {
        signalling.forward(signal, from: session)
    }

    package func services(_ services: AditServices, from session: ServerSession) {
        signalling.announce(services, from: session)
    }

    package func serviceQuery(_ query: AditServiceQuery, from session: ServerSession) {
        signalling.answer(query, to: session)
    }

    package func peerStream(_ message: AditPeerStream, channel: any Channel, from session: ServerSession) -> Bool {
        signalling.join(message, channel, from: session)
    }

    package func sessionClosed(_ session: ServerSession, reason: SessionEnd) {
        signalling.closed(session)
        let tunnels = table.remove(session)
        for tunnel in tunnels { tunnel.close() }
        noteUse(of: tunnels, on: session.eventLoop)
        if case .device(let key, _) = session.identity {
            let seen = store.noteSeen(key: key.hexadecimal, at: unixClock.now(), on: session.eventLoop)
            reportFailure(of: seen)
        }
        // The acceptor tells of each end with its reason; scripts around frps wait for these words.
        log.log(
            level: setup.role == .frps ? .info : .debug,
            "client exit success",
            metadata: ["run": "\(session.runID)", "client": "\(describe(session))"]
        )
    }

    /// Ends the sessions of devices that the store no longer has as members, tells the others of them, and takes up leases as they
    /// are now.
    ///
    /// Another process of the same user may have changed the store.
    func recheck(on loop: any EventLoop) -> EventLoopFuture<Int> {
        let turn = turnService
        let grants = turn?.grantTotal ?? 0
        return store.devices(on: loop).map { devices in
            let members = Dictionary(uniqueKeysWithValues: devices.map { ($0.key, $0) })
            // Also of those that have no session now.
            let guests = self.table.sessions.map(\.identity).filter(\.isGuest).compactMap { $0.peer?.key.hexadecimal }
            turn?.keep(only: Set(devices.lazy.filter { $0.removed == nil }.map(\.key)).union(guests), asOf: grants)
            var ended = 0
            for session in self.table.sessions {
                guard case .device(let key, _) = session.identity else { continue }
                let record = members[key.hexadecimal]
                if let record, record.removed == nil { continue }
                let now = self.unixClock.now()
                if let error = Refusal.invite(.removed(at: record?.removed ?? now), now: now) {
                    session.close(.removed(error))
                    ended += 1
                }
            }
            self.tellRemovals(among: devices)
            return ended
        }.flatMap { ended in self.loadLeases(on: loop).map { ended } }
    }

    /// Tells devices of those that were removed: a direct path needs no server, and would outlast the removal.
    private func tellRemovals(among devices: [DeviceRecord]) {
        let members = Set(devices.lazy.filter { $0.removed == nil }.map(\.name))
        for device in devices {
            guard let removed = device.removed, removed >= since, !members.contains(device.name) else { continue }
            let isNew = removals.withLockedValue { $0.updateValue(removed, forKey: device.key) != removed }
            if isNew { signalling.tellRemoval(of: device.name, to: table.sessions) }
        }
    }

    /// Takes up the leases of the store.
    func loadLeases(on loop: any EventLoop) -> EventLoopFuture<Void> {
        store.nameLeases(on: loop).and(store.portLeases(on: loop)).map { names, ports in
            self.table.load(names: names, ports: ports)
        }
    }

    /// Renews the leases in use and forgets those that ran out.
    func maintain(on loop: any EventLoop) -> EventLoopFuture<Void> {
        let now = unixClock.now()
        return store.noteUsed(names: table.namesInUse, ports: table.portsInUse, at: now, on: loop)
            .flatMap { self.store.purgeLeases(at: now, on: loop) }
            .flatMap { self.loadLeases(on: loop) }
    }

    func noteUse(of tunnels: [OpenTunnel], on loop: any EventLoop) {
        let names = tunnels.flatMap { $0.hosts.map(\.leaseName) }
        let ports = tunnels.flatMap(\.ports)
        guard !names.isEmpty || !ports.isEmpty else { return }
        reportFailure(of: store.noteUsed(names: names, ports: ports, at: unixClock.now(), on: loop))
    }

    func reportFailure(of work: EventLoopFuture<Void>) {
        work.whenFailure { error in self.log.error("the database failed: \(error)") }
    }

    func describe(_ session: ServerSession) -> String {
        switch session.identity {
        case .device(_, let name): "device \(name)"
        case .guest(_, let name): "guest \(name)"
        case .frp(let user, let clientID):
            "frp client" + (user.isEmpty ? "" : " user \(user)") + (clientID.isEmpty ? "" : " id \(clientID)")
        }
    }
}

extension DevicePublicKey {
    /// The key as the store writes it.
    var hexadecimal: String { Hexadecimal.encode(bytes) }
}
