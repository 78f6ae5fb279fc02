// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import Testing

@Suite("Public ports")
struct PortPoolTests {
    @Test("Every port is given out once, none that browsers refuse")
    func givesOutAll() {
        var pool = PortPool(ranges: [5995...6005, 10079...10081])
        var generator = SeededGenerator(seed: 7)
        var used: Set<UInt16> = []
        while let port = pool.choose(
            for: "t\(used.count)",
            at: .zero,
            using: &generator,
            isFree: { !used.contains($0) }
        ) {
            #expect(used.insert(port).inserted)
        }
        let expected = Set(5995...6005).union([10079, 10081]).subtracting([6000])
        #expect(used == Set(expected.map { UInt16($0) }))
    }

    @Test("A tunnel gets its earlier port for a day, unless it is taken")
    func sticky() {
        var pool = PortPool(ranges: [20000...20999])
        var generator = SeededGenerator(seed: 1)
        let first = pool.choose(for: "web", at: .zero, using: &generator, isFree: { _ in true })
        func choose(_ name: String, _ at: Instant, _ isFree: (UInt16) -> Bool) -> UInt16? {
            pool.choose(for: name, at: at, using: &generator, isFree: isFree)
        }
        let hours = { (count: Int) in Instant.zero + .seconds(count * 3600) }
        #expect(choose("web", hours(23), { _ in true }) == first)
        // Using it renewed the day.
        #expect(choose("web", hours(46), { _ in true }) == first)
        #expect(choose("web", hours(47), { $0 != first }) != first)
    }

    @Test("The memory of earlier ports is bounded")
    func boundedMemory() {
        var pool = PortPool(ranges: [])
        var generator = SeededGenerator(seed: 1)
        let first = pool.choose(for: "first", at: .zero, using: &generator, isFree: { _ in true })
        for number in 0..<PortPool.maximumPreferences {
            pool.remember(2000, for: "\(number)", at: .zero + .seconds(1))
        }
        let later = pool.choose(for: "first", at: .zero + .seconds(2), using: &generator, isFree: { _ in true })
        #expect(later != first)
    }

    @Test("Free ports next to a refused one are offered")
    func alternatives() {
        let pool = PortPool(ranges: [100...104, 20000...20010])
        #expect(pool.alternatives(to: 20003, isFree: { $0 != 20003 && $0 != 20005 }) == [20004, 20006, 20007])
        #expect(pool.alternatives(to: 20010, isFree: { $0 < 20000 }) == [100, 105].filter { $0 == 100 })
        #expect(pool.contains(20010))
        #expect(pool.contains(105) == false)
        #expect(pool.contains(0) == false)
    }

    @Test("The list of risky ports names its services")
    func risky() {
        let expected: [UInt16] = [22, 23, 445, 2375, 3306, 3389, 5432, 5900, 6379, 9200, 27017]
        #expect(NotablePorts.risky.keys.sorted() == expected)
        #expect(NotablePorts.blockedByBrowsers.isSuperset(of: [1, 22, 25, 6000, 6667, 10080]))
        #expect(NotablePorts.blockedByBrowsers.isDisjoint(with: [80, 443, 3000, 8080, 20000]))
    }
}
