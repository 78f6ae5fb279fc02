// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// The number that decides everything random in a run; it is printed when a run does not end as expected.
package struct LabSeed: Hashable, Sendable, CustomStringConvertible {
    /// The number.
    package var number: UInt64

    /// Makes it from its number.
    package init(_ number: UInt64) {
        self.number = number
    }

    /// A generator for one purpose, independent of those for others.
    package func generator(for purpose: UInt64) -> SeededGenerator {
        var mixer = SeededGenerator(seed: number &+ purpose &* 0x9E37_79B9_7F4A_7C15)
        return SeededGenerator(seed: mixer.next())
    }

    package var description: String { String(number) }
}
