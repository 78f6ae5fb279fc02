// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTransport
import AditWire
import ArgumentParser
import Logging
import NIOCore
import NIOPosix

/// Opens tunnels and shows what happens until a signal, or until a person has to mend something.
struct TunnelRun: Sendable {
    /// What wakes the loop.
    private enum Wake: Sendable {
        case events([DeviceEvent])
        case signal(CommandSignal)
        case tick
    }

    let orders: [TunnelOrder]
    let session: SessionOptions
    /// Reads the tunnels again at SIGHUP; nil where SIGHUP means to stop.
    var reload: (@Sendable () throws -> [TunnelOrder])?

    init(
        orders: [TunnelOrder],
        session: SessionOptions,
        reload: (@Sendable () throws -> [TunnelOrder])? = nil
    ) {
        self.orders = orders
        self.session = session
        self.reload = reload
    }

    /// Runs until the end; a signal is a good end.
    ///
    /// - Throws: `ExitCode` 1 after an error that was shown, 3 when `--once` did not reach the server.
    func run() async throws {
        let mode = try session.mode()
        let home = try ProcessFacts.home()
        try home.prepare()
        let choice = try session.choice(home: home)
        try await run(mode: mode, home: home, choice: choice)
    }

    /// Runs with a server that was chosen already.
    func run(mode: ScreenMode, home: DeviceHome, choice: ServerChoice) async throws {
        let (wakes, continuation) = AsyncStream.makeStream(of: Wake.self, bufferingPolicy: .bufferingNewest(4096))
        let signals = CommandSignal.watch { continuation.yield(.signal($0)) }
        defer { signals.cancel() }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let mailbox = EventMailbox(on: loop) { continuation.yield(.events($0)) }
        let runtime = DeviceRuntime(server: choice.server, orders: orders, loop: loop) { event in
            switch event {
            case .connected(let facts): Self.remember(facts, of: choice.server, in: home)
            case .turnOffered(let offer): Self.remember(offer, of: choice.server, in: home)
            default: break
            }
            mailbox.post(event)
        }
        let status = try await StatusSocket.open(in: home, group: loop) { runtime.status }
        var configuration = Self.configuration(choice)
        if let parts = try pathParts(choice, home) {
            runtime.usePaths(parts)
            configuration.takesSignals = true
        }
        runtime.start(
            DeviceSession(
                configuration: configuration,
                eventLoop: loop,
                delegate: runtime,
                logger: CommandLog.silent
            )
        )
        let ticker = loop.scheduleRepeatedTask(initialDelay: .seconds(1), delay: .seconds(1)) { _ in
            continuation.yield(.tick)
        }
        let exit = await show(wakes, mode: mode, runtime: runtime)
        ticker.cancel()
        await status.close()
        await withDeadline(.seconds(2), on: loop) { await runtime.stop() }
        if let exit { throw exit }
    }

    /// Keeps where the server answers STUN and TURN for commands that run without a session; files are not for an event
    /// loop.
    private static func remember(_ facts: SessionFacts, of server: HostPort, in home: DeviceHome) {
        NIOThreadPool.singleton.submit { _ in
            try? home.note(facts.stun, of: server)
            try? home.note(facts.turn, of: server)
        }
    }

    private static func remember(_ offer: TURNOffer, of server: HostPort, in home: DeviceHome) {
        NIOThreadPool.singleton.submit { _ in try? home.note(offer, of: server) }
    }

    /// What finding paths to other devices needs; nil when this process takes no part.
    private func pathParts(_ choice: ServerChoice, _ home: DeviceHome) throws(AditError) -> PathService.Parts? {
        guard var options = session.paths.options() else { return nil }
        // Whoever came for nothing else wants to be found at once.
        options.staysReady = orders.isEmpty
        return PathService.Parts(
            key: try home.deviceKey(),
            home: home,
            server: choice.server,
            trust: choice.trust,
            options: options
        )
    }

    /// The session of a command.
    static func configuration(_ choice: ServerChoice) -> DeviceSessionConfiguration {
        var configuration = DeviceSessionConfiguration(
            server: choice.server,
            credentials: choice.credentials,
            serverTrust: choice.trust
        )
        configuration.wireVersion = choice.wireVersion
        configuration.hostname = ProcessFacts.hostName()
        configuration.deviceName = configuration.hostname
        configuration.version = VersionCommand.version
        return configuration
    }

    /// Shows events until the end; the exit code that the end deserves, nil for a good one.
    private func show(_ wakes: AsyncStream<Wake>, mode: ScreenMode, runtime: DeviceRuntime) async -> ExitCode? {
        var screen = Screen(style: ProcessFacts.style(), mode: mode, orders: orders)
        for await wake in wakes {
            switch wake {
            case .tick: screen.tick()
            case .signal(.hangUp):
                guard let reload else {
                    screen.show(.ended(nil))
                    return nil
                }
                reloadTunnels(reload, runtime, &screen)
            case .signal(.stop):
                screen.show(.ended(nil))
                return nil
            case .events(let events):
                for event in events {
                    if session.once, case .waiting(let error, _) = event {
                        screen.show(.ended(error))
                        return ExitCode(3)
                    }
                    screen.show(event)
                    if case .ended(let error) = event { return error == nil ? nil : .failure }
                }
            }
        }
        return nil
    }

    private func reloadTunnels(
        _ reload: () throws -> [TunnelOrder],
        _ runtime: DeviceRuntime,
        _ screen: inout Screen
    ) {
        do {
            let orders = try reload()
            screen.replaceOrders(orders)
            runtime.replaceTunnels(with: orders)
        } catch {
            // The tunnels that run are worth more than a file with a mistake in it.
            CommandFailure.show(error)
        }
    }
}

/// Runs work, and stops waiting for it after a while: a goodbye must not keep the person.
func withDeadline(_ limit: TimeAmount, on loop: any EventLoop, _ work: @escaping @Sendable () async -> Void) async {
    let done = loop.makePromise(of: Void.self)
    let timer = loop.scheduleTask(in: limit) { done.succeed() }
    Task {
        await work()
        done.succeed()
    }
    try? await done.futureResult.get()
    timer.cancel()
}
