// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import Testing

@Suite("What waits for the link")
struct FairQueueTests {
    @Test("flows take turns, so a flood does not delay a quiet visitor")
    func turns() {
        var queue = FairQueue<Int>()
        for number in 0..<100 { #expect(queue.append(number, byteCount: 1200, flow: 1, at: .zero).isEmpty) }
        #expect(queue.append(1000, byteCount: 100, flow: 2, at: .zero).isEmpty)
        var before = 0
        while let next = queue.next(), next.flow != 2 { before += 1 }
        // One turn of the flood is 16 KiB.
        #expect(before <= 13)
    }

    @Test("large and small datagrams get the same bytes")
    func fairByBytes() {
        var queue = FairQueue<Int>(flowByteLimit: 8 << 20, byteLimit: 32 << 20)
        for number in 0..<2000 { _ = queue.append(number, byteCount: 200, flow: 1, at: .zero) }
        for number in 0..<100 { _ = queue.append(number, byteCount: 60_000, flow: 2, at: .zero) }
        var bytes = [1: 0, 2: 0]
        for _ in 0..<1000 {
            guard let next = queue.next() else { break }
            bytes[next.flow, default: 0] += next.flow == 1 ? 328 : 60_128
        }
        #expect(abs((bytes[1] ?? 0) - (bytes[2] ?? 0)) <= 2 * 60_128)
    }

    @Test("a flow whose room is full loses its own oldest")
    func ownOldest() {
        var queue = FairQueue<Int>(flowByteLimit: 10_000, byteLimit: 100_000)
        #expect(queue.append(0, byteCount: 100, flow: 7, at: .zero).isEmpty)
        var losses = 0
        for number in 0..<50 { losses += queue.append(number, byteCount: 872, flow: 1, at: .zero).count }
        #expect(losses == 40)
        var left: [Int] = []
        while let next = queue.next() { if next.flow == 1 { left.append(next.element) } }
        #expect(left == Array(40..<50))
        #expect(queue.isEmpty)
    }

    @Test("when everything is full, the heaviest flow loses, whoever comes")
    func heaviestLoses() {
        var queue = FairQueue<Int>(flowByteLimit: 50_000, byteLimit: 60_000)
        for number in 0..<50 { _ = queue.append(number, byteCount: 872, flow: 1, at: .zero) }
        for flow in 2...11 { #expect(queue.append(0, byteCount: 872, flow: flow, at: .zero).isEmpty) }
        #expect(queue.append(0, byteCount: 872, flow: 12, at: .zero) == [1])
        #expect(queue.byteCount <= 60_000)
    }

    @Test("an element larger than every bound has the queue to itself")
    func oversize() {
        var queue = FairQueue<Int>(flowByteLimit: 1000, byteLimit: 1000)
        #expect(queue.append(1, byteCount: 5000, flow: 1, at: .zero).isEmpty)
        #expect(queue.append(2, byteCount: 5000, flow: 1, at: .zero) == [1])
        #expect(queue.next()?.element == 2)
        #expect(queue.next() == nil && queue.isEmpty)
    }

    @Test("a flow that was emptied has one turn when it comes back")
    func emptied() {
        var queue = FairQueue<Int>()
        for number in 0..<3 { _ = queue.append(number, byteCount: 10, flow: 1, at: .zero) }
        #expect(queue.removeAll(of: 1) == 3)
        #expect(queue.isEmpty && queue.removeAll(of: 1) == 0)
        _ = queue.append(9, byteCount: 10, flow: 1, at: .zero)
        _ = queue.append(8, byteCount: 10, flow: 2, at: .zero)
        #expect(queue.next()?.element == 9)
        #expect(queue.removeAll().map(\.count) == [1])
        #expect(queue.next() == nil)
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
                dropped += queue.append(put, byteCount: Int(generator.next() % 1500), flow: flow, at: .zero).count
            case 5: dropped += queue.removeAll(of: Int(generator.next() % 20))
            default: if queue.next() != nil { taken += 1 }
            }
            #expect(queue.byteCount <= 20_000)
        }
        while queue.next() != nil { taken += 1 }
        #expect(put == taken + dropped)
    }

    @Test("what has waited too long is thrown away and counted, the rest goes on")
    func stale() {
        var queue = FairQueue<Int>(maximumWait: .milliseconds(250))
        let start = Instant.zero + .seconds(9)
        for number in 0..<10 {
            _ = queue.append(number, byteCount: 100, flow: 1, at: start + .milliseconds(100 * number))
        }
        _ = queue.append(99, byteCount: 100, flow: 2, at: start)
        var losers: [Int] = []
        #expect(queue.popFirst(at: start + .milliseconds(950), losers: &losers)?.element == 7)
        #expect(losers.filter { $0 == 1 }.count == 7)
        var left: [Int] = []
        while let next = queue.popFirst(at: start + .milliseconds(950), losers: &losers) { left.append(next.element) }
        #expect(left == [8, 9] && losers.filter { $0 == 2 }.count == 1)
        #expect(queue.isEmpty)
    }

    @Test("the wait for a way on does not count")
    func waitForTheWay() {
        var queue = FairQueue<Int>(maximumWait: .milliseconds(250))
        let start = Instant.zero + .seconds(9)
        _ = queue.append(1, byteCount: 100, flow: 1, at: start)
        queue.wayOpened(at: start + .seconds(3))
        var losers: [Int] = []
        #expect(queue.popFirst(at: start + .seconds(3), losers: &losers)?.element == 1)
        #expect(losers.isEmpty)
    }

    @Test("many who flood do not delay one who sends now and then")
    func sparse() {
        var queue = FairQueue<Int>(byteLimit: 64 << 20)
        for flow in 1...100 { for _ in 0..<100 { _ = queue.append(0, byteCount: 1200, flow: flow, at: .zero) } }
        for _ in 0..<1000 { _ = queue.next() }
        for round in 0..<10 {
            _ = queue.append(round, byteCount: 100, flow: 500, at: .zero)
            var before = 0
            while let next = queue.next(), next.flow != 500 { before += 1 }
            #expect(before == 0, "round \(round)")
        }
    }

    @Test("one that always comes back is not always first")
    func notForever() {
        var queue = FairQueue<Int>()
        for _ in 0..<200 { _ = queue.append(0, byteCount: 1200, flow: 1, at: .zero) }
        var taken = [0, 0, 0]
        _ = queue.append(0, byteCount: 1200, flow: 2, at: .zero)
        for _ in 0..<100 {
            guard let next = queue.next() else { break }
            taken[next.flow] += 1
            if next.flow == 2 { _ = queue.append(0, byteCount: 1200, flow: 2, at: .zero) }
        }
        #expect(abs(taken[1] - taken[2]) <= 30)
    }
}

extension FairQueue {
    /// The next element at a moment when nothing is too old.
    fileprivate mutating func next() -> (flow: Int, element: Element)? {
        var losers: [Int] = []
        let next = popFirst(at: .zero, losers: &losers)
        #expect(losers.isEmpty)
        return next
    }
}
