// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

/// Which port the next mapping gets.
struct NATPortAllocator {
    private var last: UInt16
    private var nextForeign: Int64?
    private var random: SeededGenerator

    init(_ behavior: NATBehavior, random: SeededGenerator) {
        self.random = random
        last = self.random.port(in: behavior.portRange)
    }

    /// A port that is not taken; nil when there is none.
    mutating func port(
        _ behavior: NATBehavior,
        internal port: UInt16,
        at now: Int64,
        isTaken: (UInt16) -> Bool
    ) -> UInt16? {
        switch behavior.allocation {
        case .preserving:
            if !isTaken(port) { return port }
            return any(in: behavior.portRange, isTaken)
        case .random: return any(in: behavior.portRange, isTaken)
        case .block(let range): return any(in: range, isTaken)
        case .sequential(let step):
            passForeignFlows(behavior, step: step, until: now)
            for _ in 0..<behavior.portRange.count {
                advance(step, in: behavior.portRange)
                if !isTaken(last) { return last }
            }
            return nil
        }
    }

    /// One of the `count` addresses of a pool.
    mutating func addressIndex(of count: Int) -> Int {
        Int(random.next() >> 33) % count
    }

    private mutating func any(in range: ClosedRange<UInt16>, _ isTaken: (UInt16) -> Bool) -> UInt16? {
        for _ in 0..<32 {
            let port = random.port(in: range)
            if !isTaken(port) { return port }
        }
        let start = Int(random.port(in: range)) - Int(range.lowerBound)
        for step in 0..<range.count {
            let port = UInt16(Int(range.lowerBound) + (start + step) % range.count)
            if !isTaken(port) { return port }
        }
        return nil
    }

    private mutating func advance(_ step: Int, in range: ClosedRange<UInt16>) {
        let lower = Int(range.lowerBound)
        let moved = (Int(last) - lower + step) % range.count
        last = UInt16(lower + (moved + range.count) % range.count)
    }

    /// Moves on by the flows of other users since the last call: a Poisson process.
    private mutating func passForeignFlows(_ behavior: NATBehavior, step: Int, until now: Int64) {
        guard behavior.foreignFlowsPerSecond > 0 else { return }
        let mean = 1e9 / behavior.foreignFlowsPerSecond
        var next = nextForeign ?? now + Int64(random.nextExponential() * mean)
        // After a long silence only where it stands within the range counts, and that is any place.
        if Double(now - next) > 100_000 * mean {
            last = random.port(in: behavior.portRange)
            next = now + Int64(random.nextExponential() * mean)
        }
        while next <= now {
            advance(step, in: behavior.portRange)
            next += max(1, Int64(random.nextExponential() * mean))
        }
        nextForeign = next
    }
}

extension SeededGenerator {
    /// Any port of a range.
    mutating func port(in range: ClosedRange<UInt16>) -> UInt16 {
        UInt16(UInt64(range.lowerBound) + (next() >> 32) % UInt64(range.count))
    }

    /// A number with exponential distribution and mean 1, by comparisons alone (von Neumann 1951).
    mutating func nextExponential() -> Double {
        var whole = 0.0
        while true {
            let first = nextFraction()
            var previous = first
            var length = 1
            while true {
                let following = nextFraction()
                if following >= previous { break }
                previous = following
                length += 1
            }
            if length % 2 == 1 { return whole + first }
            whole += 1
        }
    }
}
