// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What waits while the link takes no more, by flow: the flows take turns, and each has only so much room.
///
/// Turns are by bytes (deficit round robin), so that a visitor with large datagrams gets no more than one with small
/// ones; a flow that did not wait before goes first for a little (RFC 8290 section 4.2), so that many who flood do not
/// delay one who sends now and then. A flow whose room is full loses its own oldest element: of datagrams the latest is
/// worth most. When the queue as a whole is full, the flow that holds most loses one. What has waited too long is thrown
/// away when its turn comes.
package struct FairQueue<Element: Sendable>: Sendable {
    private struct Item: Sendable {
        var element: Element
        var byteCount: Int
        var since: Instant
    }

    private struct Line: Sendable {
        var items = Row<Item>()
        var byteCount = 0
        var credit = FairQueue.firstQuantum
    }

    /// What each element counts beside its bytes, so that empty datagrams do not fill memory.
    package static var overhead: Int { 128 }
    /// The bytes that a flow may send in one turn.
    private static var quantum: Int { 16 * 1024 }
    /// The bytes that a flow may send before others when it did not wait before.
    private static var firstQuantum: Int { 4 * 1024 }

    /// How many bytes one flow may hold, overhead included.
    package let flowByteLimit: Int
    /// How many bytes all flows together may hold, overhead included.
    package let byteLimit: Int
    /// How long an element may wait.
    package let maximumWait: Duration
    /// How many bytes all flows together hold, overhead included.
    package private(set) var byteCount = 0

    private var lines: [Int: Line] = [:]
    /// The flows that did not wait before. Each flow with a line stands once, here or in `turns`.
    private var newcomers = Row<Int>()
    /// The others, in the order of their turns.
    private var turns = Row<Int>()
    /// Waiting counts from here on at the earliest.
    private var openedAt = Instant.zero

    /// Makes an empty queue; a flow's room is for at least one element of any size.
    package init(
        flowByteLimit: Int = 256 * 1024,
        byteLimit: Int = 4 * 1024 * 1024,
        maximumWait: Duration = .milliseconds(500)
    ) {
        precondition(flowByteLimit > 0 && byteLimit >= flowByteLimit, "a flow has no room")
        self.flowByteLimit = flowByteLimit
        self.byteLimit = byteLimit
        self.maximumWait = maximumWait
    }

    /// Whether nothing waits.
    package var isEmpty: Bool { byteCount == 0 }

    /// Notes that there is a way on only since now: the wait for it does not count.
    package mutating func wayOpened(at now: Instant) {
        openedAt = now
    }

    /// Adds an element; the flows that lost one each for it, a flow as often as it lost one.
    package mutating func append(_ element: Element, byteCount count: Int, flow: Int, at now: Instant) -> [Int] {
        let size = count + Self.overhead
        var losers: [Int] = []
        while let held = lines[flow]?.byteCount, held > 0, held + size > flowByteLimit {
            _ = take(from: flow)
            losers.append(flow)
        }
        while byteCount > 0, byteCount + size > byteLimit {
            let victim = heaviest(preferring: flow)
            _ = take(from: victim)
            losers.append(victim)
        }
        if lines[flow] == nil {
            lines[flow] = Line()
            newcomers.append(flow)
        }
        lines[flow]?.items.append(Item(element: element, byteCount: size, since: now))
        lines[flow]?.byteCount += size
        byteCount += size
        return losers
    }

    /// Takes the element whose turn it is; nil when nothing waits. A flow is added to `losers` for each of its elements
    /// that had waited too long.
    package mutating func popFirst(at now: Instant, losers: inout [Int]) -> (flow: Int, element: Element)? {
        while byteCount > 0 {
            let isNew = newcomers.count > 0
            guard let flow = isNew ? newcomers.first : turns.first else { break }
            dropStale(of: flow, at: now, &losers)
            guard let head = lines[flow]?.items.first, let credit = lines[flow]?.credit else {
                // One that was new keeps a turn, so that it is not new again at once.
                passTurn(from: isNew, backInLine: isNew ? flow : nil)
                if !isNew { lines[flow] = nil }
                continue
            }
            guard credit >= head.byteCount else {
                lines[flow]?.credit += Self.quantum
                passTurn(from: isNew, backInLine: flow)
                continue
            }
            lines[flow]?.credit -= head.byteCount
            guard let element = take(from: flow) else { break }
            return (flow, element)
        }
        forgetTurns()
        return nil
    }

    /// Throws away what a flow holds; how many elements that were.
    package mutating func removeAll(of flow: Int) -> Int {
        guard let line = lines[flow] else { return 0 }
        byteCount -= line.byteCount
        // The empty line keeps its turn, so that the flow has no second one when it comes back.
        lines[flow] = Line()
        return line.items.count
    }

    /// Throws away everything; how many elements of which flow that were.
    package mutating func removeAll() -> [(flow: Int, count: Int)] {
        let held = lines.filter { $0.value.items.count > 0 }.map { ($0.key, $0.value.items.count) }
        byteCount = 0
        forgetTurns()
        return held
    }

    private mutating func dropStale(of flow: Int, at now: Instant, _ losers: inout [Int]) {
        while let head = lines[flow]?.items.first, max(head.since, openedAt) + maximumWait < now {
            _ = take(from: flow)
            losers.append(flow)
        }
    }

    private mutating func take(from flow: Int) -> Element? {
        guard let item = lines[flow]?.items.popFirst() else { return nil }
        lines[flow]?.byteCount -= item.byteCount
        byteCount -= item.byteCount
        return item.element
    }

    private mutating func passTurn(from isNew: Bool, backInLine flow: Int?) {
        _ = isNew ? newcomers.popFirst() : turns.popFirst()
        if let flow { turns.append(flow) }
    }

    private mutating func forgetTurns() {
        lines = [:]
        newcomers = Row()
        turns = Row()
    }

    /// The flow that holds most; the preferred one when it holds its share, which spares the search under a flood.
    private func heaviest(preferring flow: Int) -> Int {
        if let own = lines[flow], own.items.count > 0, own.byteCount * lines.count >= byteCount { return flow }
        return lines.max { ($0.value.byteCount, $1.key) < ($1.value.byteCount, $0.key) }?.key ?? flow
    }
}

/// Elements that leave in the order in which they came.
private struct Row<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var start = 0

    var count: Int { elements.count - start }
    var first: Element? { start < elements.count ? elements[start] : nil }

    mutating func append(_ element: Element) {
        elements.append(element)
    }

    mutating func popFirst() -> Element? {
        guard start < elements.count else { return nil }
        let element = elements[start]
        start += 1
        if start == elements.count {
            elements.removeAll(keepingCapacity: elements.count <= 64)
            start = 0
        } else if start >= 64, start * 2 >= elements.count {
            elements.removeFirst(start)
            start = 0
        }
        return element
    }
}
