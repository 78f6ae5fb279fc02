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
/// they have had an effect. Whatever it sends is signed, whatever comes is verified, before the finder sees it. Packets go
/// on the finder's path, and through the session where there is none.
final class PathDesk {
    static let capacity = 512
    /// No more runs of one device have a place; a new one takes that of the oldest.
    static let runLimit = 8
    static let greetingTries = 6
    /// A server that knows a device as absent says so within a round trip; who is told later was there before.
    static let presence = Duration.seconds(1)
    /// How long a device may take to come back to a search that has begun.
    static let patience = Duration.seconds(12)
    /// So long a goodbye may take through the server.
    private static let farewellTime = TimeAmount.milliseconds(300)

    let parts: PathService.Parts
    let eventLoop: any EventLoop
    let session: PathSession
    let tell: @Sendable (PathNews) -> Void
    var ledger: PeerLedger
    let keys: PeerKeys
    var connection: DeviceConnection?
    var isConnected = false
    /// The devices by their runs.
    var peers: [PeerRun: DeskPeer] = [:]
    /// Those of them whose key is known.
    var known: [PathPeerID: DeskPeer] = [:]
    /// Streams of peers that have not said who they are.
    var held: [HeldStream] = []
    var announced: [String] = []
    var delegate: (any PathCarrierDelegate)?
    var services: PathServices
    var driver: SocketMachineDriver<PathFinder>?
    var isOpening = false
    var waiting: [@Sendable (inout PathFinder) -> Void] = []
    var helpers: PathSurroundings?
    var answers: TokenBucket
    private var met: UInt64 = 0
    private(set) var hasStopped = false

