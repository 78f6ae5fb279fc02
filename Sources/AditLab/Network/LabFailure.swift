// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A run that did not end as it should; it names the seed with which it can be repeated.
package struct LabFailure: Error, Sendable, Hashable, CustomStringConvertible {
    /// What went wrong.
    package enum Kind: Sendable, Hashable {
        /// So many events happened without an end in sight.
        case endless(events: Int)
        /// What a scenario waited for did not happen in its time.
        case missed(String)
    }

    /// What went wrong.
    package var kind: Kind
    /// The seed of the run.
    package var seed: LabSeed
    /// When, in virtual time.
    package var at: Instant

    /// Makes it from its parts.
    package init(_ kind: Kind, seed: LabSeed, at: Instant) {
        self.kind = kind
        self.seed = seed
        self.at = at
    }

    package var description: String {
        let when = "at \(at.nanoseconds / 1_000_000) ms, seed \(seed)"
        return switch kind {
        case .endless(let events): "the run does not end: \(events) events (\(when))"
        case .missed(let what): "\(what) (\(when))"
        }
    }
}
