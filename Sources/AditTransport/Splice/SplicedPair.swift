// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditPlatform
import Synchronization

/// A connected TCP socket that the forwarder takes over, with what was read from it before.
package struct SpliceSocket: Sendable {
    /// Non-blocking; closed by the forwarder.
    package var descriptor: CInt
    /// Bytes that were received already; they go to the other side first.
    package var early: [UInt8]

    /// Makes a socket from its parts.
    package init(descriptor: CInt, early: [UInt8] = []) {
        self.descriptor = descriptor
        self.early = early
    }
}

/// Two sockets that the forwarder joins. May be used from any thread.
///
/// It exists before the sockets are handed over, so that whoever may have to break them off can know it in time.
package final class SplicedPair: Sendable {
    private struct State {
        var connection: SpliceConnection?
        var isAborted = false
    }

    private let lane: SpliceLane
    private let state = Mutex(State())

    /// Makes a pair that will run on a thread of the forwarder.
    package init(on lane: SpliceLane) {
        self.lane = lane
    }

    /// Joins the sockets until both directions have ended; both are closed then. To be called once.
    ///
    /// Both callbacks come on the forwarder's thread, or at once when the pair was aborted before: `onBytes` with what was
    /// received since the last time, while it runs; `onEnd` once.
    package func start(
        _ first: SpliceSocket,
        _ second: SpliceSocket,
        onBytes: @escaping @Sendable (_ fromFirst: Int, _ fromSecond: Int) -> Void,
        onEnd: @escaping @Sendable (RelayOutcome) -> Void
    ) {
        let isStarted = state.withLock { state in
            guard !state.isAborted else { return false }
            let connection = SpliceConnection(first, second, onBytes: onBytes, onEnd: onEnd)
            guard lane.post(.join(connection)) else { return false }
            state.connection = connection
            return true
        }
        guard !isStarted else { return }
        adit_close_with_reset(first.descriptor)
        adit_close_with_reset(second.descriptor)
        onEnd(RelayOutcome(bytesFromFirst: 0, bytesFromSecond: 0, endedBy: nil, end: .reset))
    }

    /// Breaks the connection off, now or as soon as it starts; both peers see a reset.
    package func abort() {
        let connection = state.withLock { state in
            state.isAborted = true
            return state.connection
        }
        if let connection { lane.post(.abort(connection)) }
    }
}
