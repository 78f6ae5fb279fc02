// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// The external ports that one burst to several server endpoints got, and what they say about the next one.
///
/// A burst leaves in one moment, so that its ports lie a step of a sequential allocation apart, however many flows other
/// users of the NAT open.
package struct PortSamples: Sendable, Hashable {
    /// How the ports follow each other.
    package enum Kind: Sendable, Hashable {
        /// Fewer than two samples.
        case unknown
        /// All destinations see the same endpoint.
        case constant
        /// Each is so much further than the one before.
        case sequential(step: Int)
        /// Any port of the block.
        case block(ClosedRange<UInt16>)
        /// Any port.
        case random
        /// The address changes too: nothing can be said about the next flow.
        case scattered
    }

    /// The largest number of samples.
    package static let limit = 8
    /// The widest step that is taken for one, in ports.
    package static let widestStep = 64
    /// How many steps two neighbours of a burst may be apart.
    package static let widestGap = 16

    /// How the servers saw the socket, in the order in which they were asked.
    package let endpoints: [IPEndpoint]
    /// How the ports follow each other.
    package let kind: Kind

    /// Makes samples; `allocation` is what is known from a longer look at the NAT, such as its block of ports.
    package init(_ endpoints: [IPEndpoint], allocation: PortAllocation? = nil) {
        self.endpoints = Array(endpoints.prefix(Self.limit))
        kind = Self.kind(self.endpoints, allocation)
    }

    /// Whether the peer will see another endpoint than the servers do.
    package var isDependent: Bool {
        switch kind {
        case .unknown, .constant: false
        case .sequential, .block, .random, .scattered: true
        }
    }

    /// The ports of the next flows of a sequence in their order; empty for any other kind.
    package func guesses(_ count: Int) -> [UInt16] {
        guard case .sequential(let step) = kind else { return [] }
        return (1...max(1, count)).map { Self.port(last, plus: step * $0) }
    }

    /// The middle of the next `count` ports of a sequence; nil for any other kind.
    package func middle(of count: Int) -> UInt16? {
        guard case .sequential(let step) = kind else { return nil }
        return Self.port(last, plus: step * (count / 2 + 1))
    }

    /// The last port of the burst in the direction of the sequence.
    private var last: Int {
        let ports = Self.unwrapped(endpoints.map { Int($0.port) })
        if case .sequential(let step) = kind, step < 0 { return ports.min() ?? 0 }
        return ports.max() ?? 0
    }

    private static let ports = 1024...65_535

    private static func port(_ port: Int, plus distance: Int) -> UInt16 {
        // Sequences go round among the ports that are not well known.
        let moved = (port - ports.lowerBound + distance) % ports.count
        return UInt16(ports.lowerBound + (moved + ports.count) % ports.count)
    }

    /// The ports, those after the end of the range counted on.
    private static func unwrapped(_ list: [Int]) -> [Int] {
        guard let low = list.min(), let high = list.max(), high - low > 32_768 else { return list }
        return list.map { $0 < 32_768 ? $0 + ports.count : $0 }
    }

    private static func kind(_ endpoints: [IPEndpoint], _ allocation: PortAllocation?) -> Kind {
        guard endpoints.count > 1 else { return .unknown }
        if Set(endpoints.map(\.address)).count > 1 { return .scattered }
        let asked = endpoints.map { Int($0.port) }
        if Set(asked).count == 1 { return .constant }
        let ports = Set(unwrapped(asked)).sorted()
        // Two ports always have one distance: what a longer look has shown to be no sequence does not become one by that.
        if ports.count < 3, let kind = Self.kind(allocation, asked) { return kind }
        let gaps = zip(ports, ports.dropFirst()).map { $1 - $0 }
        let step = gaps.reduce(0, greatestCommonDivisor)
        // A well-known port and one at the other end of the range may count as one: that is no sequence.
        if step > 0, step <= widestStep, gaps.allSatisfy({ $0 <= step * widestGap }) {
            // In which direction most neighbours lie.
            let inOrder = unwrapped(asked)
            let direction = zip(inOrder, inOrder.dropFirst()).reduce(0) { $0 + ($1.1 - $1.0).signum() }
            return .sequential(step: direction < 0 ? -step : step)
        }
        return Self.kind(allocation, asked) ?? .random
    }

    /// What a noted allocation says of the ports; nil for nothing.
    private static func kind(_ allocation: PortAllocation?, _ ports: [Int]) -> Kind? {
        switch allocation {
        case .block(let range): block(range, ports)
        case .random: .random
        case .preserving, .sequential, nil: nil
        }
    }

    /// A block was measured from some of its ports, and has others beyond those; nil where a port is too far away to be one.
    private static func block(_ range: ClosedRange<UInt16>, _ seen: [Int]) -> Kind? {
        let low = min(Int(range.lowerBound), seen.min() ?? Int(range.lowerBound))
        let high = max(Int(range.upperBound), seen.max() ?? Int(range.upperBound))
        guard high - low < range.count * 2, let first = UInt16(exactly: low), let last = UInt16(exactly: high) else {
            return nil
        }
        return .block(first...last)
    }

    private static func greatestCommonDivisor(_ one: Int, _ other: Int) -> Int {
        other == 0 ? one : greatestCommonDivisor(other, one % other)
    }
}
