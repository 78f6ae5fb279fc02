// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Where the proxy takes wall time from, for pages and reports; a test sets its own.
package struct HTTPWallClock: Sendable {
    /// The present time in Unix milliseconds.
    package let milliseconds: @Sendable () -> Int64

    /// Makes a clock that asks `milliseconds` each time.
    package init(milliseconds: @escaping @Sendable () -> Int64) {
        self.milliseconds = milliseconds
    }

    /// The clock of the machine.
    package static let system = HTTPWallClock {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }

    func now() -> UnixTime {
        UnixTime(seconds: milliseconds() / 1_000)
    }
}
