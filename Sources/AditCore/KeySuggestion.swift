// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Finds the word that a person probably meant: a key of a file, a type of NAT.
package enum KeySuggestion {
    /// A key without the differences between the spellings `serverAddr`, `server_addr` and `server-addr`.
    package static func folded(_ key: String) -> String {
        key.lowercased().filter { $0 != "_" && $0 != "-" }
    }

    /// The nearest of the known keys, when it is near enough to be a slip of the hand.
    package static func nearest(to key: String, among known: [String], limit most: Int = 3) -> String? {
        let wanted = Array(folded(key).utf8.prefix(64))
        let limit = min(most, wanted.count <= 2 ? 0 : wanted.count <= 5 ? 1 : wanted.count <= 8 ? 2 : 3)
        var best: (key: String, distance: Int)?
        for candidate in known {
            let distance = distance(wanted, Array(folded(candidate).utf8.prefix(64)))
            if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
        }
        return best?.key
    }

    /// How many letters to insert, delete, change or swap with their neighbour (optimal string alignment).
    package static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var cost = min(
                    last[column] + (letter == other ? 0 : 1),
                    last[column + 1] + 1,
                    current[column] + 1
                )
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    cost = min(cost, beforeLast[column - 1] + 1)
                }
                current.append(cost)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}
