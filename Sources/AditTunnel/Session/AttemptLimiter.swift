// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Counts failed logins for each address and turns those away that fail too often.
///
/// IPv6 addresses count by their /64, since one host can have a whole one. The table is bounded; when it is full, the entry that
/// was quiet for longest is forgotten.
package struct AttemptLimiter: Sendable {
    private struct Bucket: Sendable {
        var failures: Double
        var at: Instant
    }

    private let burst: Double
    private let recovery: Duration
    private let capacity: Int
    private var buckets: [IPAddress: Bucket] = [:]

    /// Makes a limiter.
    ///
    /// - Parameters:
    ///   - burst: how many failures an address has free.
    ///   - recovery: the time after which one failure is forgiven.
    ///   - capacity: how many addresses are remembered.
    package init(burst: Int = 10, recovery: Duration = .seconds(6), capacity: Int = 4096) {
        self.burst = Double(burst)
        self.recovery = recovery
        self.capacity = capacity
    }

    /// How many addresses are remembered.
    package var count: Int { buckets.count }

    /// Whether an address has used up its failures.
    package func isBlocked(_ address: IPAddress, at now: Instant) -> Bool {
        guard let bucket = buckets[address.source] else { return false }
        return level(bucket, now) > burst - 1
    }

    /// Counts one failure.
    package mutating func recordFailure(_ address: IPAddress, at now: Instant) {
        let key = address.source
        if let bucket = buckets[key] {
            buckets[key] = Bucket(failures: min(level(bucket, now) + 1, burst * 2), at: now)
            return
        }
        if buckets.count >= capacity { makeRoom(now) }
        buckets[key] = Bucket(failures: 1, at: now)
    }

    private mutating func makeRoom(_ now: Instant) {
        buckets = buckets.filter { level($0.value, now) > 0 }
        // Half of the table goes at once, so that a flood of addresses does not sort it for each of them.
        guard buckets.count >= capacity else { return }
        let oldest = buckets.sorted { $0.value.at < $1.value.at }.prefix(capacity / 2 + 1)
        for entry in oldest { buckets[entry.key] = nil }
    }

    private func level(_ bucket: Bucket, _ now: Instant) -> Double {
        max(0, bucket.failures - (now - bucket.at).inSeconds / recovery.inSeconds)
    }
}
