// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import Testing

@Suite("A search for ports")
struct PortSearchTests {
    private static let peer = IPEndpoint(.v4(0xC633_6402), 40_000)

    /// What a search did until it ended, when every socket that it wants is there and nothing is found.
    private struct Record {
        var sent: [(at: Instant, from: Int, to: IPEndpoint, timeToLive: UInt8?)] = []
        var open: Set<Int> = []
        var mostOpen = 0
        var outcome: SearchOutcome?
        var endedAt = Instant.zero
        var isReady = false

        mutating func take(_ search: inout PortSearch, at now: Instant) {
            while let output = search.nextOutput() {
                switch output {
                case .openSocket(let number):
                    open.insert(number)
                    mostOpen = max(mostOpen, open.count)
                    search.handle(.opened(number), at: now)
                case .closeSocket(let number): open.remove(number)
                case .probe(let number, let target, let timeToLive): sent.append((now, number, target, timeToLive))
                case .ready: isReady = true
                case .finished(let outcome):
                    self.outcome = outcome
                    endedAt = now
                }
            }
        }

        mutating func run(_ search: inout PortSearch, until end: Instant = Instant(nanoseconds: .max)) {
            while let deadline = search.nextDeadline, deadline < end {
                search.handle(.timer, at: deadline)
                take(&search, at: deadline)
            }
        }
    }

    private func record(_ plan: SearchPlan) -> Record {
        var search = PortSearch(random: SeededGenerator(seed: 3))
        var record = Record()
        search.handle(.begin(plan), at: .zero)
        record.take(&search, at: .zero)
        record.run(&search)
        return record
    }

    @Test(
        "No plan gets over the limits",
        arguments: [
            SearchTactic.birthday(sockets: 5000, probes: 60_000), .window(sockets: 5000), .prediction(window: 5000),
            .block(probes: 60_000),
        ],
        [SearchRole.opener, .prober]
    )
    func limits(tactic: SearchTactic, role: SearchRole) {
        var plan = SearchPlan(role, tactic, peer: Self.peer)
        if case .prediction = tactic { plan.guesses = Array(2000...60_000) }
        let record = record(plan)
        #expect(record.outcome == .exhausted)
        #expect(record.endedAt <= .zero + .seconds(20))
        #expect(record.mostOpen <= 256 && record.open.isEmpty)
        #expect(Set(record.sent.map { "\($0.from) \($0.to)" }).count <= 1200)
        let times = record.sent.map(\.at)
        for index in times.indices.dropFirst(100) where times[index] - times[index - 100] < .seconds(1) {
            Issue.record("packet \(index) leaves too early")
        }
        #expect(record.sent.allSatisfy { $0.to.address == Self.peer.address })
    }

    @Test("A prediction's window leaves at once, and the following ports one by one")
    func prediction() {
        var plan = SearchPlan(.prober, .prediction(window: 60), peer: Self.peer)
        plan.guesses = Array(5000...6000)
        let record = record(plan)
        #expect(record.sent.prefix(60).allSatisfy { $0.at == .zero && $0.from == 0 })
        #expect(record.sent.map(\.to.port) == Array(5000...6000))
        #expect(record.sent[60].at > .zero)
    }

    @Test("An opener opens its sockets, tells so, and sends again for what was lost")
    func opener() throws {
        var plan = SearchPlan(.opener, .birthday(sockets: 40, probes: 1024), peer: Self.peer)
        plan.openerTimeToLive = 4
        let record = record(plan)
        #expect(record.isReady)
        #expect(record.mostOpen == 40)
        #expect(Set(record.sent.map(\.from)) == Set(1...40))
        #expect(record.sent.allSatisfy { $0.to == Self.peer && $0.timeToLive == 4 })
        #expect(record.sent.count > 80)
    }

    @Test("A prober waits for the opener where it is told to, but not for ever")
    func waiting() {
        var plan = SearchPlan(.prober, .birthday(sockets: 256, probes: 100), peer: Self.peer)
        plan.waitsForOpener = true
        #expect(record(plan).sent.first?.at == Instant.zero + PortSearch.openerPatience)
        var search = PortSearch(random: SeededGenerator(seed: 3))
        search.handle(.begin(plan), at: .zero)
        #expect(search.nextOutput() == nil)
        search.handle(.peerOpened, at: .zero + .milliseconds(300))
        guard case .probe(0, _, nil) = search.nextOutput() else {
            Issue.record("no probe")
            return
        }
    }

    @Test("What was found keeps its socket, and all others are closed")
    func found() {
        for kept in [nil, 7] {
            var search = PortSearch(random: SeededGenerator(seed: 3))
            var record = Record()
            search.handle(.begin(SearchPlan(.opener, .window(sockets: 20), peer: Self.peer)), at: .zero)
            record.take(&search, at: .zero)
            #expect(record.open.count == 20)
            search.handle(kept.map { .foundOn($0) } ?? .found, at: .zero)
            record.take(&search, at: .zero)
            #expect(record.open == (kept.map { [$0] } ?? []))
            #expect(record.outcome == .found && search.nextDeadline == nil)
            // One that comes too late is closed at once.
            search.handle(.opened(21), at: .zero)
            #expect(search.nextOutput() == .closeSocket(21))
        }
    }

    @Test("A system that gives no sockets ends it")
    func refused() {
        var search = PortSearch(random: SeededGenerator(seed: 3))
        search.handle(.begin(SearchPlan(.opener, .birthday(sockets: 256, probes: 9), peer: Self.peer)), at: .zero)
        var asked = 0
        var outcome: SearchOutcome?
        var now = Instant.zero
        while outcome == nil {
            while let output = search.nextOutput() {
                if case .openSocket(let number) = output {
                    asked += 1
                    search.handle(.notOpened(number), at: now)
                }
                if case .finished(let end) = output { outcome = end }
            }
            guard let deadline = search.nextDeadline else { break }
            now = deadline
            search.handle(.timer, at: now)
        }
        #expect(outcome == .noSockets)
        #expect(asked == 8)
    }
}
