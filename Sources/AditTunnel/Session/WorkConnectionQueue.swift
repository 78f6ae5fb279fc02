// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// The name of a work connection inside one session.
package struct WorkConnectionID: Hashable, Sendable {
    /// A number that is used once in a session.
    package let number: UInt64

    /// Makes an id from its number.
    package init(_ number: UInt64) {
        self.number = number
    }
}

/// The name of a visitor that waits for a way to the device, inside one session.
package struct VisitorID: Hashable, Sendable {
    /// A number that is used once in a session.
    package let number: UInt64

    /// Makes an id from its number.
    package init(_ number: UInt64) {
        self.number = number
    }
}

/// Brings visitors and the work connections of an frp client together.
///
/// Idle connections wait in a queue of pool + 10, visitors wait for at most `patience`. Each visitor that gets a
/// connection has one more asked for in its place.
struct WorkConnectionQueue: Sendable {
    enum Step: Equatable {
        case request
        case pair(VisitorID, WorkConnectionID)
        case refuse(WorkConnectionID)
        case giveUp(VisitorID)
    }

    private struct Waiting {
        var visitor: VisitorID
        var until: Instant
    }

    private let capacity: Int
    private let attempts: Int
    private let patience: Duration
    private let maximumWaiting: Int
    private var idle: [WorkConnectionID] = []
    private var waiting: [Waiting] = []
    private var tries: [VisitorID: Int] = [:]

    init(poolCount: Int, patience: Duration, maximumWaiting: Int) {
        capacity = poolCount + 10
        attempts = poolCount + 1
        self.patience = patience
        self.maximumWaiting = maximumWaiting
    }

    /// All waits are equally long, so the first in line is the first whose patience ends.
    var nextDeadline: Instant? { waiting.first?.until }
    var idleCount: Int { idle.count }
    var waitingCount: Int { waiting.count }

    mutating func arrive(_ visitor: VisitorID, at now: Instant) -> [Step] {
        tries[visitor, default: 0] += 1
        if !idle.isEmpty {
            return [.pair(visitor, idle.removeFirst()), .request]
        }
        guard waiting.count < maximumWaiting else {
            tries[visitor] = nil
            return [.giveUp(visitor)]
        }
        waiting.append(Waiting(visitor: visitor, until: now + patience))
        return [.request]
    }

    mutating func offer(_ connection: WorkConnectionID) -> [Step] {
        if !waiting.isEmpty {
            return [.pair(waiting.removeFirst().visitor, connection), .request]
        }
        guard idle.count < capacity else { return [.refuse(connection)] }
        idle.append(connection)
        return []
    }

    mutating func lose(_ connection: WorkConnectionID) {
        idle.removeAll { $0 == connection }
    }

    /// The chosen connection could not be written to: the visitor gets another, a limited number of times.
    mutating func failed(_ visitor: VisitorID, at now: Instant) -> [Step] {
        guard let count = tries[visitor] else { return [] }
        guard count < attempts else {
            tries[visitor] = nil
            return [.giveUp(visitor)]
        }
        return arrive(visitor, at: now)
    }

    mutating func settle(_ visitor: VisitorID) {
        tries[visitor] = nil
        waiting.removeAll { $0.visitor == visitor }
    }

    mutating func expire(at now: Instant) -> [Step] {
        var steps: [Step] = []
        while let first = waiting.first, first.until <= now {
            waiting.removeFirst()
            tries[first.visitor] = nil
            steps.append(.giveUp(first.visitor))
        }
        return steps
    }

    /// Everyone who still waits, when the session ends.
    mutating func drain() -> (visitors: [VisitorID], connections: [WorkConnectionID]) {
        defer {
            waiting = []
            idle = []
            tries = [:]
        }
        return (waiting.map(\.visitor), idle)
    }
}
