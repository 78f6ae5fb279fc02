// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// At most so many values by transaction id; a new one takes the place of the oldest.
struct ICETable<Value: Sendable>: Sendable {
    private var values: [STUNTransactionID: Value] = [:]
    /// The ids in the order in which they came, as a ring; an id may have been taken out since.
    private var order: [STUNTransactionID] = []
    private var next = 0
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
    }

    subscript(id: STUNTransactionID) -> Value? { values[id] }

    mutating func insert(_ value: Value, for id: STUNTransactionID) {
        if order.count < capacity {
            order.append(id)
        } else {
            values[order[next]] = nil
            order[next] = id
            next = (next + 1) % capacity
        }
        values[id] = value
    }

    mutating func remove(_ id: STUNTransactionID) -> Value? {
        values.removeValue(forKey: id)
    }

    mutating func removeAll() {
        values = [:]
        order = []
        next = 0
    }
}

/// So many at once, and then one in each interval.
struct ICEBucket: Sendable {
    private let interval: Int64
    private let ahead: Int64
    /// When the next would be due if nothing could be sent at once.
    private var due = Int64.min

    init(interval: Duration, burst: Int) {
        self.interval = max(interval.wholeNanoseconds, 0)
        ahead = self.interval * Int64(max(burst, 1) - 1)
    }

    /// When the next one may go out.
    var opening: Int64 { due == .min ? .min : due - ahead }

    func allows(at now: Instant) -> Bool { opening <= now.nanoseconds }

    mutating func take(at now: Instant) {
        due = max(due, now.nanoseconds) + interval
    }
}

/// What was sent to an address that may never have wanted it.
struct ICESilence: Sendable {
    /// Since when it is counted.
    var since: Instant
    /// The checks sent.
    var sent = 0
    /// How many more are allowed for checks that came from there.
    var credit = 0
    /// Whether it has answered a check, which only somebody who receives them can.
    var hasAnswered = false
}
