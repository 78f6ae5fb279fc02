// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// A wall time in the spellings of HTTP and of pages, always UTC.
struct HTTPDate {
    private let seconds: Int64
    private let year: Int64
    private let month: Int
    private let day: Int

    /// Times before 1970 are shown as 1970.
    init(_ time: UnixTime) {
        seconds = max(0, time.seconds)
        // Days since 1 March of year 0, cut into eras of 400 years, which all have the same length.
        let days = seconds / 86_400 + 719_468
        let era = days / 146_097
        let dayOfEra = days % 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        day = Int(dayOfYear - (153 * shifted + 2) / 5 + 1)
        month = Int(shifted < 10 ? shifted + 3 : shifted - 9)
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
    var field: String {
        let names = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let weekday = names[Int(seconds / 86_400 % 7)]
        return "\(weekday), \(two(day)) \(months[month - 1]) \(year) \(time):\(two(Int(seconds % 60))) GMT"
    }

    /// `14:31` on the day itself, else `2026-11-21 14:31`.
    func spoken(now: UnixTime) -> String {
        now.seconds / 86_400 == seconds / 86_400 ? time : "\(year)-\(two(month))-\(two(day)) \(time)"
    }

    /// How long ago it is, in its largest unit.
    func ago(now: UnixTime) -> Text {
        let passed = max(0, now.seconds - seconds)
        switch passed {
        case ..<60: return Text("less than a minute ago", zh: "不到一分钟前")
        case ..<3_600: return Self.ago(passed / 60, "minute", "分钟")
        case ..<86_400: return Self.ago(passed / 3_600, "hour", "小时")
        default: return Self.ago(passed / 86_400, "day", "天")
        }
    }

    private static func ago(_ count: Int64, _ unit: String, _ zh: String) -> Text {
        Text("\(count) \(unit)\(count == 1 ? "" : "s") ago", zh: "\(count) \(zh)前")
    }

    private var time: String { "\(two(Int(seconds / 3_600 % 24))):\(two(Int(seconds / 60 % 60)))" }

    private func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}