    init(
        _ parts: PathService.Parts,
        on eventLoop: any EventLoop,
        session: PathSession,
        tell: @escaping @Sendable (PathNews) -> Void
    ) {
        self.parts = parts
        self.eventLoop = eventLoop
        self.session = session
        self.tell = tell
        let epoch = parts.random(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        ledger = PeerLedger(key: parts.key, epoch: epoch)
        keys = PeerKeys(home: parts.home, on: eventLoop, unixTime: parts.unixTime)
        services = PathServices(server: parts.server)
        answers = TokenBucket(count: 10, per: .seconds(1), burst: 40, at: Instant(eventLoop.now))
    }

    var now: Instant { Instant(eventLoop.now) }

    var paths: [(peer: PathContact, report: PathReport)] {
        known.values.compactMap { peer in
            guard let contact = peer.contact, let report = peer.report else { return nil }
            return (contact, report)
        }.sorted { ($0.peer.name, $0.peer.id.run) < ($1.peer.name, $1.peer.id.run) }
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
        if hasServices, !announced.isEmpty { session.announce(announced) }
        keys.use(server: connection.fingerprint?.description ?? "") { [self] in
            guard isConnected, !hasStopped else { return }
            if !hasServices { forgetServices() }
            for peer in Array(peers.values) {
                if peer.isWanted, peer.id == nil { seek(peer) }
                guard peer.id != nil else { continue }
                if let payload = peer.lastPayload { say(payload, to: peer) }
                peer.relay.isRefused = false
                openRelay(peer)
            }
            if parts.options.staysReady, canSignal { withFinder { _ in } }
        }
        if !isFirst, let driver {
            let server = services.server
            driver.update { finder in
                finder.update(server: server, at: Clock.monotonic.now())
                // A server that was restarted knows nothing of what it relayed before.
                finder.serverIsBack(at: Clock.monotonic.now())
            }
        }
        lookUp()
    }

    /// The server leads to the newest run of a device, whatever was asked for.
    private func forgetServices() {
        for peer in Array(peers.values) where !peer.place.service.isEmpty {
            let place = PeerRun(name: peer.place.name, run: "")
            if let other = peers[place] {
                other.take(peer)
                drop(peer)
            } else {
                move(peer, to: place)
            }
        }
    }

    func disconnected() {
        isConnected = false
    }

    func renewed(_ offer: TURNOffer) {
        services.take(offer)
        updateServices()
    }

    func announce(_ names: [String]) {
        announced = names
        if isConnected, hasServices { session.announce(names) }
    }

    var canSignal: Bool { connection?.features.contains(.paths) ?? false }
    /// Whether the server leads signals and streams to services.
    var hasServices: Bool { canSignal && connection?.features.contains(.services) ?? false }

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

    func connect(_ name: String, service: String) -> EventLoopFuture<PathPeerID> {
        let promise = eventLoop.makePromise(of: PathPeerID.self)
        guard !hasStopped else {
            promise.fail(PathProblem.silent(name))
            return promise.futureResult
        }
        if let refusal = refusal(name, service) {
            tell(.problem(name, refusal))
            promise.fail(refusal)
            return promise.futureResult
        }
        // A server that leads nobody to services leads to the newest run.
        let service = isConnected && !hasServices ? "" : service
        let peer = find(name, service) ?? add(PeerRun(name: name, run: "", service: service))
        peer.asks[service, default: []].append(promise)
        peer.saidAt = nil
        // Whoever asks again does not wait for the next greeting.
        peer.greeting?.cancel()
        peer.greeting = nil
        seek(peer)
        return promise.futureResult
    }

    private func refusal(_ name: String, _ service: String) -> AditError? {
        if name == ledger.ownName, !name.isEmpty { return PathProblem.oneself(name) }
        if !service.isEmpty, !AditServices.isName(service) { return PathProblem.noService(name, service) }
        if find(name, service) == nil, peers.count >= Self.capacity { return PathProblem.tooMany }
        return nil
    }

    /// Asks a device that is wanted for a path, as far as there is a session.
    func seek(_ peer: DeskPeer) {
        let name = peer.place.name
        guard isConnected, keys.isReady else { return }
        guard canSignal else { return problem(peer, PathProblem.notOffered) }
        if let fault = keys.fault {
            keys.reload()
            return problem(peer, fault)
        }
        if let id = peer.id {
            if peer.epoch != 0 { peer.answer(.success(id)) }
            withFinder { $0.connect(id, at: Clock.monotonic.now()) }
            return openRelay(peer)
        }
        guard let key = keys.key(of: name) else { return greet(peer) }
        let id = PathPeerID(name: name, key: key.description)
        // Beside another run of the device only its answer tells which one it is.
        guard known[id] == nil else { return greet(peer) }
        identify(peer, as: id)
        withFinder { $0.connect(id, at: Clock.monotonic.now()) }
    }

    func measure(_ id: PathPeerID) {
        guard let peer = known[id] else { return }
        if peer.hasPath {
            driver?.update { $0.measure(id, at: Clock.monotonic.now()) }
        } else {
            sendingStream(of: peer)?.measure()
        }
    }

    func send(_ batch: PacketBatch, to id: PathPeerID) -> Bool {
        guard let peer = known[id], !hasStopped else { return false }
        let sending = peer.hasPath ? driver?.now { $0.send(batch, to: id, at: Clock.monotonic.now()) } : nil
        switch sending {
        case .sent?:
            if peer.relay.strays.count(at: now) { _ = sendingStream(of: peer)?.send(batch) }
            return true
        case .doubtful?:
            _ = relay(batch, to: peer)
            // The stream is given up again when the path has proved itself.
            pathFound(peer)
            return true
        case .nowhere?, nil: return relay(batch, to: peer)
        }
    }

    func packetSize(to id: PathPeerID) -> Int {
        guard let peer = known[id], peer.hasPath, let driver else { return PathFinder.streamPacketSize }
        return driver.look { $0.packetSize(to: id, at: Clock.monotonic.now()) } ?? PathFinder.leastPacketSize
    }

    func disconnect(_ id: PathPeerID) {
        guard let peer = known[id] else { return }
        peer.greeting?.cancel()
        peer.greeting = nil
        peer.answer(.failure(PathProblem.silent(id.name)))
        peer.asks = [:]
        driver?.update { $0.disconnect(id, at: Clock.monotonic.now()) }
        if driver == nil || peer.found == nil { ended(peer, .disconnected) }
    }

    /// Tells why a device cannot be asked, also those who wait for its answer.
    func problem(_ peer: DeskPeer, _ error: AditError) {
        tell(.problem(peer.place.name, error))
        peer.answer(.failure(error))
    }

    // MARK: Peers

    /// Where a service of a device is kept; any run of it where no service is named.
    func find(_ name: String, _ service: String) -> DeskPeer? {
        let all = peers.values.filter { $0.place.name == name }
        if !service.isEmpty { return all.first { $0.asks[service] != nil } }
        return all.first { $0.isWanted && $0.place.service.isEmpty } ?? all.first { $0.report?.kind.isUsable == true }
            ?? all.filter { $0.place.service.isEmpty }.min { $0.place.run < $1.place.run }
    }

    func add(_ place: PeerRun) -> DeskPeer {
        met += 1
        let peer = DeskPeer(place, number: met, at: now)
        peers[place] = peer
        return peer
    }

    func identify(_ peer: DeskPeer, as id: PathPeerID) {
        peer.id = id
        known[id] = peer
    }

    func move(_ peer: DeskPeer, to place: PeerRun) {
        peers[peer.place] = nil
        peer.place = place
        peers[place] = peer
    }

    /// Forgets a peer; nothing is told.
    func drop(_ peer: DeskPeer, _ error: AditError? = nil) {
        if peers[peer.place] === peer { peers[peer.place] = nil }
        if let id = peer.id, known[id] === peer {
            known[id] = nil
            endEarly(peer)
        }
        peer.end(error ?? PathProblem.silent(peer.place.name))
    }

    /// Tells that nobody looks for a path to a peer any longer, and forgets it.
    func ended(_ peer: DeskPeer, _ failure: PathFailure) {
        drop(peer)
        guard let contact = peer.contact else { return }
        if peer.epoch != 0 { delegate?.pathEnded(contact.id, failure) }
        tell(.ended(contact, failure))
    }

    func stop() -> EventLoopFuture<Void> {
        guard !hasStopped else { return eventLoop.makeSucceededVoidFuture() }
        var isOverTCP = false
        let ids = Array(known.keys)
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
                for peer in Array(peers.values) { drop(peer) }
                for stream in held { stream.end() }
                held = []
                delegate = nil
                driverEnd.and(helpersEnd).map { _ in }.cascade(to: done)
            }
        }
        return done.futureResult
    }
}
