// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What two devices that look for a path tell each other through the server.
///
/// Each signal holds all that its sender has to say, so signals may be lost, come twice, late or out of order: the newest
/// revision counts, and it is sent again until it is acknowledged or replaced.
package struct PathSignal: Sendable, Equatable {
    /// What a signal says.
    package enum Content: Sendable, Equatable {
        /// All that the sender has to tell.
        case description(PathDescription)
        /// The receiver's description arrived; there is nothing new here.
        case acknowledgement
        /// The sender does not look for a path any longer.
        case end
    }

    /// Which of its searches for a path the sender means: a random number, not 0.
    package var session: UInt64
    /// Which of the receiver's searches the sender knows; 0 when it knows none.
    package var peerSession: UInt64
    /// How many descriptions the sender has made in its session, from 1; the same number means the same description.
    package var revision: UInt32
    /// The newest revision of the receiver's that arrived in `peerSession`; 0 for none.
    package var acknowledged: UInt32
    /// What it says.
    package var content: Content

    /// Makes it from its parts.
    package init(session: UInt64, peerSession: UInt64, revision: UInt32, acknowledged: UInt32, _ content: Content) {
        self.session = session
        self.peerSession = peerSession
        self.revision = revision
        self.acknowledged = acknowledged
        self.content = content
    }
}
