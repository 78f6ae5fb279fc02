// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
package import Logging
import NIOCore
import NIOPosix

/// A server as a process runs it: with a state folder, a control socket and signals, from start to the last goodbye.
package struct ServerProcess: Sendable {
    /// Reads the configuration again, for a reload.
    package typealias Setup = @Sendable () throws -> ServerSetup

    private let setup: ServerSetup
    private let readAgain: Setup
    private let state: ServerState?
    private let log: Logger
    private let output: LogOutput
    private let version: String

    /// Makes a process.
    ///
    /// - Parameters:
    ///   - state: where keys, devices and leases are kept; nil forgets them with the process, as frps does.
    ///   - readAgain: gives the setup anew when a reload is asked for.
    package init(
        setup: ServerSetup,
        state: ServerState?,
        log: Logger,
        output: LogOutput,
        version: String,
        readAgain: @escaping Setup
    ) {
        self.setup = setup
        self.state = state
        self.log = log
        self.output = output
        self.version = version
        self.readAgain = readAgain
    }

    /// Runs until the process is asked to stop.
    ///
    /// - Parameter started: called once, when every port is open.
    /// - Throws: `AditError` when the server cannot start.
    package func run(
        signals: AsyncStream<ProcessSignal>,
        started: @Sendable (AditServer) -> Void
    ) async throws {
        OpenFileLimit.raise()
        try state?.prepare()
        let lock = try state.map { state throws(AditError) in try StateLock(state) }
        defer { withExtendedLifetime(lock) {} }
        let now = UnixClock.system.now()
        let store = try state.map { try Store(path: $0.databaseFile) } ?? Store.inMemory()
        defer { store.close() }
        state?.closeDatabaseFiles()
        let identity = try makeIdentity(at: now)
        let parts = AditServer.Parts(store: store, identity: identity, log: log, version: version)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: System.coreCount)
        let server: AditServer
        do {
            let commands = state.map { ServerCommands($0, answer: answer) }
            server = try await AditServer.start(setup, parts: parts, group: group, commands: commands).get()
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        started(server)
        let watching = Task {
            for await signal in signals {
                switch signal {
                case .reload: _ = try? self.reload(server)
                case .stop:
                    let isSecond = server.isStopping
                    self.log.notice(isSecond ? "stopping at once" : "stopping; a second signal stops at once")
                    server.stop(within: isSecond ? .zero : server.drainLimit)
                }
            }
        }
        try await server.stopped()
        watching.cancel()
        log.notice("the server has stopped")
        server.closeCommands()
        // The event loops end with the process. What the ends of sessions still hand from one to another, and answers of the
        // store that nobody waits for any more, need a loop that takes them.
    }

    private func makeIdentity(at now: UnixTime) throws -> ServerIdentity {
        if !setup.tlsFiles.certFile.isEmpty { return try ServerIdentity.load(setup.tlsFiles) }
        guard let state else { return try ServerIdentity.temporary(at: now, files: setup.tlsFiles) }
        return try ServerIdentity.loadOrMake(in: state, at: now)
    }

    private func answer(
        _ request: ControlRequest,
        _ server: AditServer,
        _ loop: any EventLoop
    ) -> EventLoopFuture<ControlReply> {
        switch request.command {
        case .status:
            return server.status(on: loop).map { status in
                var reply = ControlReply()
                reply.status = status
                return reply
            }
        case .recheck:
            return server.policy.recheck(on: loop).map { _ in ControlReply() }
        case .reload:
            do {
                return loop.makeSucceededFuture(try reload(server))
            } catch {
                let fault = error as? AditError ?? AditError(.configuration, Text(verbatim: String(describing: error)))
                return loop.makeSucceededFuture(ControlReply(fault))
            }
        case .stop:
            log.notice("stopping, as a command asked")
            server.stop(within: server.drainLimit)
            return loop.makeSucceededFuture(ControlReply())
        }
    }

    private func reload(_ server: AditServer) throws -> ControlReply {
        do {
            let wanted = try readAgain()
            try server.certificates.replace(wanted.certificates)
            let outcome = server.reload(wanted)
            output.level = Logger.Level(wanted.logLevel)
            log.notice(
                "configuration read again",
                metadata: [
                    "changed": "\(outcome.changed.joined(separator: ","))",
                    "needsRestart": "\(outcome.needsRestart.joined(separator: ","))",
                ]
            )
            var reply = ControlReply()
            reply.changed = outcome.changed
            reply.needsRestart = outcome.needsRestart
            return reply
        } catch {
            log.error("the configuration was not taken up: \(error)")
            throw error
        }
    }
}

extension AditServer {
    /// How long a stop waits for visitors, as of the last reload.
    package var drainLimit: Duration { policy.setup.drain }
}
