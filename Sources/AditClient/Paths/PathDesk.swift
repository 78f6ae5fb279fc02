// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import AditTunnel
import AditWire
import NIOCore
import NIOPosix

/// The work of a `PathService`; lives on its event loop.
///
/// It stands between the session, which carries signals and may lose them, and the `PathFinder`, which says them again until
/// they have had an effect. Whatever it sends is signed, whatever comes is verified, before the finder sees it.
final class PathDesk {
    /// One other device.
    private struct Peer {
        /// Who it is to the finder; nil while its key is not known.
        var id: PathPeerID?
        /// Whether a path to it was asked for here.
        var isWanted = false
        /// What it was told last.
        var lastPayload: [UInt8]?
        /// How often it was greeted without an answer.
        var greetings = 0
        var greeting: Scheduled<Void>?
        var report: PathReport?
        /// Its place in the order in which runs were met.
        var number: UInt64 = 0
        /// When the search said its first word to it.
        var saidAt: Instant?
        /// Since when it is away, although it was there when the search began.
        var awaySince: Instant?
        /// Whether its absence has been told.
        var isAbsent = false
    }

    private static let capacity = 512
    /// No more runs of one device have a place; a new one takes that of the oldest.
    private static let runLimit = 8
    private static let greetingTries = 6
    /// A server that knows a device as absent says so within a round trip; who is told later was there before.
    private static let presence = Duration.seconds(1)
    /// How long a device may take to come back to a search that has begun.
    private static let patience = Duration.seconds(12)
    /// So long a goodbye may take through the server.
    private static let farewellTime = TimeAmount.milliseconds(300)

    private let parts: PathService.Parts
    private let eventLoop: any EventLoop
    private let sendSignal: @Sendable (AditPeerSignal) -> Void
    private let tell: @Sendable (PathNews) -> Void
    private var ledger: PeerLedger
    private let keys: PeerKeys
    private var connection: DeviceConnection?
    private var isConnected = false
    /// The devices by their runs; one whose run is not known yet is under the empty one.
    private var peers: [PeerRun: Peer] = [:]
    private var services: PathServices
    private var driver: SocketMachineDriver<PathFinder>?
    private var isOpening = false
    private var waiting: [@Sendable (inout PathFinder) -> Void] = []
    private var helpers: PathSurroundings?
    private var answers: TokenBucket
    private var met: UInt64 = 0
    private var hasStopped = false

