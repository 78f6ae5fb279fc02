// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Holds packets back so that never more than so many leave in any second.
///
/// The packets that TCP will send by itself are counted when they will leave, unless the connection is over before.
package struct PacketPace: Sendable {
    /// After how long TCP sends a SYN again, counted from the first (RFC 6298 section 2, doubling).
    package static let repetitions: [Duration] = [.seconds(1), .seconds(3), .seconds(7), .seconds(15)]

    private static let second: Int64 = 1_000_000_000

    /// How many packets may leave in any second.
    package let limit: Int
    /// When packets left, or will leave, in order.
    private var stamps: [Int64] = []

    /// Makes a pace of so many packets in any second.
    package init(_ limit: Int) {
        self.limit = max(1, limit)
    }

    /// Takes a packet's place, and those of what follows it; false when there is none.
    package mutating func take(at now: Instant, repeating: [Duration] = []) -> Bool {
        let start = now.nanoseconds
        let old = stamps.partitioningIndex { $0 > start - Self.second }
        if old > 0 { stamps.removeSubrange(..<old) }
        let all = [start] + repeating.map { start + $0.wholeNanoseconds }
        guard all.allSatisfy(hasRoom) else { return false }
        for stamp in all { stamps.insert(stamp, at: stamps.partitioningIndex { $0 > stamp }) }
        return true
    }

    /// Gives back what would have followed a packet that left at `sent`, because its connection is over.
    package mutating func giveBack(sent: Instant, at now: Instant) {
        for repetition in Self.repetitions {
            let stamp = sent.nanoseconds + repetition.wholeNanoseconds
            guard stamp > now.nanoseconds else { continue }
            let index = stamps.partitioningIndex { $0 >= stamp }
            if index < stamps.count, stamps[index] == stamp { stamps.remove(at: index) }
        }
    }

    /// When there will be a place, as far as is known.
    package func next(at now: Instant) -> Instant {
        let index = stamps.partitioningIndex { $0 > now.nanoseconds - Self.second }
        guard stamps.count - index >= limit else { return now }
        return Instant(nanoseconds: max(stamps[stamps.count - limit] + Self.second, now.nanoseconds + 1))
    }

    /// Whether every second that contains the time has room for one more.
    private func hasRoom(_ time: Int64) -> Bool {
        var first = stamps.partitioningIndex { $0 > time - Self.second }
        var end = first
        // The second that ends with the time, and those that begin with a packet before it.
        while true {
            let from = first < stamps.count && stamps[first] < time ? stamps[first] : time
            while end < stamps.count, stamps[end] < from + Self.second { end += 1 }
            if end - first >= limit { return false }
            if from == time { return true }
            first += 1
        }
    }
}

extension Array {
    /// The index of the first element for which `belongs` holds, where it holds for all that follow too.
    func partitioningIndex(_ belongs: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if belongs(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
