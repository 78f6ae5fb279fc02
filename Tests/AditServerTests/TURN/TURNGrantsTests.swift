// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import AditServer

@Suite("Who has credentials of TURN")
struct TURNGrantsTests {
    private var grants = TURNGrants()

    private mutating func grant(_ name: String, _ key: String, until expiry: Int64, isRenewal: Bool = false) -> Int64? {
        grants.grant(to: name, key: key, until: expiry, step: 3600, isRenewal: isRenewal, now: 1000)
    }

    private mutating func keep(_ keys: Set<String>) -> [String] {
        grants.keep(only: keys, asOf: grants.total)
    }

    @Test("A device that is gone has none, with a session or without, and its name's next device has its own")
    mutating func removal() {
        #expect(grant("laptop", "a", until: 7200) == 7200)
        #expect(grant("phone", "b", until: 7200) == 7200)
        #expect(grants.admits("7200:laptop") && grants.admits("7200:phone"))
        #expect(keep(["a", "b"]) == [])
        #expect(keep(["b"]) == ["laptop"])
        #expect(!grants.admits("7200:laptop") && !grants.admits("3600:laptop") && grants.admits("7200:phone"))
        // What is under way for the session that ends gives it nothing.
        #expect(grant("laptop", "a", until: 7200, isRenewal: true) == nil)
        // The next one gets what the old one never had.
        #expect(grant("laptop", "c", until: 7200) == 10_800)
        #expect(grants.admits("10800:laptop") && !grants.admits("7200:laptop"))
        #expect(keep(["b", "c"]) == [])
        #expect(grants.admits("10800:laptop"))
    }

    @Test("Another key under a name takes the credentials of the one before")
    mutating func replacement() {
        _ = grant("laptop", "a", until: 7200)
        #expect(grant("laptop", "b", until: 7200) == 10_800)
        #expect(!grants.admits("7200:laptop"))
        #expect(grant("laptop", "a", until: 7200, isRenewal: true) == nil)
    }

    @Test("Who came after the members were looked up is not judged by them")
    mutating func lateness() {
        _ = grant("laptop", "a", until: 7200)
        let total = grants.total
        _ = grant("phone", "b", until: 7200)
        #expect(grants.keep(only: [], asOf: total) == ["laptop"])
        #expect(grants.admits("7200:phone"))
    }

    @Test("What is over is forgotten")
    mutating func memory() {
        for number in 0..<100 { _ = grant("device \(number)", "\(number)", until: 7200) }
        _ = keep([])
        #expect(grants.count == 0 && grants.voidCount == 100)
        _ = grants.grant(to: "laptop", key: "a", until: 14_400, step: 3600, now: 7200)
        #expect(grants.count == 1 && grants.voidCount == 0)
    }

    @Test("Users whom somebody else made are not looked up here")
    func others() {
        #expect(grants.admits("guest") && grants.admits("7200:guest") && grants.admits(":"))
    }
}
