// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The timers of one protocol machine: at most one deadline for each name, and the earliest of them on request.
///
/// A machine has few timers, so the table is a small array that is searched, not a heap.
package struct TimerTable<Name: Hashable & Sendable>: Sendable {
    // A machine of another room asks after each packet: without the code in reach there, each question looks up generic types.
    @usableFromInline var deadlines: [(name: Name, at: Instant)] = []

    /// Makes a table with no timer set.
    package init() {}

    /// The earliest deadline, or nil when no timer is set.
    @inlinable package var nextDeadline: Instant? {
        // A loop, because machines ask after each step, and a key path costs more than the search.
        guard var earliest = deadlines.first?.at else { return nil }
        for index in deadlines.indices where deadlines[index].at < earliest { earliest = deadlines[index].at }
        return earliest
    }

    /// The deadline of one timer, or nil when it is not set.
    package subscript(name: Name) -> Instant? {
        deadlines.first { $0.name == name }?.at
    }

    /// Sets a timer, replacing its earlier deadline.
    package mutating func set(_ name: Name, at deadline: Instant) {
        if let index = deadlines.firstIndex(where: { $0.name == name }) {
            deadlines[index].at = deadline
        } else {
            deadlines.append((name, deadline))
        }
    }

    /// Forgets a timer; nothing happens when it is not set.
    package mutating func cancel(_ name: Name) {
        guard let index = deadlines.firstIndex(where: { $0.name == name }) else { return }
        deadlines.remove(at: index)
    }

    /// Forgets every timer.
    package mutating func cancelAll() {
        deadlines.removeAll()
    }

    /// Takes the earliest timer whose deadline is at or before `now` out of the table; nil when none is due.
    package mutating func expire(at now: Instant) -> Name? {
        guard let index = deadlines.indices.min(by: { deadlines[$0].at < deadlines[$1].at }),
            deadlines[index].at <= now
        else { return nil }
        return deadlines.remove(at: index).name
    }
}
