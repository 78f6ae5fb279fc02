// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Packets that come through the session although there is a path here: whoever sends them has no path, and may not get what is
/// sent on it.
///
/// Who sends on the path too has it, and takes both ways only because of this end: two that each follow the other's strays would
/// never end. After a change to a path the strays are what was on its way before.
struct PathStrays {
    /// So long packets go through the session too after a stray.
    static let time = Duration.seconds(1)
    /// What strays so soon after something came on the path says nothing of it.
    static let company = Duration.milliseconds(500)

    private var strayedAt: Instant?
    private var heardAt: Instant?

    /// Packets came on the path.
    mutating func heard(at now: Instant) {
        heardAt = now
        strayedAt = nil
    }

    /// Packets came through the session although there is a path.
    mutating func strayed(at now: Instant) {
        if let heardAt, now - heardAt < Self.company { return }
        strayedAt = now
    }

    /// Whether what is sent on the path is to go through the session too.
    func count(at now: Instant) -> Bool {
        strayedAt.map { now - $0 < Self.time } ?? false
    }
}
