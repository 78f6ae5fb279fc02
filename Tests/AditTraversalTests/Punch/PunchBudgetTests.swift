// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import Testing

@Suite("What a search may cost")
struct PunchBudgetTests {
    @Test("In no second more packets leave than the pace allows, whenever they are wanted")
    func pace() {
        var random = SeededGenerator(seed: 5)
        var pace = PacketPace(100)
        var now = Instant.zero
        var sent: [Instant] = []
        for _ in 0..<20_000 {
            now = now + .microseconds(Int64(random.next() % 20_000))
            if pace.take(at: now) { sent.append(now) } else { #expect(pace.next(at: now) > now) }
        }
        #expect(sent.count > 9000)
        for index in 100..<sent.count where sent[index] - sent[index - 100] < .seconds(1) {
            Issue.record("packet \(index) leaves too early")
        }
    }

    @Test("What TCP sends again by itself has its place too, and gives it back when the connection is over")
    func repetitions() {
        var pace = PacketPace(100)
        var now = Instant.zero
        var stamps: [Instant] = []
        while now < .zero + .seconds(20) {
            if pace.take(at: now, repeating: PacketPace.repetitions) {
                stamps += [now] + PacketPace.repetitions.map { now + $0 }
            }
            now = now + .milliseconds(10)
        }
        stamps.sort()
        for index in 100..<stamps.count where stamps[index] - stamps[index - 100] < .seconds(1) {
            Issue.record("packet \(index) leaves too early")
        }
        var other = PacketPace(2)
        let later = Instant.zero + .seconds(1)
        let taken = [
            other.take(at: .zero, repeating: [.seconds(1)]), other.take(at: .zero, repeating: [.seconds(1)]),
            other.take(at: later),
        ]
        other.giveBack(sent: .zero, at: .zero + .milliseconds(500))
        let last = other.take(at: later)
        #expect(taken == [true, true, false] && last)
    }

    @Test("One search at a time, and pauses that double up to ten minutes")
    func pauses() {
        var budget = PunchBudget<String>()
        func begin(_ peer: String, at time: Instant) -> PunchBudget<String>.Refusal? { budget.begin(peer, at: time) }
        var now = Instant.zero
        for pause in [60, 120, 240, 480, 600, 600] {
            #expect(begin("b", at: now) == nil)
            #expect(begin("c", at: now) == .busy)
            budget.end(found: false, at: now)
            let next = now + .seconds(pause)
            #expect(begin("b", at: next + .nanoseconds(-1)) == .resting(until: next))
            now = next
        }
        #expect(begin("c", at: now) == nil)
        budget.end(found: true, at: now)
        #expect(begin("c", at: now) == nil)
        budget.end(found: false, at: now)
        budget.networkChanged()
        #expect(begin("c", at: now) == nil)
        budget.end(found: false, at: now)
        budget.networkChanged(of: "c")
        #expect(begin("c", at: now) == nil)
    }

    @Test("Quiet means no search at all, and the pauses of many peers take bounded room")
    func quiet() {
        var budget = PunchBudget<Int>(isQuiet: true)
        let refusal = budget.begin(1, at: .zero)
        #expect(refusal == .quiet)
        budget.isQuiet = false
        for peer in 0..<3000 {
            let refusal = budget.begin(peer, at: .zero + .milliseconds(peer))
            #expect(refusal == nil)
            budget.end(found: false, at: .zero + .milliseconds(peer))
        }
        let resting = (0..<3000).count { peer in
            var copy = budget
            return copy.begin(peer, at: .zero + .seconds(4)) != nil
        }
        #expect(resting == PunchBudget<Int>.peerLimit)
    }
}
