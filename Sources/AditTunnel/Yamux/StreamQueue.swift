// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Stream ids in the order in which something is due for them.
///
/// All entries of one queue wait equally long, so the first is always the earliest and no heap is needed. An entry
/// whose stream has gone stays until it is reached or until such entries outnumber the streams, then all are swept out.
struct StreamQueue: Sendable {
    private var entries: [(id: UInt32, due: Instant)] = []
    private var head = 0

    var first: (id: UInt32, due: Instant)? { head < entries.count ? entries[head] : nil }

    /// Adds an entry; `isCurrent` says which entries still matter once more than `limit` are kept.
    ///
    /// At most half of `limit` streams exist, so a sweep makes room for as many additions again.
    mutating func append(_ id: UInt32, due: Instant, limit: Int, isCurrent: (UInt32) -> Bool) {
        if entries.count >= limit {
            entries = entries[head...].filter { isCurrent($0.id) }
            head = 0
        }
        entries.append((id, due))
    }

    mutating func removeFirst() {
        head += 1
        if head == entries.count {
            entries.removeAll(keepingCapacity: entries.count <= 256)
            head = 0
        }
    }
}
