// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A point on the wall clock, in whole seconds since 1 January 1970 UTC.
package struct UnixTime: Comparable, Hashable, Sendable {
    /// Seconds since the epoch.
    package var seconds: Int64

    /// Makes a time from seconds since the epoch.
    package init(seconds: Int64) {
        self.seconds = seconds
    }

    package static func < (left: UnixTime, right: UnixTime) -> Bool {
        left.seconds < right.seconds
    }

    /// The time that lies `duration` later, in whole seconds.
    package static func + (left: UnixTime, right: Duration) -> UnixTime {
        UnixTime(seconds: left.seconds &+ right.components.seconds)
    }

    /// The time that passed from `right` to `left`, in whole seconds.
    package static func - (left: UnixTime, right: UnixTime) -> Duration {
        .seconds(left.seconds &- right.seconds)
    }
}

/// Where wall time comes from; a test moves it by hand.
package struct UnixClock: Sendable {
    /// The present time.
    package let now: @Sendable () -> UnixTime

    /// Makes a clock that asks `now` each time.
    package init(now: @escaping @Sendable () -> UnixTime) {
        self.now = now
    }

    /// The clock of the machine.
    package static let system = UnixClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return UnixTime(seconds: Int64(time.tv_sec))
    }
}
