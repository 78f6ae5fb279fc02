// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Tokens that come at a steady rate up to a burst, counted exactly: in any time `t` no more than rate × t + burst are taken.
///
/// Levels are kept in tokens times the period in nanoseconds, so that nothing is rounded at any rate.
package struct TokenBucket: Sendable {
    private let count: Int128
    private let period: Int128
    private let capacity: Int128
    private var level: Int128
    private var at: Instant

    /// Makes a full bucket to which `count` tokens are added in each `period`; both are positive.
    ///
    /// - Parameter burst: how many tokens it holds, at least 1.
    package init(count: Int64, per period: Duration, burst: Int64, at now: Instant) {
        precondition(count > 0 && period > .zero && burst > 0, "a bucket has a rate and a size")
        self.count = Int128(count)
        self.period = Int128(period.wholeNanoseconds)
        capacity = Int128(burst) * self.period
        level = capacity
        at = now
    }

    /// Whether it holds as many tokens as it can.
    package mutating func isFull(at now: Instant) -> Bool {
        refill(now)
        return level == capacity
    }

    /// Takes tokens; false, and none taken, when there are too few.
    package mutating func take(_ tokens: Int64, at now: Instant) -> Bool {
        refill(now)
        let cost = Int128(tokens) * period
        guard cost <= level else { return false }
        level -= cost
        return true
    }

    /// Takes as many tokens as there are, at most `tokens`; how many that is.
    package mutating func take(upTo tokens: Int64, at now: Instant) -> Int64 {
        refill(now)
        guard level > 0 else { return 0 }
        let taken = min(Int128(tokens), level / period)
        level -= taken * period
        return Int64(taken)
    }

    /// Takes tokens that were used without asking; the bucket may owe some afterwards.
    package mutating func charge(_ tokens: Int64, at now: Instant) {
        refill(now)
        level -= Int128(tokens) * period
    }

    /// When as many tokens will be there; more than the burst counts as the burst.
    package mutating func time(of tokens: Int64, at now: Instant) -> Instant {
        refill(now)
        let missing = min(Int128(tokens) * period, capacity) - level
        guard missing > 0 else { return now }
        let wait = (missing + count - 1) / count
        return now + .nanoseconds(Int64(clamping: min(wait, Int128(Int64.max / 2))))
    }

    private mutating func refill(_ now: Instant) {
        guard now > at else { return }
        let elapsed = Int128(now.nanoseconds) - Int128(at.nanoseconds)
        level = min(capacity, level + elapsed * count)
        at = now
    }
}
