// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@testable import AditClient

@Suite("Packets that stray")
struct PathStraysTests {
    private static func at(_ milliseconds: Int64) -> Instant { .zero + .milliseconds(milliseconds) }

    @Test func `a stray counts for a second, and the next one anew`() {
        var strays = PathStrays()
        #expect(!strays.count(at: Self.at(0)))
        strays.strayed(at: Self.at(0))
        #expect(strays.count(at: Self.at(0)) && strays.count(at: Self.at(999)))
        #expect(!strays.count(at: Self.at(1000)))
        strays.strayed(at: Self.at(1500))
        #expect(strays.count(at: Self.at(2000)))
    }

    @Test func `what was on its way before the path ends with the first packet on it`() {
        var strays = PathStrays()
        strays.strayed(at: Self.at(0))
        strays.heard(at: Self.at(3))
        #expect(!strays.count(at: Self.at(3)))
        // The rest of it says nothing either.
        strays.strayed(at: Self.at(4))
        #expect(!strays.count(at: Self.at(4)))
    }

    @Test func `who was heard on the path and is no longer may have lost it`() {
        var strays = PathStrays()
        strays.heard(at: Self.at(0))
        strays.strayed(at: Self.at(499))
        #expect(!strays.count(at: Self.at(499)))
        strays.strayed(at: Self.at(500))
        #expect(strays.count(at: Self.at(500)))
    }
}
