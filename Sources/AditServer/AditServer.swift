// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditCrypto
package import AditTransport
import AditTunnel
import AditWire
package import Logging
import NIOConcurrencyHelpers
package import NIOCore
import NIOPosix

/// The server: its listeners, its sessions, and the way from start to stop.
///
/// `start` returns when every port is open. `stop` first lets nobody new in, then waits for those who are there.
package final class AditServer: Sendable {
    /// What a server is made of beside its setup; a test replaces parts of it.
    package struct Parts: Sendable {
        /// What the server remembers.
        package var store: Store
        /// The key by which it is known.
        package var identity: ServerIdentity
        /// Where Unix time comes from.
        package var unixClock = UnixClock.system
        /// Where the time of timers comes from.
        package var clock = Clock.monotonic
        /// Where names and run ids come from.
        package var random = RandomBytes.system
        /// Where events go.
        package var log: Logger
        /// The version it tells.
        package var version: String
        /// How often the files of certificates are looked at.
        package var certificateInterval = TimeAmount.seconds(5)
        /// How long a TLS visitor may take to say what it wants, and then for its handshake.
        package var handshakePatience = TimeAmount.seconds(10)

        /// Makes parts with the system's clocks and randomness.
        package init(store: Store, identity: ServerIdentity, log: Logger, version: String) {
            self.store = store
            self.identity = identity
            self.log = log
            self.version = version
        }
    }

    struct Running {
        var sessionPort: UInt16 = 0
        var listeners: [any Channel] = []
        var control: (any Channel)?
        var stun: STUNService?
        var maintenance: RepeatedTask?
        var renewals: RepeatedTask?
        var certificates: RepeatedTask?
        var isStopping = false
        /// Kept when waiting for visitors is over, by whatever reason.
        var waited: EventLoopPromise<Void>?
    }

    /// How often leases in use are renewed.
    private static let maintenanceInterval: TimeAmount = .hours(1)

    let parts: Parts
    let policy: ServerPolicy
    let since: UnixTime
    private let group: any EventLoopGroup
    let loop: any EventLoop
    private let acceptor: SessionAcceptor
    let names: HTTPFrontEnd
    /// The certificates with which visitors' TLS is ended here.
    package let certificates: CertificateStore
    private let entrance: SecureEntrance
    let stoppedPromise: EventLoopPromise<Void>
    let running = NIOLockedValueBox(Running())

    /// Starts a server; fails with `AditError` 904 when one of its ports cannot be opened, 906 for a certificate that
    /// cannot be used.
    ///
    /// - Parameter commands: who answers commands. The socket for them is there before any port, so that whoever sees a port
    ///   finds it; what is asked meanwhile waits until every port is open.
    package static func start(
        _ setup: ServerSetup,
        parts: Parts,
        group: any EventLoopGroup,
        commands: ServerCommands? = nil
    ) -> EventLoopFuture<AditServer> {
        let server: AditServer
        do throws(AditError) {
            let certificates = try CertificateStore(
                setup.certificates,
                protocols: SecureEntrance.protocols,
                log: parts.log
            )
            server = AditServer(setup, parts, certificates, group)
        } catch {
            return group.next().makeFailedFuture(error)
        }
        let isReady = server.loop.makePromise(of: Void.self)
        return server.policy.loadLeases(on: server.loop)
            .flatMap { server.listenForCommands(commands, from: isReady.futureResult) }
            .flatMap { server.listenForSessions(setup) }
            .flatMap { server.listenForNames(setup) }
            .flatMap { server.listenForSecureNames(setup) }
            .flatMap { server.listenForSTUN(setup, group) }
            .flatMap { server.acceptSessions() }
            .map {
                server.beginMaintenance()
                server.beginRenewingCredentials()
                isReady.succeed()
                return server
            }
            .flatMapError { error in
                isReady.fail(error)
                server.closeCommands()
                return server.stop(within: .zero).flatMapThrowing { throw error }
            }
    }

    private init(
        _ setup: ServerSetup,
        _ parts: Parts,
        _ certificates: CertificateStore,
        _ group: any EventLoopGroup
    ) {
        self.parts = parts
        self.group = group
        self.certificates = certificates
        loop = group.next()
        stoppedPromise = loop.makePromise()
        since = parts.unixClock.now()
        let table = TunnelTable(setup, seed: parts.random.seed(), clock: parts.unixClock, log: parts.log)
        let listeners = TunnelListeners(log: parts.log) { Self.makeFrontEnd($0, setup, parts) }
        policy = ServerPolicy(
            setup: setup,
            store: parts.store,
            table: table,
            listeners: listeners,
            certificates: certificates,
            unixClock: parts.unixClock,
            clock: parts.clock,
            log: parts.log
        )
        names = Self.makeFrontEnd(
            table,
            setup,
            parts,
            secureAuthority: policy.secureAuthority,
            ownNames: Self.ownNames(setup)
        )
        entrance = Self.makeEntrance(setup, parts, policy, names: names)
        acceptor = Self.makeAcceptor(setup, parts, policy, names: names, entrance: entrance)
    }

    /// The tunnels and sessions in memory.
    package var table: TunnelTable { policy.table }

    /// The port of sessions, also when the system chose it.
    package var sessionPort: UInt16 { running.withLockedValue { $0.sessionPort } }

    /// The port of names; 0 when there is none.
    package var httpPort: UInt16 { policy.httpPort }

    /// The port of names with TLS; 0 when there is none.
    package var httpsPort: UInt16 { policy.httpsPort }

    /// What devices pin.
    package var fingerprint: KeyFingerprint { parts.identity.fingerprint }

    // MARK: Listening

    private func listenForSessions(_ setup: ServerSetup) -> EventLoopFuture<Void> {
        let makeBootstrap = { @Sendable [group, acceptor] in
            ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                // Devices wait in the system's queue until all is there that a login tells of.
                .serverChannelOption(.autoRead, value: false)
                .childChannelInitializer { acceptor.initialize($0) }
        }
        return DualStack.bind(makeBootstrap, address: setup.listen, port: setup.sessionPort, on: loop)
            .flatMapErrorThrowing { throw Self.cannotListen($0, setup.sessionPort, "sessions", zh: "会话") }
            .map { channel in
                self.running.withLockedValue { running in
                    running.sessionPort = channel.localEndpoint?.port ?? 0
                    running.listeners.append(channel)
                }
            }
    }

    private func acceptSessions() -> EventLoopFuture<Void> {
        guard let channel = running.withLockedValue({ $0.listeners.first }) else {
            return loop.makeSucceededVoidFuture()
        }
        return channel.setOption(.autoRead, value: true).hop(to: loop)
    }

    private func listenForNames(_ setup: ServerSetup) -> EventLoopFuture<Void> {
        guard let port = setup.httpPort else { return loop.makeSucceededVoidFuture() }
        if port != 0, port == setup.sessionPort {
            policy.changeable.withLockedValue { $0.httpPort = port }
            return loop.makeSucceededVoidFuture()
        }
        let isShared = port != 0 && port == setup.httpsPort
        let makeBootstrap = { @Sendable [group, names, entrance] in
            ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { isShared ? entrance.initialize($0) : names.initialize($0) }
        }
        return DualStack.bind(makeBootstrap, address: setup.tunnelListen, port: port, on: loop)
            .flatMapErrorThrowing { throw Self.cannotListen($0, port, "names", zh: "网站名字") }
            .map { channel in
                self.policy.changeable.withLockedValue { $0.httpPort = channel.localEndpoint?.port ?? 0 }
                self.running.withLockedValue { $0.listeners.append(channel) }
            }
    }

    private func listenForSecureNames(_ setup: ServerSetup) -> EventLoopFuture<Void> {
        guard let port = setup.httpsPort else { return loop.makeSucceededVoidFuture() }
        if port != 0, port == setup.sessionPort || port == setup.httpPort {
            policy.changeable.withLockedValue { $0.httpsPort = port }
            return loop.makeSucceededVoidFuture()
        }
        let makeBootstrap = { @Sendable [group, entrance] in
            ServerBootstrap(group: group)
                .serverChannelOption(.backlog, value: 1024)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
                .childChannelInitializer { entrance.initialize($0) }
        }
        return DualStack.bind(makeBootstrap, address: setup.tunnelListen, port: port, on: loop)
            .map { channel in
                self.policy.changeable.withLockedValue { $0.httpsPort = channel.localEndpoint?.port ?? 0 }
                self.running.withLockedValue { $0.listeners.append(channel) }
            }
            .flatMapErrorThrowing { error in
                let fault = Self.cannotListen(error, port, "names with TLS", zh: "https 名字")
                guard setup.isHTTPSOptional else { throw fault }
                let why = fault.why.first?.english ?? ""
                self.parts.log.warning("\(fault.what.english): \(why); the server runs without tls tunnels")
            }
    }

    /// Opens the Unix socket for commands, which are answered once the server is ready.
    private func listenForCommands(
        _ commands: ServerCommands?,
        from isReady: EventLoopFuture<Void>
    ) -> EventLoopFuture<Void> {
        guard let commands else { return loop.makeSucceededVoidFuture() }
        let path = commands.state.controlSocket
        return ControlListener.bind(path: path, group: group) { request, loop in
            isReady.hop(to: loop).flatMap { commands.answer(request, self, loop) }
        }
        .hop(to: loop)
        .flatMapErrorThrowing { error in
            throw AditError(
                .state,
                Text("the control socket cannot be opened", zh: "无法打开控制套接字"),
                why: [Text(verbatim: path), Text(verbatim: String(describing: error))],
                fix: Text("choose a shorter path with  --state FOLDER", zh: "请用 --state 目录 指定较短的路径")
            )
        }
        .map { channel in self.running.withLockedValue { $0.control = channel } }
    }

    private func beginMaintenance() {
        let interval = Self.maintenanceInterval
        let task = loop.scheduleRepeatedAsyncTask(initialDelay: interval, delay: interval) { _ in
            let done = self.policy.maintain(on: self.loop)
            self.policy.reportFailure(of: done)
            return done
        }
        running.withLockedValue { $0.maintenance = task }
        certificates.remind(at: parts.unixClock.now())
        let watch = parts.certificateInterval
        // Looking at files can take long on a slow disk: never on an event loop.
        let look = loop.scheduleRepeatedAsyncTask(initialDelay: watch, delay: watch) { [certificates, parts] _ in
            NIOThreadPool.singleton.runIfActive(eventLoop: self.loop) {
                certificates.refresh(at: parts.unixClock.now())
            }
        }
        running.withLockedValue { $0.certificates = look }
    }

    private static func cannotListen(_ error: any Error, _ port: UInt16, _ what: String, zh: String) -> AditError {
        let failure = error as? IOError
        let fix: Text? =
            if failure?.isAddressInUse == true {
                Text("find what has it:  ss -ltnp 'sport = :\(port)'", zh: "查看占用者：ss -ltnp 'sport = :\(port)'")
            } else if failure?.isPermissionMissing == true {
                Text("use a port from 1024, or run as root", zh: "请使用 1024 以上的端口，或以 root 运行")
            } else {
                nil
            }
        return AditError(
            .cannotListen,
            Text("port \(port), for \(what), cannot be opened", zh: "无法打开端口 \(port)（用于\(zh)）"),
            why: [Text(verbatim: failure?.words ?? String(describing: error))],
            fix: fix
        )
    }
}
