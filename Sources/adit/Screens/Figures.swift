// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Figures as people read them, and columns of them.
enum Figures {
    /// `18 ms`, `1.2 s`, `5 min`, `3 h 12 min`, `2 d 4 h`.
    static func duration(_ duration: Duration) -> String {
        let seconds = max(0, duration.inSeconds)
        if seconds < 0.9995 { return "\(Int((seconds * 1000).rounded())) ms" }
        if seconds < 9.95 {
            let tenths = Int((seconds * 10).rounded())
            return tenths.isMultiple(of: 10) ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
        }
        let whole = Int(seconds.rounded())
        if whole < 60 { return "\(whole) s" }
        let minutes = whole / 60
        if minutes < 60 { return "\(minutes) min" }
        let hours = minutes / 60
        if hours < 24 { return minutes % 60 == 0 ? "\(hours) h" : "\(hours) h \(minutes % 60) min" }
        return hours % 24 == 0 ? "\(hours / 24) d" : "\(hours / 24) d \(hours % 24) h"
    }

    /// `640 B`, `3 kB`, `2.1 MB`: powers of 1000.
    static func bytes(_ count: UInt64) -> String {
        var value = Double(count)
        if value < 1000 { return "\(count) B" }
        for unit in ["kB", "MB", "GB", "TB"] {
            value /= 1000
            if value < 9.95 {
                let tenths = Int((value * 10).rounded())
                return tenths.isMultiple(of: 10) ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
            }
            if value < 999.5 || unit == "TB" { return "\(Int(value.rounded())) \(unit)" }
        }
        return "\(count) B"
    }

    /// How many columns of a terminal the text takes: two for each East Asian wide character (Unicode UAX 11).
    static func width(_ text: String) -> Int {
        text.unicodeScalars.reduce(0) { sum, scalar in
            switch scalar.value {
            case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
                0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD:
                sum + 2
            case 0x300...0x36F: sum
            default: sum + 1
            }
        }
    }

    /// The text with spaces after it up to a width in columns.
    static func padded(_ text: String, _ columns: Int) -> String {
        text + String(repeating: " ", count: max(0, columns - width(text)))
    }

    /// The text with spaces before it up to a width in columns.
    static func rightAligned(_ text: String, _ columns: Int) -> String {
        String(repeating: " ", count: max(0, columns - width(text))) + text
    }
}
