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

@Suite("What waits for the link")
struct FairQueueTests {
    @Test("flows take turns, so a flood does not delay a quiet visitor")
    func turns() {
        var queue = FairQueue<Int>()
        for number in 0..<100 { #expect(queue.append(number, byteCount: 1200, flow: 1).isEmpty) }
        #expect(queue.append(1000, byteCount: 100, flow: 2).isEmpty)
        var before = 0
        while let next = queue.popFirst(), next.flow != 2 { before += 1 }
        // One turn of the flood is 16 KiB.
        #expect(before <= 13)
    }

    @Test("large and small datagrams get the same bytes")
    func fairByBytes() {
        var queue = FairQueue<Int>(flowByteLimit: 8 << 20, byteLimit: 32 << 20)
        for number in 0..<2000 { _ = queue.append(number, byteCount: 200, flow: 1) }
        for number in 0..<100 { _ = queue.append(number, byteCount: 60_000, flow: 2) }
        var bytes = [1: 0, 2: 0]
        for _ in 0..<1000 {
            guard let next = queue.popFirst() else { break }
            bytes[next.flow, default: 0] += next.flow == 1 ? 328 : 60_128
        }
        #expect(abs((bytes[1] ?? 0) - (bytes[2] ?? 0)) <= 2 * 60_128)
    }

    @Test("a flow whose room is full loses its own oldest")
    func ownOldest() {
        var queue = FairQueue<Int>(flowByteLimit: 10_000, byteLimit: 100_000)
        #expect(queue.append(0, byteCount: 100, flow: 7).isEmpty)
        var losses = 0
        for number in 0..<50 { losses += queue.append(number, byteCount: 872, flow: 1).count }
        #expect(losses == 40)
        var left: [Int] = []
        while let next = queue.popFirst() { if next.flow == 1 { left.append(next.element) } }
        #expect(left == Array(40..<50))
        #expect(queue.isEmpty)
    }

    @Test("when everything is full, the heaviest flow loses, whoever comes")
    func heaviestLoses() {
        var queue = FairQueue<Int>(flowByteLimit: 50_000, byteLimit: 60_000)
        for number in 0..<50 { _ = queue.append(number, byteCount: 872, flow: 1) }
        for flow in 2...11 { #expect(queue.append(0, byteCount: 872, flow: flow).isEmpty) }
        #expect(queue.append(0, byteCount: 872, flow: 12) == [1])
        #expect(queue.byteCount <= 60_000)
    }

    @Test("an element larger than every bound has the queue to itself")
    func oversize() {
        var queue = FairQueue<Int>(flowByteLimit: 1000, byteLimit: 1000)
        #expect(queue.append(1, byteCount: 5000, flow: 1).isEmpty)
        #expect(queue.append(2, byteCount: 5000, flow: 1) == [1])
        #expect(queue.popFirst()?.element == 2)
        #expect(queue.popFirst() == nil && queue.isEmpty)
    }

    @Test("a flow that was emptied has one turn when it comes back")
    func emptied() {
        var queue = FairQueue<Int>()
        for number in 0..<3 { _ = queue.append(number, byteCount: 10, flow: 1) }
        #expect(queue.removeAll(of: 1) == 3)
        #expect(queue.isEmpty && queue.removeAll(of: 1) == 0)
        _ = queue.append(9, byteCount: 10, flow: 1)
        _ = queue.append(8, byteCount: 10, flow: 2)
        #expect(queue.popFirst()?.element == 9)
        #expect(queue.removeAll().map(\.count) == [1])
        #expect(queue.popFirst() == nil)
    }

    @Test("nothing is lost or doubled but what the queue says it dropped")
    func conservation() {
        var queue = FairQueue<Int>(flowByteLimit: 4000, byteLimit: 20_000)
        var generator = SeededGenerator(seed: 99)
        var put = 0
        var taken = 0
        var dropped = 0
        for _ in 0..<50_000 {
            switch generator.next() % 8 {
            case 0...4:
                put += 1
                let flow = Int(generator.next() % 20)
                dropped += queue.append(put, byteCount: Int(generator.next() % 1500), flow: flow).count
            case 5: dropped += queue.removeAll(of: Int(generator.next() % 20))
            default: if queue.popFirst() != nil { taken += 1 }
            }
            #expect(queue.byteCount <= 20_000)
        }
        while queue.popFirst() != nil { taken += 1 }
        #expect(put == taken + dropped)
    }
}
