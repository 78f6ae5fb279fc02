// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The source of randomness that drivers hand to pure rooms: the operating system's.
package struct RandomBytes: Sendable {
    private let make: @Sendable (Int) -> [UInt8]

    /// Makes a source that takes bytes from `make`, which returns exactly as many as it is asked for.
    package init(_ make: @escaping @Sendable (Int) -> [UInt8]) {
        self.make = make
    }

    /// The operating system's random number generator, good for keys.
    package static let system = RandomBytes { count in
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    /// As many random bytes as asked for.
    package func callAsFunction(_ count: Int) -> [UInt8] {
        make(count)
    }

    /// A random seed for jitter and for names.
    package func seed() -> UInt64 {
        make(8).reduce(0) { $0 << 8 | UInt64($1) }
    }
}
