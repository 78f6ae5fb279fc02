// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Something that will happen: numbers only, so that moving it within the heap costs nothing else.
struct LabEvent {
    /// What it is about.
    enum Kind: UInt8 {
        /// A packet reaches the end of a link: link, attachment, slot of the packet.
        case arrival
        /// A packet reaches the node that sent it: node, 0, slot of the packet.
        case loopback
        /// A timer: slot of its owner, 0, serial number.
        case timer
    }

    /// Nanoseconds of virtual time.
    var at: Int64
    /// Events of the same time happen in the order in which they were made.
    var order: UInt64
    var kind: Kind
    var target: UInt32
    var part: UInt32
    var argument: UInt32

    static func < (left: LabEvent, right: LabEvent) -> Bool {
        left.at != right.at ? left.at < right.at : left.order < right.order
    }
}

/// A binary heap of events, the earliest first.
struct EventHeap {
    private var events: [LabEvent] = []

    /// When the earliest happens; nil when there is none.
    var firstTime: Int64? { events.first?.at }
    /// How many wait.
    var count: Int { events.count }

    mutating func push(_ event: LabEvent) {
        var hole = events.count
        events.append(event)
        while hole > 0 {
            let parent = (hole - 1) >> 1
            guard event < events[parent] else { break }
            events[hole] = events[parent]
            hole = parent
        }
        events[hole] = event
    }

    mutating func pop() -> LabEvent? {
        guard let last = events.popLast() else { return nil }
        guard let first = events.first else { return last }
        var hole = 0
        let count = events.count
        while true {
            var child = 2 * hole + 1
            guard child < count else { break }
            if child + 1 < count, events[child + 1] < events[child] { child += 1 }
            guard events[child] < last else { break }
            events[hole] = events[child]
            hole = child
        }
        events[hole] = last
        return first
    }

    mutating func removeAll() { events.removeAll() }
}
