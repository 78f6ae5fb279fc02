// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// A length of time as people write it: `90s`, `30m`, `2h`, `1d`, `1w`, or several of them such as `1h30m`.
package enum DurationText {
    /// The longest duration that is read: about ten years, in seconds.
    private static let longest: Int64 = 3660 * 86400

    /// Reads a duration of at least one second; throws what is wrong with it.
    package static func parse(_ text: String) throws(ValueFault) -> Duration {
        var total: Int64 = 0
        var number: Int64?
        var lastUnit = Int64.max
        for byte in text.utf8 {
            if (48...57).contains(byte) {
                let next = (number ?? 0) * 10 + Int64(byte - 48)
                guard next <= longest else { throw tooLong(text) }
                number = next
                continue
            }
            guard let count = number, let unit = seconds(byte), unit < lastUnit else {
                throw malformed(text)
            }
            total += count * unit
            guard total <= longest else { throw tooLong(text) }
            lastUnit = unit
            number = nil
        }
        guard number == nil, lastUnit != .max else { throw malformed(text) }
        guard total > 0 else {
            throw ValueFault(Text("\"\(text)\" is no time at all", zh: "\"\(text)\" 是零时长"))
        }
        return .seconds(total)
    }

    /// The shortest text that `parse` reads as the duration, in whole seconds.
    package static func describe(_ duration: Duration) -> String {
        var rest = duration.components.seconds
        var text = ""
        for (letter, unit) in [("d", Int64(86400)), ("h", 3600), ("m", 60), ("s", 1)] where rest >= unit {
            text += "\(rest / unit)\(letter)"
            rest %= unit
        }
        return text.isEmpty ? "0s" : text
    }

    private static func seconds(_ unit: UInt8) -> Int64? {
        switch unit {
        case UInt8(ascii: "w"): 604_800
        case UInt8(ascii: "d"): 86400
        case UInt8(ascii: "h"): 3600
        case UInt8(ascii: "m"): 60
        case UInt8(ascii: "s"): 1
        default: nil
        }
    }

    private static func malformed(_ text: String) -> ValueFault {
        ValueFault(
            Text(
                "\"\(text)\" is not a duration such as 90s, 30m, 2h, 1d or 1h30m",
                zh: "\"\(text)\" 不是时长(如 90s、30m、2h、1d、1h30m)"
            )
        )
    }

    private static func tooLong(_ text: String) -> ValueFault {
        ValueFault(Text("\"\(text)\" is longer than ten years", zh: "\"\(text)\" 超过十年"))
    }
}
