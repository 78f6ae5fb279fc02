// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTransport
import AditTraversal
import ArgumentParser
import NIOCore
import NIOPosix

/// Looks for a path to a device by a session of its own, and shows what it finds.
struct PingRun: Sendable {
    private enum Wake: Sendable {
        case event(DeviceEvent)
        case measure
        case signal
        case limit
    }

    let peer: String
    let settings: PingModel.Settings
    let options: PathOptions
    let limit: Duration

    /// Runs until there is an answer.
    ///
    /// - Throws: `AditError` when there is no path, `Unreachable` when the server cannot be reached, `ExitCode` 1 after a signal
    ///   without a path.
    func run(home: DeviceHome, choice: ServerChoice) async throws {
        let (wakes, continuation) = AsyncStream.makeStream(of: Wake.self, bufferingPolicy: .bufferingNewest(4096))
        let signals = CommandSignal.watch { _ in continuation.yield(.signal) }
        defer { signals.cancel() }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let runtime = DeviceRuntime(server: choice.server, orders: [], loop: loop) { continuation.yield(.event($0)) }
        runtime.usePaths(
            PathService.Parts(
                key: try home.deviceKey(),
                home: home,
                server: choice.server,
                trust: choice.trust,
                options: options
            )
        )
        var configuration = TunnelRun.configuration(choice)
        configuration.takesSignals = true
        let session = DeviceSession(
            configuration: configuration,
            eventLoop: loop,
            delegate: runtime,
            logger: CommandLog.silent
        )
        let end = loop.scheduleTask(in: TimeAmount(limit)) { continuation.yield(.limit) }
        runtime.start(session)
        runtime.paths?.connect(peer)
        defer { end.cancel() }
        let failure = await show(wakes, runtime) { delay in
            loop.scheduleTask(in: delay) { continuation.yield(.measure) }
        }
        await withDeadline(.seconds(2), on: loop) { await runtime.stop() }
        if let failure { throw failure }
    }

    /// Shows news until there is an answer; why there is none, nil when there is one.
    private func show(
        _ wakes: AsyncStream<Wake>,
        _ runtime: DeviceRuntime,
        later: @escaping @Sendable (TimeAmount) -> Void
    ) async -> (any Error)? {
        var model = PingModel(peer: peer, settings: settings, style: ProcessFacts.style(), at: Clock.monotonic.now())
        var lastProblem: AditError?
        for await wake in wakes {
            let now = Clock.monotonic.now()
            var step = PingModel.Step.wait
            switch wake {
            case .event(.connected(let facts)): model.connected(as: facts.deviceName)
            case .event(.path(let news)): step = model.handle(news, at: now)
            case .event(.waiting(let error, _)): lastProblem = error
            case .event(.ended(let error)): return error ?? ExitCode.failure
            case .event: break
            case .measure: step = .measure
            case .limit, .signal:
                guard model.hasPath else {
                    if case .signal = wake { return ExitCode.failure }
                    if let lastProblem { return Unreachable(error: lastProblem) }
                    return PathWords.failure(.noPath, peer)
                }
                step = .finish
            }
            switch step {
            case .wait: break
            case .measure: runtime.paths?.measure(peer)
            case .measureLater: later(.seconds(1))
            case .finish:
                model.finish(at: now)
                write(model.takeOutput())
                return nil
            case .fail(let error):
                write(model.takeOutput())
                return error
            }
            write(model.takeOutput())
        }
        return nil
    }

    private func write(_ outputs: [ScreenOutput]) {
        for output in outputs {
            switch output {
            case .line(let text): StandardStream.line(text)
            case .aside(let text): StandardStream.aside(text)
            case .status: break
            }
        }
    }
}
