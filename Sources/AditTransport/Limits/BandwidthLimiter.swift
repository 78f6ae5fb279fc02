// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTunnel
import NIOConcurrencyHelpers
package import NIOCore

/// One bandwidth for everything that passes a tunnel in one direction, on whatever event loops that is.
///
/// While nobody waits there is no timer. Every method may be called from any thread.
package final class BandwidthLimiter: Sendable {
    private struct Member {
        var loop: any EventLoop
        var granted: @Sendable (Int) -> Void
    }

    private struct State {
        var scheduler: BandwidthScheduler
        var members: [UInt64: Member] = [:]
        var nextMember: UInt64 = 0
        var hasTimer = false
        var droppedDatagrams: UInt64 = 0
    }

    /// Turns are given no more often than this, so that a high bandwidth costs no more wake-ups than a low one.
    private static let shortestWait = Duration.milliseconds(1)

    /// What is shared.
    package let bandwidth: Bandwidth
    private let loop: any EventLoop
    private let clock: Clock
    private let state: NIOLockedValueBox<State>

    /// Makes a limiter whose timer runs on `loop`.
    package init(_ bandwidth: Bandwidth, on loop: any EventLoop, clock: Clock = .monotonic) {
        self.bandwidth = bandwidth
        self.loop = loop
        self.clock = clock
        state = NIOLockedValueBox(State(scheduler: BandwidthScheduler(bandwidth, at: clock.now())))
    }

    /// How many datagrams were not admitted.
    package var droppedDatagrams: UInt64 { state.withLockedValue { $0.droppedDatagrams } }

    /// Whether a datagram of that many bytes may pass now; one that may not is to be dropped, and is counted.
    package func admit(_ bytes: Int) -> Bool {
        let now = clock.now()
        return state.withLockedValue { state in
            if state.scheduler.admit(bytes, at: now) { return true }
            state.droppedDatagrams += 1
            return false
        }
    }

    /// Adds one who sends; `granted` is called on `loop` with bytes that had to wait for their turn.
    func join(on loop: any EventLoop, granted: @escaping @Sendable (Int) -> Void) -> UInt64 {
        state.withLockedValue { state in
            state.nextMember += 1
            state.members[state.nextMember] = Member(loop: loop, granted: granted)
            return state.nextMember
        }
    }

    /// Asks to send; how many bytes of it may go now. The rest is granted later.
    func request(_ bytes: Int, for member: UInt64) -> Int {
        let now = clock.now()
        let (taken, deadline) = state.withLockedValue { state -> (Int, Instant?) in
            let taken = state.scheduler.request(bytes, for: member, at: now)
            return (taken, Self.deadline(&state, now))
        }
        if let deadline { schedule(deadline) }
        return taken
    }

    /// Takes one away; `passing` bytes went without waiting and are made up for by those who stay.
    func leave(_ member: UInt64, passing bytes: Int) {
        let now = clock.now()
        state.withLockedValue { state in
            state.members[member] = nil
            state.scheduler.withdraw(member, charging: bytes, at: now)
        }
    }

    /// The time for which a timer is to be set, nil when none is needed or one is set.
    private static func deadline(_ state: inout State, _ now: Instant) -> Instant? {
        guard !state.hasTimer, let next = state.scheduler.nextDeadline(at: now) else { return nil }
        state.hasTimer = true
        return max(next, now + shortestWait)
    }

    private func schedule(_ deadline: Instant) {
        loop.scheduleTask(deadline: deadline.deadline) { [weak self] in self?.giveTurns() }
    }

    private func giveTurns() {
        let now = clock.now()
        let (grants, deadline) = state.withLockedValue { state -> ([(Member, Int)], Instant?) in
            state.hasTimer = false
            var bytes: [UInt64: Int] = [:]
            while let grant = state.scheduler.nextGrant(at: now) { bytes[grant.member, default: 0] += grant.bytes }
            let grants = bytes.compactMap { member, count in state.members[member].map { ($0, count) } }
            return (grants, Self.deadline(&state, now))
        }
        if let deadline { schedule(deadline) }
        for (member, count) in grants {
            if member.loop.inEventLoop {
                member.granted(count)
            } else {
                member.loop.execute { member.granted(count) }
            }
        }
    }
}
