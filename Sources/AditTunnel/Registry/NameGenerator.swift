// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Invents names such as `calm-otter` for tunnels whose owner did not choose one.
///
/// The same seed gives the same names. Two words give 4 096 names; a number follows when those that were tried are
/// taken.
package struct NameGenerator: Sendable {
    private var generator: SeededGenerator

    /// Makes a generator whose names are decided by `seed`.
    package init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    /// A name of two words.
    package mutating func next() -> String {
        pick(Self.adjectives) + "-" + pick(Self.nouns)
    }

    /// A name that `isFree` accepts: of two words if one of 16 tries is free, else with a number of four digits.
    package mutating func next(where isFree: (String) -> Bool) -> String? {
        for _ in 0..<16 {
            let name = next()
            if isFree(name) { return name }
        }
        for _ in 0..<256 {
            let name = next() + "-" + String(1000 + generator.next() % 9000)
            if isFree(name) { return name }
        }
        return nil
    }

    private mutating func pick(_ words: [String]) -> String {
        words[Int(generator.next() % UInt64(words.count))]
    }

    // No word that can offend together with another, none that sounds like a role of a server.

    /// The first words of names.
    package static let adjectives: [String] = [
        "agile", "amber", "azure", "bold", "brave", "bright", "brisk", "calm", "clear", "clever", "cosy", "crisp",
        "dapper", "deft", "eager", "early", "easy", "fair", "fleet", "fond", "fresh", "gentle", "glad", "golden",
        "grand", "happy", "hardy", "humble", "jolly", "keen", "kind", "lively", "loyal", "lucky", "mellow", "merry",
        "mild", "misty", "neat", "nimble", "noble", "patient", "placid", "plucky", "polite", "proud", "quick", "quiet",
        "rapid", "ready", "royal", "rustic", "serene", "shiny", "silver", "smooth", "snug", "solid", "spry", "steady",
        "sunny", "swift", "tidy", "warm",
    ]

    /// The second words of names.
    package static let nouns: [String] = [
        "acorn", "alder", "aspen", "badger", "beaver", "birch", "bison", "brook", "canyon", "cedar", "cliff", "cloud",
        "comet", "coral", "crane", "creek", "daisy", "delta", "dune", "eagle", "falcon", "fern", "finch", "fjord",
        "forest", "garnet", "glade", "grove", "harbor", "heron", "hill", "island", "ivy", "jay", "kestrel", "lagoon",
        "lake", "lark", "lichen", "lynx", "maple", "marten", "meadow", "moss", "oak", "orchid", "osprey", "otter",
        "pebble", "pine", "plover", "pond", "quartz", "raven", "reef", "river", "robin", "sparrow", "spruce", "stone",
        "tern", "thistle", "willow", "wren",
    ]
}
