// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import Testing

@Suite("The visitors of a udp tunnel")
struct DatagramFlowsTests {
    private func peer(_ number: UInt32, port: UInt16 = 5000) -> IPEndpoint {
        IPEndpoint(.v4(0x0A00_0000 + number), port)
    }

    private func at(_ seconds: Double) -> Instant { .zero + .nanoseconds(Int64(seconds * 1e9)) }

    private func open(_ flows: inout DatagramFlows, _ peer: IPEndpoint, _ seconds: Double) -> Int? {
        if case .opened(let index, _) = flows.open(peer, at: at(seconds)) { return index }
        return nil
    }

    @Test("a flow ends when nothing came in either direction for the idle timeout, and not before")
    func idleExpiry() throws {
        var flows = DatagramFlows()
        let first = try #require(open(&flows, peer(1), 0))
        let second = try #require(open(&flows, peer(2), 10))
        #expect(flows.nextDeadline == at(60))
        flows.count(first, datagramsIn: 1, bytesIn: 5, at: at(30))
        #expect(flows.nextDeadline == at(70))
        flows.count(first, datagramsOut: 1, bytesOut: 7, at: at(65))
        #expect(flows.expire(at: at(69.9)) == nil)
        #expect(flows.expire(at: at(70))?.index == second)
        #expect(flows.expire(at: at(70)) == nil)
        let ended = flows.expire(at: at(125))
        #expect(ended?.flow.peer == peer(1))
        #expect(ended?.flow.bytesIn == 5 && ended?.flow.bytesOut == 7)
        #expect(ended?.flow.datagramsIn == 1 && ended?.flow.datagramsOut == 1)
        #expect(flows.count == 0 && flows.nextDeadline == nil)
    }

    @Test("drops keep no flow alive")
    func dropsDoNotCountAsActivity() throws {
        var flows = DatagramFlows()
        let index = try #require(open(&flows, peer(1), 0))
        flows.countDrops(index, 3)
        #expect(flows[index]?.drops == 3)
        #expect(flows.expire(at: at(60))?.flow.drops == 3)
    }

    @Test("a full table forgets the longest idle flow, but none that is active")
    func eviction() throws {
        var configuration = DatagramFlows.Configuration()
        configuration.maximumFlows = 3
        var flows = DatagramFlows(configuration: configuration)
        let first = try #require(open(&flows, peer(1), 0))
        for number in 2...3 { _ = open(&flows, peer(UInt32(number)), 0) }
        flows.count(first, datagramsIn: 1, at: at(1.5))
        guard case .opened(_, let evicted?) = flows.open(peer(4), at: at(2)) else {
            Issue.record("nobody made way")
            return
        }
        #expect(evicted.flow.peer == peer(2))
        guard case .opened(_, let next?) = flows.open(peer(5), at: at(2)) else {
            Issue.record("nobody made way")
            return
        }
        #expect(next.flow.peer == peer(3))
        #expect(flows.open(peer(6), at: at(2)) == .refused)
        #expect(flows.index(of: peer(1)) == first)
        #expect(flows.count == 3)
    }

    @Test("one source has a bound of its own, and a /64 of IPv6 is one source")
    func sourceBound() {
        var configuration = DatagramFlows.Configuration()
        configuration.maximumFlowsPerSource = 2
        var flows = DatagramFlows(configuration: configuration)
        #expect(open(&flows, peer(1, port: 1), 0) != nil)
        #expect(open(&flows, peer(1, port: 2), 0) != nil)
        #expect(flows.open(peer(1, port: 3), at: at(1)) == .refused)
        #expect(open(&flows, peer(2, port: 3), 0) != nil)
        // Only its own idle flow makes way.
        guard case .opened(_, let evicted?) = flows.open(peer(1, port: 3), at: at(3)) else {
            Issue.record("nobody made way")
            return
        }
        #expect(evicted.flow.peer == peer(1, port: 1))
        let v6 = { (low: UInt64, port: UInt16) in IPEndpoint(.v6(high: 0x2001_0DB8_0000_0001, low: low), port) }
        #expect(open(&flows, v6(1, 9), 4) != nil)
        #expect(open(&flows, v6(2, 9), 4) != nil)
        #expect(flows.open(v6(3, 9), at: at(4)) == .refused)
    }

    @Test("thousands of visitors who come and go leave the table as small as it was")
    func churn() {
        var configuration = DatagramFlows.Configuration()
        configuration.maximumFlows = 64
        configuration.maximumFlowsPerSource = 64
        var flows = DatagramFlows(configuration: configuration)
        var generator = SeededGenerator(seed: 7)
        var open: [Int: IPEndpoint] = [:]
        var time = 0.0
        for _ in 0..<20_000 {
            time += Double(generator.next() % 1000) / 1000
            while let ended = flows.expire(at: at(time)) {
                #expect(open.removeValue(forKey: ended.index) == ended.flow.peer)
            }
            let visitor = peer(UInt32(generator.next() % 100))
            if let index = flows.index(of: visitor) {
                #expect(open[index] == visitor)
                if generator.next() % 4 == 0 {
                    flows.close(index)
                    open[index] = nil
                } else {
                    flows.count(index, datagramsIn: 1, at: at(time))
                }
            } else if case .opened(let index, let evicted) = flows.open(visitor, at: at(time)) {
                if let evicted { #expect(open.removeValue(forKey: evicted.index) == evicted.flow.peer) }
                #expect(index < 64)
                open[index] = visitor
            }
            #expect(flows.count == open.count && flows.count <= 64)
        }
        #expect(flows.indices.count == flows.count)
        #expect(Set(flows.indices) == Set(open.keys))
    }
}
