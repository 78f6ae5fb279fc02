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
        case patience
        case overdue(Int)
        case signal
        case limit
    }

    /// What both NATs do is known after 2 s; a discovery may take 4.8 s, and its result has to be told.
    private static let patience = TimeAmount.milliseconds(5500)

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
        let failure = await show(wakes, runtime) { wake, delay in
            loop.scheduleTask(in: delay) { continuation.yield(wake) }
        }
        await withDeadline(.seconds(2), on: loop) { await runtime.stop() }
        if let failure { throw failure }
    }

    /// Shows news until there is an answer; why there is none, nil when there is one.
    private func show(
        _ wakes: AsyncStream<Wake>,
        _ runtime: DeviceRuntime,
        later: @escaping @Sendable (Wake, TimeAmount) -> Void
    ) async -> (any Error)? {
        var model = PingModel(peer: peer, settings: settings, style: ProcessFacts.style(), at: Clock.monotonic.now())
        var lastProblem: AditError?
        for await wake in wakes {
            let now = Clock.monotonic.now()
            var step = PingModel.Step.wait
            switch wake {
            case .event(.connected(let facts)):
                model.connected(as: facts.deviceName, offersSTUN: facts.stun != nil)
                // Without a server of STUN nobody finds out.
                later(.patience, facts.stun == nil ? .zero : Self.patience)
            case .event(.path(let news)): step = model.handle(news, at: now)
            case .event(.waiting(let error, _)): lastProblem = error
            case .event(.ended(let error)):
                if let error { model.fail(error, at: now) }
                write(model.takeOutput())
                return error ?? ExitCode.failure
            case .event: break
            case .measure: step = .measure
            case .patience: step = model.endPatience()
            case .overdue(let number): step = model.overdue(number)
            case .limit, .signal:
                guard model.hasPath else {
                    if case .signal = wake { return ExitCode.failure }
                    let error = lastProblem ?? PathWords.failure(.noPath, peer, reason: model.reason)
                    model.fail(error, at: now)
                    write(model.takeOutput())
                    return lastProblem == nil ? error : Unreachable(error: error)
                }
                step = .finish
            }
            switch step {
            case .wait: break
            case .measure:
                if let contact = model.contact { runtime.paths?.measure(contact.id) }
                if let number = model.awaited { later(.overdue(number), .seconds(3)) }
            case .measureLater: later(.measure, .seconds(1))
            case .finish:
                model.finish(at: now)
                write(model.takeOutput())
                return nil
            case .fail(let error):
                model.fail(error, at: now)
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
