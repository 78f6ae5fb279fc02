// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A point on a monotonic clock, in nanoseconds since an origin that only the driver knows.
///
/// Pure rooms never read a clock: every input carries the instant at which it happened, which is what lets a test
/// run a day of protocol in a millisecond.
package struct Instant: Comparable, Hashable, Sendable {
    /// Nanoseconds since the driver's origin.
    package var nanoseconds: Int64

    /// The origin itself.
    package static let zero = Instant(nanoseconds: 0)

    /// Makes an instant from nanoseconds since the driver's origin.
    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    package static func < (left: Instant, right: Instant) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The instant that lies `duration` later.
    package static func + (left: Instant, right: Duration) -> Instant {
        Instant(nanoseconds: left.nanoseconds + right.wholeNanoseconds)
    }

    /// The time that passed from `right` to `left`.
    package static func - (left: Instant, right: Instant) -> Duration {
        .nanoseconds(left.nanoseconds - right.nanoseconds)
    }
}

extension Duration {
    /// The duration in whole nanoseconds, saturating where it does not fit (about 292 years).
    package var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, sumOverflow) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return sumOverflow ? (seconds < 0 ? .min : .max) : sum
    }

    /// The duration in seconds, as a floating-point number for display and for arithmetic that may round.
    package var inSeconds: Double {
        Double(components.seconds) + Double(components.attoseconds) / 1e18
    }
}