    init(
        _ parts: PathService.Parts,
        on eventLoop: any EventLoop,
        send: @escaping @Sendable (AditPeerSignal) -> Void,
        tell: @escaping @Sendable (PathNews) -> Void
    ) {
        self.parts = parts
        self.eventLoop = eventLoop
        sendSignal = send
        self.tell = tell
        let epoch = parts.random(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        ledger = PeerLedger(key: parts.key, epoch: epoch)
        keys = PeerKeys(home: parts.home, on: eventLoop, unixTime: parts.unixTime)
        services = PathServices(server: parts.server)
        answers = TokenBucket(count: 10, per: .seconds(1), burst: 40, at: Instant(eventLoop.now))
    }

    private var now: Instant { Instant(eventLoop.now) }

    var paths: [(name: String, report: PathReport)] {
        peers.compactMap { place, peer in peer.report.map { (place.name, $0) } }.sorted { $0.name < $1.name }
    }

    // MARK: The session

    func connected(_ connection: DeviceConnection) {
        guard !hasStopped else { return }
        let isFirst = self.connection == nil
        self.connection = connection
        isConnected = true
        ledger.ownName = connection.adit?.deviceName ?? ""
        ledger.server = connection.fingerprint?.bytes ?? [UInt8](repeating: 0, count: 32)
        services.take(connection)
        keys.use(server: connection.fingerprint?.description ?? "") { [self] in
            guard isConnected, !hasStopped else { return }
            for (place, peer) in peers {
                if peer.isWanted, peer.id == nil { connect(place.name) }
                if peer.id != nil, let payload = peer.lastPayload { say(payload, to: place) }
            }
            if parts.options.staysReady, canSignal { withFinder { _ in } }
        }
        if !isFirst, let driver {
            let server = services.server
            driver.update { $0.update(server: server, at: Clock.monotonic.now()) }
        }
        lookUp()
    }

    func disconnected() {
        isConnected = false
    }

    func renewed(_ offer: TURNOffer) {
        services.take(offer)
        updateServices()
    }

    private var canSignal: Bool { connection?.features.contains(.paths) ?? false }

    /// The server's other addresses, once they are known.
    private func lookUp() {
        PathServices.addresses(of: parts.server, on: eventLoop).assumeIsolated().whenSuccess { [self] addresses in
            if services.add(addresses) { updateServices() }
        }
    }

    private func updateServices() {
        let server = services.server
        driver?.update { $0.update(server: server, at: Clock.monotonic.now()) }
    }

    // MARK: Paths

    func connect(_ name: String) {
        guard !hasStopped else { return }
        guard name != ledger.ownName || name.isEmpty else { return tell(.problem(name, PathProblem.oneself(name))) }
        guard let place = place(of: name) ?? (peers.count < Self.capacity ? PeerRun(name: name, run: "") : nil) else {
            return tell(.ended(name, .tooManyPeers))
        }
        peers[place, default: Peer()].isWanted = true
        peers[place]?.saidAt = nil
        guard isConnected, keys.isReady else { return }
        guard canSignal else { return tell(.problem(name, PathProblem.notOffered)) }
        if let fault = keys.fault {
            keys.reload()
            return tell(.problem(name, fault))
        }
        guard let key = keys.key(of: name) else { return greet(place) }
        let id = peers[place]?.id ?? PathPeerID(name: name, key: key.description)
        peers[place]?.id = id
        withFinder { $0.connect(id, at: Clock.monotonic.now()) }
    }

    func measure(_ name: String) {
        guard let id = id(of: name) else { return }
        driver?.update { $0.measure(id, at: Clock.monotonic.now()) }
    }

    func send(_ payload: [UInt8], to name: String) {
        guard let id = id(of: name) else { return }
        driver?.update { _ = $0.send(payload, to: id, at: Clock.monotonic.now()) }
    }

    func disconnect(_ name: String) {
        guard let place = place(of: name), let peer = peers[place] else { return }
        peer.greeting?.cancel()
        peers[place]?.isWanted = false
        peers[place]?.greeting = nil
        guard let id = peer.id else {
            peers[place] = nil
            return
        }
        driver?.update { $0.disconnect(id, at: Clock.monotonic.now()) }
    }

    /// Where a device is kept by its name alone: the run to which a path was asked for, else any.
    private func place(of name: String) -> PeerRun? {
        let all = peers.filter { $0.key.name == name }
        return all.first { $0.value.isWanted }?.key ?? all.first { $0.value.report?.kind.isUsable == true }?.key
            ?? all.keys.min { $0.run < $1.run }
    }

    private func id(of name: String) -> PathPeerID? {
        place(of: name).flatMap { peers[$0]?.id }
    }

    private func place(of id: PathPeerID) -> PeerRun? {
        peers.first { $0.value.id == id }?.key
    }

    func stop() -> EventLoopFuture<Void> {
        guard !hasStopped else { return eventLoop.makeSucceededVoidFuture() }
        var isOverTCP = false
        let ids = peers.values.compactMap(\.id)
        for peer in peers.values {
            peer.greeting?.cancel()
            if case .direct(.tcp) = peer.report?.kind { isOverTCP = true }
        }
        driver?.update { for id in ids { $0.farewell(to: id, at: Clock.monotonic.now()) } }
        // The finder's goodbyes are on their way to the session before its sockets close, and before a peer sees a connection
        // end: it would look for another path.
        let done = eventLoop.makePromise(of: Void.self)
        eventLoop.assumeIsolated().execute { [self] in
            hasStopped = true
            waiting = []
            let pause = isOverTCP ? Self.farewellTime : .zero
            _ = eventLoop.assumeIsolated().scheduleTask(in: pause) { [self] in
                driver?.update { for id in ids { $0.disconnect(id, at: Clock.monotonic.now()) } }
                let helpersEnd = helpers?.stop() ?? eventLoop.makeSucceededVoidFuture()
                let driverEnd = driver?.cancel() ?? eventLoop.makeSucceededVoidFuture()
                driver = nil
                driverEnd.and(helpersEnd).map { _ in }.cascade(to: done)
            }
        }
        return done.futureResult
    }

    // MARK: Signals

    /// Says who this is to a device whose key is not known; its answer shows the key.
    private func greet(_ place: PeerRun) {
        guard let peer = peers[place], peer.id == nil, peer.greeting == nil else { return }
        peers[place]?.greetings += 1
        say([], to: place)
        let delay = TimeAmount.seconds(1 << Int64(min(peer.greetings, 5)))
        peers[place]?.greeting = eventLoop.assumeIsolated().scheduleTask(in: delay) { [self] in
            guard peers[place]?.greeting != nil else { return }
            peers[place]?.greeting = nil
            guard let peer = peers[place], peer.id == nil, isConnected else { return }
            if peer.greetings < Self.greetingTries { return greet(place) }
            peers[place] = nil
            tell(.problem(place.name, PathProblem.silent(place.name)))
        }
    }

    /// Signs and sends; `echo` names a run of the device that is not taken for its present one yet.
    private func say(_ payload: [UInt8], to place: PeerRun, echo: UInt64? = nil) {
        guard isConnected, canSignal, !hasStopped else { return }
        if let peer = peers[place], peer.saidAt == nil { peers[place]?.saidAt = now }
        var signal = ledger.seal(
            payload,
            for: place.name,
            run: place.run,
            receiver: keys.key(of: place.name),
            time: parts.unixTime(),
            echo: echo
        )
        // Who wants no direct path tells nobody where it is.
        signal?.tellsAddress = !payload.isEmpty && parts.options.policy != .relayOnly
        if let signal { sendSignal(signal) }
    }

    func received(_ signal: AditPeerSignal) {
        guard !hasStopped, keys.isReady else { return }
        guard keys.fault == nil else {
            if answers.take(1, at: now) { keys.reload() }
            return
        }
        switch ledger.open(signal, known: keys.key(of: signal.peer), time: parts.unixTime()) {
        case .accepted(let message): take(message, seenAt: IPAddress(signal.address))
        case .unproven(let message):
            // Whoever it is has to say it again, to this run; a copy of something old cannot.
            guard answers.take(1, at: now) else { return }
            say([], to: PeerRun(name: message.name, run: message.run), echo: message.epoch)
        case .refused(.keyChanged(let known, let found)):
            guard answers.take(1, at: now) else { return }
            if let place = place(of: signal.peer), peers[place]?.id == nil {
                peers.removeValue(forKey: place)?.greeting?.cancel()
            }
            // A person may have accepted the new key meanwhile.
            keys.reload()
            tell(.problem(signal.peer, PathProblem.keyChanged(signal.peer, known: known, now: found)))
        case .refused: break
        }
    }

    private func take(_ message: PeerMessage, seenAt address: IPAddress?) {
        let place = PeerRun(name: message.name, run: message.run)
        let open = PeerRun(name: message.name, run: "")
        // Whoever answers first of the device's runs is the one that was asked for.
        if peers[place] == nil, let asked = peers.removeValue(forKey: open) { peers[place] = asked }
        guard peers[place] != nil || makeRoom(for: message.name) else { return }
        keys.learn(message.key, of: message.name)
        met += 1
        var peer = peers[place] ?? Peer(number: met)
        peer.greeting?.cancel()
        peer.greeting = nil
        peer.greetings = 0
        peer.awaySince = nil
        peer.isAbsent = false
        let isNewlyKnown = peer.id == nil
        let id = peer.id ?? newID(message)
        peer.id = id
        peers[place] = peer
        if isNewlyKnown, peer.isWanted { withFinder { $0.connect(id, at: Clock.monotonic.now()) } }
        guard !message.payload.isEmpty else {
            if !message.namesThisRun {
                // A greeting: the answer shows this device's key, and names the run that greeted.
                if answers.take(1, at: now) { say([], to: place) }
            } else if !isNewlyKnown, let payload = peer.lastPayload, answers.take(1, at: now) {
                say(payload, to: place)
            }
            if !peer.isWanted, peer.lastPayload == nil { peers[place] = nil }
            return
        }
        guard let signal = Self.decode(message.payload) else { return }
        withFinder { $0.receive(signal, from: id, seenAt: address, at: Clock.monotonic.now()) }
    }

    /// Whether one more run of a device has a place, which no device can take from the others.
    private func makeRoom(for name: String) -> Bool {
        let runs = peers.filter { $0.key.name == name }
        if runs.count >= Self.runLimit {
            let oldest = runs.filter { !$0.value.isWanted }.min { $0.value.number < $1.value.number }
            guard let oldest else { return false }
            peers[oldest.key] = nil
            oldest.value.greeting?.cancel()
            if let id = oldest.value.id { driver?.update { $0.disconnect(id, at: Clock.monotonic.now()) } }
        }
        return peers.count < Self.capacity
    }

    /// Two runs of one device are two peers.
    private func newID(_ message: PeerMessage) -> PathPeerID {
        let id = PathPeerID(name: message.name, key: message.key.description)
        guard place(of: id) != nil else { return id }
        return PathPeerID(name: message.name, key: id.key, run: message.run)
    }

    private static func decode(_ payload: [UInt8]) -> PathSignal? {
        try? PathSignal.decode(payload.span.bytes)
    }

    func unavailable(_ answer: AditPeerUnavailable) {
        let name = answer.peer
        let asked = PeerRun(name: name, run: answer.run)
        guard !hasStopped, let place = peers[asked] == nil ? place(of: name) : asked, let peer = peers[place] else {
            return
        }
        if answer.knownReason == .runEnded {
            // Another run of the device may take it up.
            ledger.forget(name, run: answer.run)
            let open = PeerRun(name: name, run: "")
            guard place == asked, !answer.run.isEmpty, peers[open] == nil else { return }
            peers[place] = nil
            peers[open] = peer
            if let payload = peer.lastPayload, answers.take(1, at: now) { say(payload, to: open) }
            return
        }
        guard let error = PathProblem.unavailable(answer, now: parts.unixTime()) else { return }
        // A path that is there needs no signals to go on, and a device that reconnects is away for a moment.
        if peer.report?.kind.isUsable == true { return }
        if answer.knownReason == .offline, isOnlyAway(place) { return }
        peers[place]?.isAbsent = true
        tell(.problem(name, error))
    }

    /// Whether a device that is not there has been, and may be on its way back; what it is told is said again meanwhile.
    private func isOnlyAway(_ place: PeerRun) -> Bool {
        guard let peer = peers[place], !peer.isAbsent, let saidAt = peer.saidAt else { return false }
        guard let since = peer.awaySince else {
            guard now - saidAt >= Self.presence else { return false }
            peers[place]?.awaySince = now
            return true
        }
        return now - since < Self.patience
    }

    // MARK: The finder

    /// Changes the finder, which is made when it is needed first.
    private func withFinder(_ change: @escaping @Sendable (inout PathFinder) -> Void) {
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
                open(name, (try? result.get()) ?? LocalNetwork())
            }
    }

    private func open(_ name: String, _ network: LocalNetwork) {
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
            let payload = signal.bytes
            guard let place = place(of: id) else { return }
            peers[place]?.lastPayload = payload
            say(payload, to: place)
        case .changed(let report, let id):
            guard let place = place(of: id) else { return }
            peers[place]?.report = report
            tell(.changed(id.name, report))
        case .received(let payload, let id): tell(.received(id.name, payload))
        case .roundTrip(let time, let report, let id):
            guard let place = place(of: id) else { return }
            peers[place]?.report = report
            tell(.roundTrip(id.name, time, report))
        case .trace(let trace, let id): tell(.trace(id.name, trace))
        case .wantsPort(let port, let transport):
            if parts.options.mapsPorts { helpers?.map(port, transport) }
        case .moved(let network): helpers?.moved(to: network, services.discoveryServers)
        case .ended(let id, let failure):
            guard let place = place(of: id) else { return }
            peers[place] = nil
            tell(.ended(id.name, failure))
        }
    }
}

/// The desk as the driver knows it, which does not keep it.
private struct WeakDesk {
    weak var desk: PathDesk?
}
