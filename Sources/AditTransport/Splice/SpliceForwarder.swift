// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// The limits of a forwarder.
package struct SpliceLimits: Sendable {
    /// How many threads there may be.
    package var threadCount: Int
    /// How many pipes each thread may have; without one, bytes are copied.
    package var pipesPerThread: Int
    /// How many bytes one direction may move before the next connection has its turn.
    package var bytesPerTurn: Int

    /// Makes limits; without arguments a thread for each processor up to four, 256 pipes, turns of 1 MiB.
    package init(threadCount: Int? = nil, pipesPerThread: Int = 256, bytesPerTurn: Int = 1024 * 1024) {
        let processors = Int(sysconf(CInt(_SC_NPROCESSORS_ONLN)))
        self.threadCount = threadCount ?? max(1, min(4, processors))
        self.pipesPerThread = pipesPerThread
        self.bytesPerTurn = bytesPerTurn
    }
}

/// Moves bytes between pairs of plain TCP sockets inside the kernel.
///
/// It has a few threads of its own, each with one epoll and one loop, which are started when the first pair comes and end
/// when the forwarder is released. Short messages are received and sent; when a read fills its buffer, the bytes go
/// through a pipe by splice(2) and never come to user space.
package final class SpliceForwarder: Sendable {
    private struct State {
        var lanes: [SpliceLane] = []
        var next = 0
    }

    private let limits: SpliceLimits
    private let state = Mutex(State())

    /// Makes a forwarder; no thread is started yet.
    package init(_ limits: SpliceLimits = SpliceLimits()) {
        self.limits = limits
    }

    deinit {
        for lane in state.withLock({ $0.lanes }) { lane.stop() }
    }

    /// The thread for the next pair of sockets; nil when none can be started.
    package func lane() -> SpliceLane? {
        state.withLock { state in
            if state.lanes.count < limits.threadCount, let lane = SpliceLane.start(limits) {
                state.lanes.append(lane)
                return lane
            }
            guard !state.lanes.isEmpty else { return nil }
            state.next = (state.next + 1) % state.lanes.count
            return state.lanes[state.next]
        }
    }
}
