// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// How often something may happen, written `10/s`, `300/m` or `1000/h`.
package struct Rate: Sendable, Hashable, CustomStringConvertible {
    /// The time that the count is for.
    package enum Unit: Character, Sendable, CaseIterable {
        case second = "s"
        case minute = "m"
        case hour = "h"

        /// The time itself.
        package var duration: Duration {
            switch self {
            case .second: .seconds(1)
            case .minute: .seconds(60)
            case .hour: .seconds(3600)
            }
        }
    }

    /// The largest count.
    package static let maximumCount = 1_000_000

    /// How often, 1 to `maximumCount`.
    package let count: Int
    /// In which time.
    package let unit: Unit

    /// Makes a rate; nil for a count outside of 1 to `maximumCount`.
    package init?(_ count: Int, per unit: Unit) {
        guard (1...Self.maximumCount).contains(count) else { return nil }
        self.count = count
        self.unit = unit
    }

    /// Reads a count, a slash and a unit; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[1].count == 1, let letter = parts[1].first, let unit = Unit(rawValue: letter),
            (1...7).contains(parts[0].utf8.count), parts[0].utf8.allSatisfy({ (48...57).contains($0) }),
            let count = Int(parts[0])
        else { return nil }
        self.init(count, per: unit)
    }

    package var description: String { "\(count)/\(unit.rawValue)" }
}
