// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

extension HTTPFinding {
    /// Reads the head of an answer; nil while it is not whole, or when it is not HTTP.
    init?(head bytes: [UInt8], time: Duration) {
        guard bytes.starts(with: Array("HTTP/1.".utf8)), bytes.count <= 64 * 1024 else { return nil }
        let text = String(decoding: bytes, as: UTF8.self)
        // Compared in scalars: CR LF is one character.
        var lines: [String] = [""]
        for scalar in text.unicodeScalars {
            if scalar == "\n" {
                if lines[lines.count - 1].isEmpty { break }
                lines.append("")
            } else if scalar != "\r" {
                lines[lines.count - 1].unicodeScalars.append(scalar)
            }
        }
        let first = lines[0].split(separator: " ")
        guard first.count >= 2, first[1].utf8.count == 3, let status = Int(first[1]), (100...599).contains(status)
        else {
            return nil
        }
        self.init(status: status, time: time)
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            let value = line[line.index(after: colon)...].drop { $0 == " " }
            switch line[..<colon].lowercased() {
            case "location": location = String(value.prefix(500))
            case "date": date = Self.unixTime(of: value)
            case "adit-error": isAdit = value.hasPrefix("ADIT-")
            default: continue
            }
        }
    }

    /// Whether the head of an answer is there.
    static func isWhole(_ bytes: [UInt8]) -> Bool {
        var newlines = 0
        for byte in bytes {
            if byte == 10 { newlines += 1 } else if byte != 13 { newlines = 0 }
            if newlines == 2 { return true }
        }
        return false
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT` in seconds since 1970 (RFC 9110 section 5.6.7); nil for another form.
    static func unixTime(of text: some StringProtocol) -> Int64? {
        let parts = text.split(whereSeparator: { $0 == " " || $0 == ":" })
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        guard parts.count == 8, let day = Int64(parts[1]), let month = months.firstIndex(of: String(parts[2])),
            let year = Int64(parts[3]), let hour = Int64(parts[4]), let minute = Int64(parts[5]),
            let second = Int64(parts[6]), parts[7] == "GMT", (1...31).contains(day), (1970...9999).contains(year),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        // Days from the civil date, with a year that begins in March.
        let shifted = month >= 2 ? year : year - 1
        let dayOfYear = (153 * Int64((month + 10) % 12) + 2) / 5 + day - 1
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return days * 86_400 + hour * 3600 + minute * 60 + second
    }
}
