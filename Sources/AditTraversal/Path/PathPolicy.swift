// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Which paths are wanted (`--p2p`).
package enum PathPolicy: String, Sendable, Hashable, CaseIterable {
    /// Relayed at once, direct as soon as there is a direct path.
    case automatic = "auto"
    /// Direct or not at all.
    case directOnly = "only"
    /// Relayed, and no address of this machine is told to the peer.
    case relayOnly = "off"

    /// What holds for a pair of devices: whoever wants no direct path decides, then whoever wants no relay.
    package func combined(with other: PathPolicy) -> PathPolicy {
        if self == .relayOnly || other == .relayOnly { return .relayOnly }
        return self == .directOnly || other == .directOnly ? .directOnly : .automatic
    }
}
