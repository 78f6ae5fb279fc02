// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Bytes a second, as frp writes them: `1MB`, `100KB`, `1.5MB`; a kilobyte has 1024 bytes.
package struct Bandwidth: Sendable, Hashable, CustomStringConvertible {
    /// The spelling that it was read from.
    package let description: String
    /// Bytes a second, at least 1 and below 10 to the 15th.
    package let bytesPerSecond: Int64

    /// Reads a number followed by `MB` or `KB`; nil for anything else.
    package init?(_ text: String) {
        let scale: Double
        if text.hasSuffix("MB") {
            scale = 1_048_576
        } else if text.hasSuffix("KB") {
            scale = 1024
        } else {
            return nil
        }
        let number = text.dropLast(2)
        guard !number.isEmpty, number.utf8.count <= 32,
            number.utf8.allSatisfy({ (48...57).contains($0) || $0 == UInt8(ascii: ".") }),
            let value = Double(number), value * scale >= 1, value * scale < 1e15
        else { return nil }
        description = text
        bytesPerSecond = Int64(value * scale)
    }

    /// Makes it from bytes a second; nil when that is not positive or not below 10 to the 15th.
    package init?(bytesPerSecond: Int64) {
        guard bytesPerSecond > 0, bytesPerSecond < 1_000_000_000_000_000 else { return nil }
        self.bytesPerSecond = bytesPerSecond
        description =
            bytesPerSecond.isMultiple(of: 1_048_576)
            ? "\(bytesPerSecond / 1_048_576)MB"
            : bytesPerSecond.isMultiple(of: 1024) ? "\(bytesPerSecond / 1024)KB" : "\(bytesPerSecond) B"
    }
}
