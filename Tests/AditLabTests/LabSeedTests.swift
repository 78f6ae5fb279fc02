// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import Testing

/// Seeds.
@Suite struct LabSeedTests {
    @Test func aSeedGivesTheSameNumbersForAPurposeAndOthersForAnother() {
        var first = LabSeed(7).generator(for: 1)
        var again = LabSeed(7).generator(for: 1)
        var other = LabSeed(7).generator(for: 2)
        let number = first.next()
        #expect(again.next() == number)
        #expect(other.next() != number)
    }
}
