// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// Every mapping with every filtering and every allocation.
struct GridKind: Sendable, CustomTestStringConvertible {
    var mapping: MappingBehavior
    var filtering: FilteringBehavior
    var allocation: PortAllocation

    static let allocations: [PortAllocation] = [
        .preserving, .random, .sequential(step: 1), .sequential(step: -1), .sequential(step: 2), .sequential(step: -2),
        .block(20_000...22_047),
    ]

    static let all = MappingBehavior.allCases.flatMap { mapping in
        FilteringBehavior.allCases.flatMap { filtering in
            allocations.map { GridKind(mapping: mapping, filtering: filtering, allocation: $0) }
        }
    }

    var box: NATConfiguration { NATConfiguration(mapping, filtering, allocation) }
    var testDescription: String { "\(mapping) \(filtering) \(allocation)" }

    /// Whether a report names this kind.
    func isNamed(by report: NATBehaviorReport) -> Bool {
        report.mapping == .certain(mapping) && report.filtering == .certain(filtering)
            && report.allocation.value.map { Self.match($0, allocation) } ?? false
            && report.kind == .certain(NATKind(ClassicNATKind(mapping: mapping, filtering: filtering)))
    }

    static func match(_ found: PortAllocation, _ real: PortAllocation) -> Bool {
        guard case .block(let seen) = found, case .block(let block) = real else { return found == real }
        // The range is what was seen of the block.
        return block.contains(seen.lowerBound) && block.contains(seen.upperBound) && seen.count * 5 > block.count
    }
}

@Suite("What a NAT does is named right")
struct DiscoveryGridTests {
    @Test("every kind on a quiet line", arguments: GridKind.all)
    func quiet(_ kind: GridKind) throws {
        let report = try discover([kind.box], seed: 1)
        #expect(kind.isNamed(by: report.udp), "UDP: \(report.udp)")
        #expect(kind.isNamed(by: report.tcp), "TCP: \(report.tcp)")
        #expect(report.duration < .milliseconds(2500))
        #expect(report.access == .certain(.full))
        #expect(report.natCount == .certain(1) || report.natCount.value == 1)
    }

    @Test("every kind where a twentieth of the packets is lost and others open flows", arguments: GridKind.all)
    func lossy(_ kind: GridKind) throws {
        var weather = Surroundings.Weather()
        weather.loss = 0.05
        weather.jitter = .milliseconds(3)
        let box = kind.box.with { $0.foreignFlowsPerSecond = 100 }
        for seed in UInt64(1)...4 {
            let report = try discover([box], seed: seed, weather)
            #expect(kind.isNamed(by: report.udp), "seed \(seed), UDP: \(report.udp)")
            #expect(kind.isNamed(by: report.tcp), "seed \(seed), TCP: \(report.tcp)")
            #expect(report.duration < .seconds(5), "seed \(seed)")
        }
    }
}
