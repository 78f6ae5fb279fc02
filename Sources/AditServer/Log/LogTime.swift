// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The local time as logs write it.
struct LogTime {
    private let fields: tm
    private let milliseconds: Int

    static func now(daysAgo: Int = 0) -> LogTime {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        var seconds = time.tv_sec - daysAgo * 86400
        var fields = tm()
        localtime_r(&seconds, &fields)
        return LogTime(fields: fields, milliseconds: time.tv_nsec / 1_000_000)
    }

    /// `20260731`.
    var day: String {
        String(Int(fields.tm_year) + 1900) + padded(Int(fields.tm_mon) + 1) + padded(Int(fields.tm_mday))
    }

    /// `2026-07-31 14:02:11.042`.
    var text: String {
        var text = "\(Int(fields.tm_year) + 1900)-\(padded(Int(fields.tm_mon) + 1))-\(padded(Int(fields.tm_mday))) "
        text += "\(padded(Int(fields.tm_hour))):\(padded(Int(fields.tm_min))):\(padded(Int(fields.tm_sec)))."
        return text + String(String(1000 + milliseconds).dropFirst())
    }

    private func padded(_ number: Int) -> String {
        number < 10 ? "0\(number)" : "\(number)"
    }
}
