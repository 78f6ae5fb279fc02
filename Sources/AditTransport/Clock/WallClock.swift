// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import FoundationEssentials

/// The time of day, for what the wire or a person needs in calendar time.
package enum WallClock {
    /// Seconds since 1970.
    package static let unixSeconds: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970) }

    /// Milliseconds since 1970.
    package static let unixMilliseconds: @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
}
