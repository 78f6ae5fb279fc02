// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// Reads the port allocation off the external ports of bursts (RFC 4787 section 4.2).
///
/// A burst leaves in one moment, so that its ports differ by the step of a sequential allocation, whatever other users of the
/// NAT do and in whatever order packets arrive: sorted, they are that far apart. The step is the greatest common divisor of
/// the gaps, which other users' ports in between leave unchanged.
struct AllocationInference {
    /// The widest range that is taken for a subscriber's block: sixteen thousand of sixty-four.
    private static let widestBlock = 16_384
    /// How likely random ports of the whole range may be as near each other as those that are taken for a block's.
    private static let likeliestChance = 0.0001
    /// The ports that a NAT without blocks draws from: those above the well-known ones (RFC 4787 section 4.2.2).
    private static let portCount = 64_512.0
    /// The gap, in ports, up to which two ports of a burst can be neighbours in a sequence.
    private static let widestGap = 256

    /// The widest step, in ports, that is taken for one.
    private static let widestStep = 64

    private let samples: [MappingSample]

    init(_ samples: [MappingSample]) {
        self.samples = samples.sorted { $0.order < $1.order }
    }

    var finding: NATFinding<PortAllocation> {
        guard !samples.isEmpty else { return .unknown(.noAnswer) }
        if let preserving { return preserving }
        if let sequential { return sequential }
        let ports = Set(samples.map { Int($0.external.port) })
        guard let low = ports.min(), let high = ports.max() else { return .unknown(.noAnswer) }
        guard ports.count >= 6 else {
            return ports.count < 3 ? .unknown(.fewAnswers) : .likely(.random, .fewAnswers)
        }
        let spread = high - low
        guard spread <= Self.widestBlock else {
            return ports.count < 8 ? .likely(.random, .fewAnswers) : .certain(.random)
        }
        guard Self.chance(of: spread, with: ports.count) <= Self.likeliestChance else {
            return .likely(.random, .fewAnswers)
        }
        // What was seen of it; its ends may lie a little further out.
        let block = UInt16(max(0, low))...UInt16(min(65_535, high))
        return .likely(.block(block), .estimated)
    }

    /// How likely so many ports, drawn from all, lie within so many ports of each other: at most that.
    private static func chance(of spread: Int, with count: Int) -> Double {
        (1..<count).reduce(Double(count)) { chance, _ in chance * Double(spread) / portCount }
    }

    /// Preserving when one flow of most sockets has the socket's own port.
    private var preserving: NATFinding<PortAllocation>? {
        let sockets = Dictionary(grouping: samples, by: \.socket).values
        let preserved = sockets.count { $0.contains { $0.external.port == $0.local.port } }
        guard preserved * 2 >= sockets.count, preserved > 0 else { return nil }
        if sockets.count == 1 { return .likely(.preserving, .fewAnswers) }
        // A port that another machine has already is no contradiction.
        return preserved * 3 >= sockets.count * 2
            ? .certain(.preserving) : .likely(.preserving, .inconsistent)
    }

    private var sequential: NATFinding<PortAllocation>? {
        var gaps: [Int] = []
        var distance = 0
        let bursts = Dictionary(grouping: samples.filter { $0.burst != nil }, by: \.burst)
        var middles: [(order: Int, port: Int)] = []
        for burst in bursts.values {
            // Different external addresses count their ports apart.
            for own in Dictionary(grouping: burst, by: \.external.address).values {
                let ports = Self.distinct(own)
                guard ports.count > 1 else { continue }
                let sorted = ports.sorted()
                gaps += zip(sorted, sorted.dropFirst()).map { $1 - $0 }
                for (one, next) in zip(ports, ports.dropFirst()) where abs(next - one) <= Self.widestGap {
                    distance += (next - one).signum()
                }
                middles.append((own[0].order, sorted[sorted.count / 2]))
            }
        }
        let near = gaps.filter { $0 <= Self.widestGap }
        guard let commonest = Self.commonest(near) else { return nil }
        let share = near.count { $0 == commonest }
        // Random ports of a small block are near each other too, but not by the same gap again and again.
        guard share >= 2, share * 2 >= gaps.count, commonest <= Self.widestStep else { return nil }
        let step = near.filter { $0 <= commonest * 16 }.reduce(0, Self.greatestCommonDivisor)
        middles.sort { $0.order < $1.order }
        for (one, next) in zip(middles, middles.dropFirst()) where abs(next.port - one.port) <= 4096 {
            distance += 3 * (next.port - one.port).signum()
        }
        let finding = PortAllocation.sequential(step: distance < 0 ? -step : step)
        if gaps.count < 4 { return .likely(finding, .fewAnswers) }
        return distance == 0 ? .likely(finding, .inconsistent) : .certain(finding)
    }

    /// The external ports in the order in which they were first asked for.
    private static func distinct(_ samples: [MappingSample]) -> [Int] {
        var seen: Set<Int> = []
        return samples.map { Int($0.external.port) }.filter { seen.insert($0).inserted }
    }

    private static func commonest(_ values: [Int]) -> Int? {
        let counts = Dictionary(values.map { ($0, 1) }, uniquingKeysWith: +)
        return counts.max { ($0.value, -$0.key) < ($1.value, -$1.key) }?.key
    }

    private static func greatestCommonDivisor(_ one: Int, _ other: Int) -> Int {
        other == 0 ? one : greatestCommonDivisor(other, one % other)
    }
}
