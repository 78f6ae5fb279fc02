// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What happened to packets, link by link, in the order of time.
package struct LabTrace: Sendable {
    /// One thing that happened to a packet.
    package enum Outcome: Sendable, Equatable {
        /// A link carries it from one node to another, where it is at `arrival`.
        case crossed(link: Int, from: Int, to: Int, arrival: Instant)
        /// It ended at a node.
        case dropped(node: Int, reason: LabDropReason)
    }

    /// One entry.
    package struct Entry: Sendable, Equatable {
        /// When it left the node, or ended there.
        package var at: Instant
        /// The packet as it was there.
        package var packet: LabPacket
        /// What happened.
        package var outcome: Outcome
    }

    /// The entries.
    package private(set) var entries: [Entry] = []
    /// How many entries there were no room for.
    package private(set) var missed = 0
    /// How many are kept.
    package let limit: Int

    init(limit: Int) {
        self.limit = limit
    }

    mutating func crossed(_ packet: LabPacket, link: Int, from: Int, to: Int, at: Instant, arrival: Instant) {
        append(Entry(at: at, packet: packet, outcome: .crossed(link: link, from: from, to: to, arrival: arrival)))
    }

    mutating func dropped(_ packet: LabPacket, node: Int, reason: LabDropReason, at: Instant) {
        append(Entry(at: at, packet: packet, outcome: .dropped(node: node, reason: reason)))
    }

    private mutating func append(_ entry: Entry) {
        guard entries.count < limit else {
            missed += 1
            return
        }
        entries.append(entry)
    }
}

extension Lab {
    /// Keeps what happens to every packet from now on, at most `limit` entries.
    package func record(limit: Int = 200_000) {
        trace = LabTrace(limit: limit)
    }
}
