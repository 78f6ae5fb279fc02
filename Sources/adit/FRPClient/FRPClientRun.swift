// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import AditServer
import AditTransport
import ArgumentParser
import Logging
import NIOCore
import NIOPosix

/// Runs frp's client until a signal, or until its first login failed.
struct FRPClientRun {
    private enum Wake: Sendable {
        case stop
        case failed
    }

    let configuration: FRPClientConfiguration
    var warnings: [String] = []
    let source: FRPClientSource

    init(configuration: FRPClientConfiguration, warnings: [String] = [], source: FRPClientSource) {
        self.configuration = configuration
        self.warnings = warnings
        self.source = source
    }

    /// Runs; `beginning` is the first line of the log.
    ///
    /// - Throws: `ExitCode` 1 when the log cannot be written or the first login failed.
    func run(beginning: String) async throws {
        let refusals = FRPClientSetup.refusals(configuration)
        guard refusals.isEmpty else { throw FRPClientSource.failure(refusals.joined(separator: "\n")) }
        let token = try source.token(configuration.auth)
        let file = configuration.log
        let isConsole = file.to.isEmpty || file.to == "console"
        guard let output = isConsole ? .standardOutput() : LogOutput.file(file.to, maxDays: file.maxDays) else {
            throw FRPClientSource.failure("the log file \(file.to) cannot be opened")
        }
        defer { output.flush() }
        output.level = Logger.Level(file.level)
        let log = Logger(label: "frpc") { LineLogHandler(label: $0, style: .frp, output: output) }
        log.info("\(beginning)")
        for warning in warnings { log.warning("\(warning)") }
        let setup = FRPClientSetup(
            configuration,
            token: token,
            hostname: ProcessFacts.hostName(),
            version: VersionCommand.frpVersion
        )
        let (wakes, continuation) = AsyncStream.makeStream(of: Wake.self)
        let signals = CommandSignal.watch { _ in continuation.yield(.stop) }
        defer { signals.cancel() }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let runtime = FRPClientRuntime(setup, exitsOnFailure: configuration.loginFailExit, log: log) {
            continuation.yield(.failed)
        }
        let session = DeviceSession(configuration: setup.session, eventLoop: loop, delegate: runtime, logger: log)
        runtime.start(session)
        let hasOthers = !setup.proxies.isEmpty
        let hidden = try startPrivate(setup, on: loop, log: log) { if !hasOthers { continuation.yield(.failed) } }
        for await wake in wakes {
            await withDeadline(.seconds(2), on: loop) {
                try? await hidden?.stop().get()
                try? await session.stop().get()
            }
            if wake == .failed { throw ExitCode(1) }
            return
        }
    }
    /// Starts the private proxies and visitors, if there are any; `refused` is called when the server will not have them.
    private func startPrivate(
        _ setup: FRPClientSetup,
        on loop: any EventLoop,
        log: Logger,
        refused: @escaping @Sendable () -> Void
    ) throws -> FRPPrivateRuntime? {
        guard let part = try FRPPrivateSetup(configuration, base: setup.session, seed: RandomBytes.system(32)) else {
            return nil
        }
        let runtime = FRPPrivateRuntime(part, on: loop, log: log) { _ in refused() }
        runtime.start(DeviceSession(configuration: part.session, eventLoop: loop, delegate: runtime, logger: log))
        return runtime
    }
}
