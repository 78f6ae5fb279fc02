// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import AditServer
import AditTransport
import AditTraversal
import AditTunnel
import AditWire
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A server on loopback, for devices that look for paths to each other.
final class PathHouse: Sendable {
    static let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    let server: AditServer
    let store: Store

    private init(_ server: AditServer, _ store: Store) {
        self.server = server
        self.store = store
    }

    /// - Parameters:
    ///   - relays: whether it answers STUN and relays by TURN.
    ///   - relaysSessions: whether it leads streams between devices.
    static func open(relays: Bool = false, relaysSessions: Bool = true) async throws -> PathHouse {
        var setup = ServerSetup()
        setup.listen = .v4(0x7F00_0001)
        setup.tunnelListen = .v4(0x7F00_0001)
        setup.sessionPort = 0
        setup.httpPort = nil
        setup.publicHost = "127.0.0.1"
        setup.token = "secret"
        setup.relaysSessions = relaysSessions
        if relays {
            var stun = STUNSetup()
            (stun.port, stun.alternatePort, stun.tlsPort) = (0, 0, 0)
            setup.stun = stun
            setup.turn = TURNSetup()
        }
        let store = try Store.inMemory()
        let parts = AditServer.Parts(
            store: store,
            identity: try ServerIdentity.temporary(at: UnixTime(seconds: 1_700_000_000)),
            log: quiet,
            version: "0.0.0-test"
        )
        return PathHouse(
            try await AditServer.start(setup, parts: parts, group: MultiThreadedEventLoopGroup.singleton).get(),
            store
        )
    }

    func signals() async throws -> ServerStatus.Signals? {
        try await server.status(on: MultiThreadedEventLoopGroup.singleton.any()).get().signals
    }

    /// Waits until no stream between devices is open.
    func noStreams() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        for _ in 0..<2000 {
            if try await signals()?.openStreams == 0 { return }
            try await loop.scheduleTask(in: .milliseconds(5)) {}.futureResult.get()
        }
        throw NothingCame(to: "the server", news: ["streams are open"])
    }

    func close() async throws {
        try await server.stop(within: .zero).get()
    }
}

/// One device, whose session can be taken away from its paths and given back.
final class PathDevice: DeviceSessionDelegate {
    let name: String
    let key: DeviceKey
    private let house: PathHouse
    private let takesSignals: Bool
    private let wireVersion: FRPWireVersion
    private let narrow: @Sendable (inout DeviceConnection) -> Void
    private let loop: any EventLoop
    private let session = NIOLockedValueBox<DeviceSession?>(nil)
    private let news = NIOLockedValueBox<[PathNews]>([])
    private let waiters = NIOLockedValueBox<[@Sendable (PathNews) -> Bool]>([])
    private let service = NIOLockedValueBox<PathService?>(nil)
    private let isConnected: NIOLockedValueBox<[EventLoopPromise<String>]> = NIOLockedValueBox([])
    private let run = NIOLockedValueBox("")
    /// Under which ids other devices are known.
    let contact = NIOLockedValueBox<[String: PathPeerID]>([:])

    /// - Parameter narrow: takes away of a login what this device does not reach.
    init(
        _ name: String,
        at house: PathHouse,
        over wireVersion: FRPWireVersion = .v2,
        takesSignals: Bool = true,
        options: PathOptions = PathDevice.options,
        key shared: DeviceKey? = nil,
        network: LocalNetwork? = nil,
        narrow: @escaping @Sendable (inout DeviceConnection) -> Void = { _ in }
    ) throws {
        self.name = name
        self.house = house
        self.takesSignals = takesSignals
        self.wireVersion = wireVersion
        self.narrow = narrow
        key = try shared ?? DeviceKey(seed: RandomBytes.system(32))
        loop = MultiThreadedEventLoopGroup.singleton.next()
        var parts = PathService.Parts(
            key: key,
            home: nil,
            server: HostPort(host: "127.0.0.1", port: house.server.sessionPort),
            trust: .pinned(house.server.fingerprint),
            options: options
        )
        if let network { parts.network = { network } }
        let way = PathSession(
            signal: { [session] signal in session.withLockedValue { $0 }?.signal(signal) },
            announce: { [session] names in session.withLockedValue { $0 }?.announce(names) },
            openStream: { [session] message, body in session.withLockedValue { $0 }?.openPeerStream(message, body) }
        )
        let made = PathService(parts, on: loop, session: way) { [news, waiters, contact] item in
            if let found = item.contact { contact.withLockedValue { $0[found.name] = found.id } }
            news.withLockedValue { $0.append(item) }
            waiters.withLockedValue { $0.removeAll { $0(item) } }
        }
        service.withLockedValue { $0 = made }
    }

    /// Nothing outside of this machine is asked.
    static var options: PathOptions {
        var options = PathOptions()
        options.mapsPorts = false
        options.looksAtNAT = false
        return options
    }

    /// From where the server said that others' sessions come.
    let addresses = NIOLockedValueBox<Set<String>>([])

    var paths: PathService? { service.withLockedValue { $0 } }

    /// Opens a stream as it is, for attacks; nil without a session.
    func stream(_ message: AditPeerStream) async throws -> (any Channel)? {
        try await session.withLockedValue { $0 }?.openPeerStream(message) { _ in }?.get()
    }

