// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// What a tester with packets sees of each behaviour, by the definitions of RFC 4787.
@Suite struct DefinitionTests {
    static let allocations: [PortAllocation] = [
        .preserving, .random, .sequential(step: 1), .sequential(step: 2), .sequential(step: -3), .block(20000...22047),
    ]

    @Test(arguments: MappingBehavior.allCases, FilteringBehavior.allCases)
    func everyPairBehavesAsDefined(mapping: MappingBehavior, filtering: FilteringBehavior) throws {
        for (number, allocation) in Self.allocations.enumerated() {
            try Lab.play(seed: LabSeed(UInt64(number) + 1)) { lab in
                let bench = Bench(lab, NATConfiguration(mapping, filtering, allocation))
                let socket = try #require(bench.inside.openUDP(port: 41_000))
                let seen = try bench.mapped(socket).compactMap { $0 }
                try #require(seen.count == 4)
                let ports = seen.map(\.port)
                let comment: Comment = "\(mapping) \(filtering) \(allocation) \(ports)"
                #expect(seen.allSatisfy { $0.address == bench.box.externalAddresses[0] }, comment)
                switch mapping {
                case .endpointIndependent: #expect(Set(ports).count == 1, comment)
                case .addressDependent:
                    #expect(ports[0] == ports[1] && ports[2] == ports[3] && ports[0] != ports[2], comment)
                case .addressAndPortDependent: #expect(Set(ports).count == 4, comment)
                }
                expectAllocation(allocation, ports, comment)
                // The third endpoint was sent to last of all mappings that include it.
                let external = seen[0]
                #expect(try bench.reaches(socket, at: external, from: "203.0.113.10:3478"), comment)
                let samePort = try bench.reaches(socket, at: external, from: "203.0.113.10:5000")
                #expect(samePort == (filtering != .addressAndPortDependent), comment)
                let other = try bench.reaches(socket, at: external, from: "203.0.113.11:5000")
                let knowsOther = mapping == .endpointIndependent && filtering == .addressDependent
                #expect(other == (filtering == .endpointIndependent || knowsOther), comment)
                let unmapped = IPEndpoint(external.address, external.port &+ 77)
                #expect(try bench.reaches(socket, at: unmapped, from: "203.0.113.10:3478") == false, comment)
                // After the idle time nothing is left.
                try lab.run(for: .seconds(130))
                #expect(try bench.reaches(socket, at: external, from: "203.0.113.10:3478") == false, comment)
            }
        }
    }

    @Test func aStrangerIsFilteredByAddress() throws {
        for filtering in FilteringBehavior.allCases {
            try Lab.play(seed: 5) { lab in
                let bench = Bench(lab, NATConfiguration(.endpointIndependent, filtering, .random))
                let socket = try #require(bench.inside.openUDP())
                let sink = try #require(bench.server.openUDP(bench.serverEndpoints[0]))
                let external = Box<IPEndpoint?>(nil)
                sink.onDatagram = { _, sender in external.value = sender }
                socket.send([1], to: sink.local)
                try lab.run(for: .seconds(1))
                let mapped = try #require(external.value)
                let passed = try bench.reaches(socket, at: mapped, from: "203.0.113.11:3478")
                #expect(passed == (filtering == .endpointIndependent))
                #expect((lab.drops.last?.reason == .filtered) == (filtering != .endpointIndependent))
            }
        }
    }

    private func expectAllocation(_ allocation: PortAllocation, _ ports: [UInt16], _ comment: Comment) {
        switch allocation {
        case .preserving: #expect(ports[0] == 41_000, comment)
        case .random: #expect(ports[0] != 41_000, comment)
        case .block(let range): #expect(ports.allSatisfy(range.contains), comment)
        case .sequential(let step):
            for (one, next) in zip(ports, ports.dropFirst()) where one != next {
                #expect(Int(next) - Int(one) == step, comment)
            }
        }
    }
}
