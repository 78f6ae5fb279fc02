// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTunnel
import AditWire
import NIOConcurrencyHelpers
package import NIOCore

extension AditServer {
    /// After how many milliseconds a device that was told of the stop should come back: a restart takes about as long.
    private static let reconnectDelay = 1000
    /// How long sessions may take to say goodbye.
    private static let farewell: TimeAmount = .seconds(2)

    /// Whether `stop` was called.
    package var isStopping: Bool { running.withLockedValue { $0.isStopping } }

    /// Waits for the end of a stop.
    package func stopped() async throws {
        try await stoppedPromise.futureResult.get()
    }

    /// Stops: nobody new gets in, Adit devices are told, and visitors may finish within `limit`.
    ///
    /// A second call with no time left ends the wait. Never fails.
    @discardableResult
    package func stop(within limit: Duration) -> EventLoopFuture<Void> {
        let waited = loop.makePromise(of: Void.self)
        let (earlier, state) = running.withLockedValue { running -> (Running?, Running) in
            if running.isStopping { return (running, running) }
            running.isStopping = true
            running.waited = waited
            return (nil, running)
        }
        if let earlier {
            waited.succeed()
            if limit == .zero { earlier.waited?.succeed() }
            return stoppedPromise.futureResult
        }
        policy.changeable.withLockedValue { $0.isStopping = true }
        state.maintenance?.cancel()
        state.certificates?.cancel()
        state.renewals?.cancel()
        for listener in state.listeners { listener.close(promise: nil) }
        policy.turnService?.stop()
        state.stun?.stop()
        let tunnels = table.tunnels
        for session in table.sessions {
            session.send(.draining(AditDraining(reconnectAfterMs: Self.reconnectDelay)))
        }
        policy.noteUse(of: tunnels, on: loop)
        let visitors = [names.drain(on: loop)] + tunnels.map { $0.drain(on: loop) }
        EventLoopFuture.andAllComplete(visitors, on: loop).whenComplete { _ in waited.succeed() }
        let timer = loop.scheduleTask(in: TimeAmount(limit)) { waited.succeed() }
        waited.futureResult.whenComplete { _ in
            timer.cancel()
            self.endEverything(self.stoppedPromise)
        }
        return stoppedPromise.futureResult
    }

    private func endEverything(_ stopped: EventLoopPromise<Void>) {
        names.closeAll()
        for tunnel in table.tunnels { tunnel.close() }
        let sessions = table.sessions
        for session in sessions { session.close(.draining) }
        let ended = EventLoopFuture.andAllComplete(sessions.map { $0.closed.hop(to: loop) }, on: loop)
        let timer = loop.scheduleTask(in: Self.farewell) { stopped.succeed() }
        ended.flatMap {
            // What the ends of sessions wrote to the store was queued before this.
            self.parts.store.devices(on: self.loop)
        }.whenComplete { _ in
            timer.cancel()
            stopped.succeed()
        }
    }

    /// Closes the socket for commands, which tells a command that waits for the stop that it is done.
    package func closeCommands() {
        running.withLockedValue { running in
            defer { running.control = nil }
            return running.control
        }?.close(promise: nil)
    }
}
