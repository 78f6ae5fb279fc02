// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A first-in, first-out queue that refuses to grow beyond its capacity.
package struct BoundedQueue<Element: Sendable>: Sendable {
    private var storage: [Element?]
    private var head = 0

    /// How many elements wait.
    package private(set) var count = 0
    /// How many elements may wait.
    package let capacity: Int

    /// Makes an empty queue; `capacity` is at least 1.
    package init(capacity: Int) {
        precondition(capacity > 0, "a queue holds at least one element")
        self.capacity = capacity
        storage = []
    }

    /// Whether nothing waits.
    package var isEmpty: Bool { count == 0 }

    /// Adds an element at the end; false, and nothing added, when the queue is full.
    package mutating func append(_ element: Element) -> Bool {
        guard count < capacity else { return false }
        if count == storage.count { grow() }
        storage[(head + count) % storage.count] = element
        count += 1
        return true
    }

    /// Takes the oldest element; nil when nothing waits.
    package mutating func popFirst() -> Element? {
        guard count > 0 else { return nil }
        let element = storage[head]
        storage[head] = nil
        head = (head + 1) % storage.count
        count -= 1
        return element
    }

    private mutating func grow() {
        var larger: [Element?] = []
        let size = Swift.min(capacity, Swift.max(4, storage.count * 2))
        larger.reserveCapacity(size)
        for index in 0..<count { larger.append(storage[(head + index) % storage.count]) }
        larger.append(contentsOf: repeatElement(nil, count: size - count))
        storage = larger
        head = 0
    }
}
