// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The timers of one protocol machine: at most one deadline for each name, and the earliest of them on request.
///
/// A machine has few timers, so the table is a small array that is searched, not a heap.
package struct TimerTable<Name: Hashable & Sendable>: Sendable {
    private var deadlines: [(name: Name, at: Instant)] = []

    /// The earliest deadline, or nil when no timer is set.
    // Stored, because machines ask after each step, and a question across rooms looks up generic types.
    package private(set) var nextDeadline: Instant?

    /// Makes a table with no timer set.
    package init() {}

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
        findNext()
    }

    /// Forgets a timer; nothing happens when it is not set.
    package mutating func cancel(_ name: Name) {
        guard let index = deadlines.firstIndex(where: { $0.name == name }) else { return }
        deadlines.remove(at: index)
        findNext()
    }

    /// Forgets every timer.
    package mutating func cancelAll() {
        deadlines.removeAll()
        nextDeadline = nil
    }

    /// Takes the earliest timer whose deadline is at or before `now` out of the table; nil when none is due.
    package mutating func expire(at now: Instant) -> Name? {
        guard let next = nextDeadline, next <= now, let index = deadlines.firstIndex(where: { $0.at == next })
        else { return nil }
        defer { findNext() }
        return deadlines.remove(at: index).name
    }

    private mutating func findNext() {
        var earliest = deadlines.first?.at
        for each in deadlines.dropFirst() { earliest = min(earliest ?? each.at, each.at) }
        nextDeadline = earliest
    }
}
