// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// How much a source may ask of a STUN server over UDP, where a source can be forged.
package struct STUNLimits: Sendable, Equatable {
    /// Responses for each source in a second.
    package var responsesPerSecond: Int
    /// How many responses a source may have at once.
    package var burst: Int
    /// How many bytes beyond the length of its requests a source may get in a minute.
    package var creditPerMinute: Int
    /// How many bytes beyond the length of their requests all sources together may get in a second.
    package var totalCreditPerSecond: Int
    /// How many sources are remembered.
    package var capacity: Int

    /// Makes limits; all are at least 1.
    package init(
        responsesPerSecond: Int = 100,
        burst: Int = 200,
        creditPerMinute: Int = 4096,
        totalCreditPerSecond: Int = 64 * 1024,
        capacity: Int = 8192
    ) {
        self.responsesPerSecond = max(responsesPerSecond, 1)
        self.burst = max(burst, 1)
        self.creditPerMinute = max(creditPerMinute, 1)
        self.totalCreditPerSecond = max(totalCreditPerSecond, 1)
        self.capacity = max(capacity, 4)
    }
}

/// Holds each source to `STUNLimits`, in memory that does not grow.
///
/// Each source has two virtual clocks that run ahead of the real one by what it was given (the generic cell rate algorithm of
/// ITU-T I.371). They lie in groups of four; a new source takes the place of the one in its group that was quiet for
/// longest. The groups depend on a seed, so that nobody can choose sources that push out another.
struct STUNSourceLimiter: Sendable {
    private struct Entry {
        var key: UInt64 = 0
        /// When the source's responses are paid off, in nanoseconds.
        var responses: Int64 = STUNSourceLimiter.longAgo
        /// When the source's bytes on credit are paid off, in nanoseconds.
        var credit: Int64 = STUNSourceLimiter.longAgo
    }

    /// Before every instant, and far enough from the least number to be subtracted from.
    private static let longAgo = Int64.min / 2
    private static let groupSize = 4
    private static let minute: Int64 = 60_000_000_000

    private let seed: UInt64
    private let groupCount: Int
    private let responseInterval: Int64
    private let responseAllowance: Int64
    private let creditInterval: Int64
    private let totalInterval: Int64
    private var entries: [Entry]
    private var totalCredit = longAgo

    init(_ limits: STUNLimits, seed: UInt64) {
        self.seed = seed
        groupCount = (limits.capacity + Self.groupSize - 1) / Self.groupSize
        responseInterval = 1_000_000_000 / Int64(limits.responsesPerSecond)
        responseAllowance = responseInterval * Int64(limits.burst)
        creditInterval = max(Self.minute / Int64(limits.creditPerMinute), 1)
        totalInterval = max(1_000_000_000 / Int64(limits.totalCreditPerSecond), 1)
        entries = Array(repeating: Entry(), count: groupCount * Self.groupSize)
    }

    /// Counts one response; nil when the source has had its share, else its place and how many bytes it may have on credit.
    mutating func admit(_ source: IPAddress, at now: Instant) -> (place: Int, credit: Int)? {
        let key = key(of: source)
        let place = place(of: key)
        if entries[place].key != key { entries[place] = Entry(key: key) }
        let paid = max(entries[place].responses, now.nanoseconds)
        guard paid - now.nanoseconds < responseAllowance else { return nil }
        entries[place].responses = paid + responseInterval
        let own = (Self.minute - max(entries[place].credit - now.nanoseconds, 0)) / creditInterval
        let total = (1_000_000_000 - max(totalCredit - now.nanoseconds, 0)) / totalInterval
        return (place, Int(max(min(own, total), 0)))
    }

    /// Books bytes that a source got beyond its request.
    mutating func charge(_ byteCount: Int, to place: Int, at now: Instant) {
        let count = Int64(byteCount)
        // A debt is bounded too, so that a source that only gets what it must is forgiven within two minutes.
        entries[place].credit = min(
            max(entries[place].credit, now.nanoseconds) + count * creditInterval,
            now.nanoseconds + 2 * Self.minute
        )
        totalCredit = min(
            max(totalCredit, now.nanoseconds) + count * totalInterval,
            now.nanoseconds + 2_000_000_000
        )
    }

    private func place(of key: UInt64) -> Int {
        let start = Int(truncatingIfNeeded: key >> 32) % groupCount * Self.groupSize
        var oldest = start
        for index in start..<(start + Self.groupSize) {
            if entries[index].key == key { return index }
            if entries[index].responses < entries[oldest].responses { oldest = index }
        }
        return oldest
    }

    /// Never zero, which is an empty place.
    private func key(of source: IPAddress) -> UInt64 {
        switch source.source {
        case .v4(let number): mix(mix(UInt64(number) ^ seed) ^ 4) | 1
        case .v6(let high, let low): mix(mix(high ^ seed) ^ low ^ 6) | 1
        }
    }

    private func mix(_ value: UInt64) -> UInt64 {
        var generator = SeededGenerator(seed: value)
        return generator.next()
    }
}
