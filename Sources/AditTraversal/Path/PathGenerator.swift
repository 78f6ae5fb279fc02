// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// A generator behind a protocol as one that generic functions take.
struct PathGenerator: RandomNumberGenerator {
    var base: any RandomNumberGenerator & Sendable

    init(_ base: any RandomNumberGenerator & Sendable) {
        self.base = base
    }

    mutating func next() -> UInt64 { base.next() }

    /// A generator for a machine inside: the same one where it is the system's, which has no state to be copied; another
    /// sequence where it is a simulation's, so that no two machines draw the same numbers.
    static func branch(
        _ random: inout any RandomNumberGenerator & Sendable
    ) -> any RandomNumberGenerator & Sendable {
        random is SeededGenerator ? SeededGenerator(seed: random.next()) : random
    }
}
