// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A small deterministic random number generator (SplitMix64), for jitter, simulated networks and tests.
///
/// It is not for secrets. Its seed comes from the driver; the same seed gives the same sequence on every machine.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// Makes a generator whose whole sequence is decided by `seed`.
    package init(seed: UInt64) {
        state = seed
    }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// A number in 0 ..< 1.
    package mutating func nextFraction() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// `duration` changed by at most `fraction` of itself in either direction.
    package mutating func jittered(_ duration: Duration, by fraction: Double) -> Duration {
        let factor = 1 + fraction * (2 * nextFraction() - 1)
        return .nanoseconds(Int64(Double(duration.wholeNanoseconds) * factor))
    }
}
