// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// A set of TCP or UDP ports written as ranges, such as `20000-20999,25565`.
package struct PortRangeList: Sendable, Hashable, CustomStringConvertible {
    /// The ranges in ascending order; no two of them touch or overlap.
    package let ranges: [ClosedRange<UInt16>]

    /// Makes a set from ranges in any order, joining those that touch.
    package init(_ ranges: [ClosedRange<UInt16>]) {
        var joined: [ClosedRange<UInt16>] = []
        for range in ranges.sorted(by: {
            ($0.lowerBound, $0.upperBound) < ($1.lowerBound, $1.upperBound)
        }) {
            if let last = joined.last, Int(range.lowerBound) <= Int(last.upperBound) + 1 {
                joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        self.ranges = joined
    }

    /// Reads ports and ranges separated by commas; throws what is wrong with the first part that is not one.
    package init(parsing text: String) throws(ValueFault) {
        var ranges: [ClosedRange<UInt16>] = []
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count <= 1000 else {
            throw ValueFault(Text("there are more than 1000 ranges", zh: "范围超过 1000 个"))
        }
        for part in parts {
            let bounds = part.split(separator: "-", omittingEmptySubsequences: false)
            guard bounds.count <= 2, let first = bounds.first, let low = Self.port(first),
                let high = bounds.count == 2 ? Self.port(bounds[1]) : low
            else {
                let shown = Self.trim(part)
                throw ValueFault(
                    Text(
                        "\"\(shown)\" is not a port or a range of ports from 1 to 65535 such as 20000-20999",
                        zh: "\"\(shown)\" 不是 1 到 65535 的端口或端口范围(如 20000-20999)"
                    )
                )
            }
            guard low <= high else {
                throw ValueFault(
                    Text("the range \(low)-\(high) runs backwards", zh: "范围 \(low)-\(high) 的起点大于终点")
                )
            }
            ranges.append(low...high)
        }
        self.init(ranges)
    }

    /// Whether the set has no port.
    package var isEmpty: Bool { ranges.isEmpty }

    /// How many ports the set has.
    package var count: Int { ranges.reduce(0) { $0 + Int($1.upperBound) - Int($1.lowerBound) + 1 } }

    /// Whether the port is in the set.
    package func contains(_ port: UInt16) -> Bool {
        ranges.contains { $0.contains(port) }
    }

    /// The ranges as they are written, such as `80,20000-20999`.
    package var description: String {
        ranges.map {
            $0.lowerBound == $0.upperBound ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)"
        }
        .joined(separator: ",")
    }

    private static func port(_ text: Substring) -> UInt16? {
        let digits = trim(text)
        guard (1...5).contains(digits.utf8.count), digits.utf8.allSatisfy({ (48...57).contains($0) }),
            let port = UInt16(digits), port > 0
        else { return nil }
        return port
    }

    private static func trim(_ text: Substring) -> Substring {
        var text = text
        while text.first == " " || text.first == "\t" { text.removeFirst() }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }
}
