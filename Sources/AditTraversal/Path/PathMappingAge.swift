// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// How old a NAT lets mappings become although they are in use, as some carriers' do.
struct PathMappingAge: Sendable, Equatable {
    /// The age at which a mapping ended last.
    private(set) var last: Duration?
    /// The age at which two in a row ended; nil while there is none.
    private(set) var learnt: Duration?

    /// Shorter lives are no age: what ends so often is not worth another socket each time.
    static let shortest = Duration.seconds(25)

    /// A mapping that was in use ended. One may be a router that was restarted; two of about the same age are a rule.
    mutating func note(_ age: Duration) {
        guard age >= Self.shortest else { return }
        if let last, max(last, age) - min(last, age) <= max(last, age) / 10 {
            learnt = min(last, age)
        } else {
            learnt = nil
        }
        last = age
    }

    /// When a mapping that began at `since` is to be replaced; nil while no age is known.
    func renewal(of since: Instant) -> Instant? { learnt.map { since + $0 * 4 / 5 } }
}
