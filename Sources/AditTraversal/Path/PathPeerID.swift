// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A device to which a path is looked for: its name among the devices of the server, and the key that proves it.
package struct PathPeerID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The device's name.
    package var name: String
    /// The fingerprint of its key as text, `SHA256:…`.
    package var key: String
    /// Tells a second process of the device from the first; empty for that.
    package var run: String

    /// Makes it from its parts.
    package init(name: String, key: String, run: String = "") {
        self.name = name
        self.key = key
        self.run = run
    }

    /// By key, then by name and run: both ends agree which of them is the first.
    package static func < (left: PathPeerID, right: PathPeerID) -> Bool {
        (left.key, left.name, left.run) < (right.key, right.name, right.run)
    }

    /// The name alone.
    package var description: String { name }
}
