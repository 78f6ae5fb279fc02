// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import AditTraversal

@Suite("Port allocation from single ports")
struct AllocationInferenceTests {
    /// Each port of a socket of its own, without a burst.
    private func finding(_ ports: [UInt16]) -> NATFinding<PortAllocation> {
        let samples = ports.enumerated().map { place, port in
            MappingSample(
                socket: UInt32(place),
                order: place,
                local: IPEndpoint(.v4(0xC0A8_0102), UInt16(1000 + place)),
                target: MappingTarget(endpoint: IPEndpoint(.v4(0xCB00_7101), 3478), server: 0),
                external: IPEndpoint(.v4(0xC633_6401), port)
            )
        }
        return AllocationInference(samples).finding
    }

    @Test func `a few random ports that happen to be near each other are no block`() {
        // A kernel drew these over TCP on a bad line.
        let ports: [UInt16] = [14_954, 28_572, 17_203, 22_841, 26_115, 19_760]
        #expect(finding(ports) == .likely(.random, .fewAnswers))
        // Two more in the same range are still chance, six more are not.
        #expect(finding(ports + [15_001, 25_333]) == .likely(.random, .fewAnswers))
        let more: [UInt16] = [15_001, 25_333, 16_420, 23_999, 18_288, 27_031]
        #expect(finding(ports + more) == .likely(.block(14_954...28_572), .estimated))
    }

    @Test func `a few ports of a small block are one`() {
        let ports: [UInt16] = [20_101, 21_877, 20_640, 21_204, 20_355, 21_530]
        #expect(finding(ports) == .likely(.block(20_101...21_877), .estimated))
        #expect(finding(Array(ports.prefix(5))) == .likely(.random, .fewAnswers))
    }

    @Test func `ports all over the range are random`() {
        let ports: [UInt16] = [1_500, 9_000, 18_400, 27_700, 39_100, 48_800, 55_300, 64_000]
        #expect(finding(ports) == .certain(.random))
    }
}
