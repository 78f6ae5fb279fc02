// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Lets each source address do something only so often.
///
/// IPv6 addresses count by their /64, since one host can have a whole one. The table is bounded: when it is full, addresses
/// that were quiet long enough are forgotten, then those that were quiet for longest.
package struct SourceRateLimiter: Sendable {
    private let rate: Rate
    private let capacity: Int
    private var buckets: [IPAddress: TokenBucket] = [:]
    private var lastUse: [IPAddress: Instant] = [:]

    /// Makes a limiter; each address has the rate's whole count free at first.
    ///
    /// - Parameter capacity: how many addresses are remembered.
    package init(_ rate: Rate, capacity: Int = 8192) {
        self.rate = rate
        self.capacity = capacity
    }

    /// How many addresses are remembered, and no more than the capacity.
    package var count: Int { buckets.count }

    /// Counts one more; nil when it is within the rate, else the time after which the next one will be.
    package mutating func admit(_ address: IPAddress, at now: Instant) -> Duration? {
        let key = address.source
        if buckets[key] == nil {
            if buckets.count >= capacity { makeRoom(now) }
            buckets[key] = TokenBucket(
                count: Int64(rate.count),
                per: rate.unit.duration,
                burst: Int64(rate.count),
                at: now
            )
        }
        lastUse[key] = now
        if buckets[key]?.take(1, at: now) == true { return nil }
        let ready = buckets[key]?.time(of: 1, at: now) ?? now
        return ready - now
    }

    private mutating func makeRoom(_ now: Instant) {
        for (key, bucket) in buckets {
            var bucket = bucket
            if bucket.isFull(at: now) { forget(key) }
        }
        // Half of the table goes at once, so that a flood of addresses does not sort it for each of them.
        guard buckets.count >= capacity else { return }
        for entry in lastUse.sorted(by: { $0.value < $1.value }).prefix(capacity / 2 + 1) { forget(entry.key) }
    }

    private mutating func forget(_ key: IPAddress) {
        buckets[key] = nil
        lastUse[key] = nil
    }
}
