// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@Suite("A discovery in a world without rules")
struct DiscoveryChaosTests {
    @Test("comes to its end and leaves nothing open, whatever happens", arguments: UInt64(1)...300)
    func chaos(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let count = Int(random.next() % 600)
        var world = DiscoveryWorld((0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) })
        world.play()
    }
}
