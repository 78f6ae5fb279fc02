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
    let services: [ServiceOrder]
    let visits: [VisitOrder]
    let session: SessionOptions
    /// Whether a local port that is taken is replaced by a free one.
    let takesFreePort: Bool
    /// Reads the tunnels and services again at SIGHUP; nil where SIGHUP means to stop.
    var reload: (@Sendable () throws -> ([TunnelOrder], [ServiceOrder]))?

    init(
        orders: [TunnelOrder],
        services: [ServiceOrder] = [],
        visits: [VisitOrder] = [],
        session: SessionOptions,
        takesFreePort: Bool = false,
        reload: (@Sendable () throws -> ([TunnelOrder], [ServiceOrder]))? = nil
    ) {
        self.orders = orders
        self.services = services
        self.visits = visits
        self.session = session
        self.takesFreePort = takesFreePort
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
        let link = try DeviceLinkSetup(
            choice,
            home,
            session,
            orders: orders,
            services: services,
            loop: loop
        ) { event in
            switch event {
            case .connected(let facts): Self.remember(facts, of: choice.server, in: home)
            case .turnOffered(let offer): Self.remember(offer, of: choice.server, in: home)
            default: break
            }
            mailbox.post(event)
        }
        let runtime = link.runtime
        let status = try await StatusSocket.open(in: home, group: loop) { runtime.status }
        link.start()
        do {
            for order in visits { try await listen(order, link.services) { mailbox.post($0) } }
        } catch {
            await status.close()
            await withDeadline(.seconds(2), on: loop) { await runtime.stop() }
            throw error
        }
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

    /// Opens a local port, another than the wanted one where that may be.
    private func listen(
        _ order: VisitOrder,
        _ services: DeviceServices,
        tell: (DeviceEvent) -> Void
    ) async throws {
        do {
            tell(.visiting(order.place, try await services.listen(order).get()))
        } catch {
            guard takesFreePort, order.port != 0 else { throw error }
            var free = order
            free.port = 0
            tell(.visiting(order.place, try await services.listen(free).get()))
        }
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
        var screen = Screen(style: ProcessFacts.style(), mode: mode, orders: orders, services: services, visits: visits)
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
        _ reload: () throws -> ([TunnelOrder], [ServiceOrder]),
        _ runtime: DeviceRuntime,
        _ screen: inout Screen
    ) {
        do {
            let (orders, services) = try reload()
            screen.replaceOrders(orders, services)
            runtime.replaceTunnels(with: orders)
            runtime.services?.offer(services)
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
