// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// An address from which something with the peer's key came.
struct ICESource: Sendable, Hashable {
    var address: IPAddress
    /// Whether it was the answer to a check, which only who has seen the check can give; a check's source may be forged.
    var hasAnswered: Bool
}

extension ICEAgent {
    /// Remembers a source until it is taken.
    mutating func note(_ source: ICESource) {
        // One input shows one address; more are there only where nobody takes them.
        if sources.count >= 8 { sources.removeFirst() }
        sources.append(source)
    }

    /// The sources of what came since the last call.
    mutating func takeSources() -> [ICESource] {
        guard !sources.isEmpty else { return [] }
        defer { sources.removeAll(keepingCapacity: true) }
        return sources
    }
}