    /// Opens a session, which takes up the run of the last one or begins a new one; its run.
    @discardableResult
    func connect(sameRun: Bool = false) async throws -> String {
        var configuration = DeviceSessionConfiguration(
            server: HostPort(host: "127.0.0.1", port: house.server.sessionPort),
            credentials: .token("secret", key),
            serverTrust: .pinned(house.server.fingerprint)
        )
        configuration.deviceName = name
        configuration.takesSignals = takesSignals
        configuration.wireVersion = wireVersion
        if sameRun { configuration.runID = run.withLockedValue { $0 } }
        let promise = loop.makePromise(of: String.self)
        isConnected.withLockedValue { $0.append(promise) }
        let opened = DeviceSession(
            configuration: configuration,
            eventLoop: loop,
            delegate: self,
            logger: PathHouse.quiet
        )
        session.withLockedValue { $0 = opened }
        opened.start()
        let limit = loop.scheduleTask(in: .seconds(20)) { promise.fail(ChannelError.connectTimeout(.seconds(20))) }
        defer { limit.cancel() }
        return try await promise.futureResult.get()
    }

    func disconnect() async throws {
        let closed = session.withLockedValue { session in
            defer { session = nil }
            return session
        }
        paths?.disconnected()
        try await closed?.stop().get()
    }

    /// Sends a signal as it is, for attacks.
    func signal(_ signal: AditPeerSignal) {
        session.withLockedValue { $0 }?.signal(signal)
    }

    func sessionEvent(_ event: DeviceSessionEvent) {
        switch event {
        case .connected(let connection):
            var reached = connection
            narrow(&reached)
            paths?.connected(reached)
            run.withLockedValue { $0 = connection.runID }
            let promises = isConnected.withLockedValue { promises in
                defer { promises = [] }
                return promises
            }
            for promise in promises { promise.succeed(connection.runID) }
        case .disconnected: paths?.disconnected()
        case .peerSignal(let signal):
            _ = addresses.withLockedValue { $0.insert(signal.address) }
            paths?.received(signal)
        case .peerUnavailable(let answer): paths?.unavailable(answer)
        default: break
        }
    }

    func peerStream(_ message: AditPeerStream, channel: any Channel) {
        guard let paths else { return channel.close(promise: nil) }
        paths.stream(message, channel: channel)
    }

    func workConnection(_ start: FRPStartWorkConnection, channel: any Channel) {
        channel.close(promise: nil)
    }

    /// Waits for news, also of the past.
    func wait<Value: Sendable>(
        within seconds: Int64 = 30,
        _ match: @escaping @Sendable (PathNews) -> Value?
    ) async throws -> Value {
        let promise = loop.makePromise(of: Value.self)
        let late = loop.scheduleTask(in: .seconds(seconds)) { [name, news] in
            promise.fail(NothingCame(to: name, news: news.withLockedValue { $0.map { String(describing: $0) } }))
        }
        defer { late.cancel() }
        waiters.withLockedValue { waiters in
            for item in news.withLockedValue({ $0 }) {
                if let value = match(item) { return promise.succeed(value) }
            }
            waiters.append { item in
                guard let value = match(item) else { return false }
                promise.succeed(value)
                return true
            }
        }
        return try await promise.futureResult.get()
    }

    /// Waits for a path that carries packets.
    ///
    /// - Parameter isWanted: whether it is one that is waited for; the session's own relay is not, where nothing is said.
    func path(
        to peer: String,
        where isWanted: @escaping @Sendable (PathKind) -> Bool = { $0.isUsable && $0 != .relayed(.session) }
    ) async throws -> PathReport {
        try await wait { news in
            if case .changed(let contact, let report) = news, contact.name == peer, isWanted(report.kind) {
                report
            } else {
                nil
            }
        }
    }

    /// Waits for a reason.
    func reason(
        of peer: String,
        where isWanted: @escaping @Sendable (PathReason) -> Bool
    ) async throws -> PathReport {
        try await wait { news in
            if case .changed(let contact, let report) = news, contact.name == peer, isWanted(report.reason) {
                report
            } else {
                nil
            }
        }
    }

    /// Asks until the server knows of the service.
    func reach(_ name: String, service: String) async throws -> PathPeerID {
        for _ in 0..<2000 {
            do {
                if let id = try await paths?.connect(name, service: service).get() { return id }
            } catch let error as AditError where error.code == .serviceUnknown {
                try await loop.scheduleTask(in: .milliseconds(5)) {}.futureResult.get()
            }
        }
        throw NothingCame(to: name, news: ["no service \(service)"])
    }

    /// Why a service is not reached.
    func refusal(of name: String, service: String) async throws -> AditError {
        do {
            _ = try await paths?.connect(name, service: service).get()
        } catch let error as AditError {
            return error
        }
        throw NothingCame(to: name, news: ["there is a service \(service)"])
    }

    /// Puts something on the paths.
    func sit(_ delegate: any PathCarrierDelegate & Sendable) async throws {
        try await loop.submit { [service] in service.withLockedValue { $0 }?.carry(for: delegate) }.get()
    }

    /// Sends again and again, since datagrams may be lost, until the other one has it; what came.
    func carry(_ payload: [UInt8], to other: PathDevice, at place: PathPeerID? = nil) async throws -> [UInt8] {
        let again = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(200)) {
            [service, other, contact] _ in
            guard let id = place ?? contact.withLockedValue({ $0[other.name] }) else { return }
            service.withLockedValue { $0 }?.send(PacketBatch(payload), to: id)
        }
        defer { again.cancel() }
        return try await other.wait { [name] in
            if case .received(let contact, let batch) = $0, contact.name == name { batch[0] } else { nil }
        }
    }

    func forgetNews() { news.withLockedValue { $0 = [] } }

    func stop() async throws {
        try await paths?.stop().get()
        try await disconnect()
    }
}

/// What a device had been told when it waited for something else.
struct NothingCame: Error {
    let to: String
    let news: [String]
}
