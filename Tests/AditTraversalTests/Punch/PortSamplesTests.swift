// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import Testing

@Suite("Samples of a NAT's ports")
struct PortSamplesTests {
    private func samples(_ ports: [UInt16], _ allocation: PortAllocation? = nil) -> PortSamples {
        PortSamples(ports.map { IPEndpoint(.v4(0xC633_6402), $0) }, allocation: allocation)
    }

    @Test("A burst shows how ports follow each other")
    func kinds() {
        #expect(samples([]).kind == .unknown)
        #expect(samples([5000]).kind == .unknown)
        #expect(samples([5000, 5000, 5000]).kind == .constant)
        #expect(samples([5000, 5001, 5002, 5003]).kind == .sequential(step: 1))
        #expect(samples([5000, 5001, 5004, 5005]).kind == .sequential(step: 1))
        #expect(samples([5000, 5002, 5004, 5010]).kind == .sequential(step: 2))
        #expect(samples([5010, 5008, 5006, 5004]).kind == .sequential(step: -2))
        #expect(samples([5000, 5000, 5001, 5001]).kind == .sequential(step: 1))
        #expect(samples([5000, 41_000, 12_345, 60_001]).kind == .random)
        #expect(samples([20_100, 21_000, 20_345, 22_001]).kind == .random)
        #expect(samples([20_100, 21_000, 20_345, 22_001], .block(20_000...22_047)).kind == .block(20_000...22_047))
        #expect(samples([20_100, 31_000, 20_345, 22_001], .block(20_000...22_047)).kind == .random)
        // A block is known from some of its ports.
        #expect(samples([20_100, 22_040, 20_345, 20_002], .block(20_050...22_000)).kind == .block(20_002...22_040))
        #expect(samples([20_100, 20_101], .block(20_000...22_047)).kind == .block(20_000...22_047))
        #expect(samples([20_100, 20_104], .random).kind == .random)
        #expect(samples([20_100, 20_104]).kind == .sequential(step: 4))
        #expect(samples([20_100, 20_101, 20_102], .random).kind == .sequential(step: 1))
        let scattered = PortSamples([IPEndpoint(.v4(1), 5000), IPEndpoint(.v4(2), 5001)])
        #expect(scattered.kind == .scattered)
    }

    @Test("The next ports of a sequence go on from the last one, round the end of the range")
    func guesses() {
        #expect(samples([5000, 5001, 5002, 5003]).guesses(3) == [5004, 5005, 5006])
        #expect(samples([5000, 5002, 5004, 5006]).guesses(2) == [5008, 5010])
        #expect(samples([5006, 5004, 5002, 5000]).guesses(2) == [4998, 4996])
        let wrapped = samples([65_534, 65_535, 1024, 1025])
        #expect(wrapped.kind == .sequential(step: 1))
        #expect(wrapped.guesses(2) == [1026, 1027])
        #expect(samples([65_532, 65_533, 65_534, 65_535]).guesses(2) == [1024, 1025])
        #expect(samples([1028, 1027, 1026, 1025]).guesses(3) == [1024, 65_535, 65_534])
        #expect(samples([5000, 5001, 5002, 5003]).middle(of: 20) == 5014)
        #expect(samples([5000, 5000]).guesses(3).isEmpty)
        #expect(samples([5000, 5000]).middle(of: 3) == nil)
    }

    @Test("Both sides make plans that fit, from the same samples")
    func plans() throws {
        let kinds = [
            samples([5000]), samples([5000, 5000]), samples([5000, 5001, 5002]),
            samples([5000, 41_000, 12_345, 60_001]),
            samples([20_100, 21_000, 20_345, 22_001], .block(20_000...22_047)),
        ]
        var options = SearchOptions()
        options.allowsBlock = true
        let endpoint = IPEndpoint(.v4(0xC633_6402), 5000)
        var found = 0
        for own in kinds {
            for peer in kinds {
                let plan = SearchPlan.make(own: own, peer: peer, at: endpoint, options: options)
                let other = SearchPlan.make(own: peer, peer: own, at: endpoint, options: options)
                #expect((plan == nil) == (other == nil))
                guard let plan, let other else { continue }
                found += 1
                #expect(plan.peer.address == endpoint.address)
                switch plan.tactic {
                case .prediction, .birthday: #expect(Set([plan.role, other.role]) == [.opener, .prober])
                case .window, .block: #expect(plan.role == other.role)
                }
                #expect(plan.socketCount <= PunchLimits().sockets)
            }
        }
        #expect(found == 16)
        options.allowsBlock = false
        #expect(SearchPlan.make(own: kinds[4], peer: kinds[4], at: endpoint, options: options) == nil)
        #expect(SearchPlan.make(own: kinds[3], peer: kinds[3], at: endpoint) == nil)
        let prediction = try #require(SearchPlan.make(own: kinds[1], peer: kinds[2], at: endpoint))
        #expect(prediction.guesses.prefix(2) == [5003, 5004])
        let window = try #require(SearchPlan.make(own: kinds[2], peer: kinds[2], at: endpoint))
        #expect(window.peer.port == 5033)
    }
}
