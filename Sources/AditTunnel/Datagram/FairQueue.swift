// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What waits while the link takes no more, by flow: the flows take turns, and each has only so much room.
///
/// Turns are by bytes (deficit round robin), so that a visitor with large datagrams gets no more than one with small
/// ones. A flow whose room is full loses its own oldest element: of datagrams the latest is worth most. When the queue as
/// a whole is full, the flow that holds most loses one.
package struct FairQueue<Element: Sendable>: Sendable {
    private struct Line: Sendable {
        var elements: [(element: Element, byteCount: Int)] = []
        var first = 0
        var byteCount = 0
        var credit = FairQueue.quantum

        var count: Int { elements.count - first }

        mutating func popFirst() -> Element {
            let head = elements[first]
            first += 1
            byteCount -= head.byteCount
            if first == elements.count {
                elements.removeAll(keepingCapacity: true)
                first = 0
            } else if first >= 64, first * 2 >= elements.count {
                elements.removeFirst(first)
                first = 0
            }
            return head.element
        }
    }

    /// What each element counts beside its bytes, so that empty datagrams do not fill memory.
    package static var overhead: Int { 128 }
    /// The bytes that a flow may send in one turn.
    private static var quantum: Int { 16 * 1024 }

    /// How many bytes one flow may hold, overhead included.
    package let flowByteLimit: Int
    /// How many bytes all flows together may hold, overhead included.
    package let byteLimit: Int
    /// How many bytes all flows together hold, overhead included.
    package private(set) var byteCount = 0

    private var lines: [Int: Line] = [:]
    /// Whose turn it is next, from `firstTurn` on; each flow with a line stands there once.
    private var turns: [Int] = []
    private var firstTurn = 0

    /// Makes an empty queue; a flow's room is for at least one element of any size.
    package init(flowByteLimit: Int = 256 * 1024, byteLimit: Int = 4 * 1024 * 1024) {
        precondition(flowByteLimit > 0 && byteLimit >= flowByteLimit, "a flow has no room")
        self.flowByteLimit = flowByteLimit
        self.byteLimit = byteLimit
    }

    /// Whether nothing waits.
    package var isEmpty: Bool { byteCount == 0 }

    /// Adds an element; the flows that lost one each for it, a flow as often as it lost one.
    package mutating func append(_ element: Element, byteCount count: Int, flow: Int) -> [Int] {
        let size = count + Self.overhead
        var losers: [Int] = []
        while let line = lines[flow], line.count > 0, line.byteCount + size > flowByteLimit {
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
            turns.append(flow)
        }
        lines[flow]?.elements.append((element, size))
        lines[flow]?.byteCount += size
        byteCount += size
        return losers
    }

    /// Takes the element whose turn it is; nil when nothing waits.
    package mutating func popFirst() -> (flow: Int, element: Element)? {
        while byteCount > 0, let flow = turns[firstTurn...].first, let line = lines[flow] {
            guard line.count > 0 else {
                lines[flow] = nil
                passTurn(backInLine: nil)
                continue
            }
            let size = line.elements[line.first].byteCount
            guard line.credit >= size else {
                lines[flow]?.credit += Self.quantum
                passTurn(backInLine: flow)
                continue
            }
            lines[flow]?.credit -= size
            guard let element = take(from: flow) else { return nil }
            return (flow, element)
        }
        lines = [:]
        turns = []
        firstTurn = 0
        return nil
    }

    /// Throws away what a flow holds; how many elements that were.
    package mutating func removeAll(of flow: Int) -> Int {
        guard let line = lines[flow] else { return 0 }
        byteCount -= line.byteCount
        // The empty line keeps its turn, so that the flow has no second one when it comes back.
        lines[flow] = Line()
        return line.count
    }

    /// Throws away everything; how many elements of which flow that were.
    package mutating func removeAll() -> [(flow: Int, count: Int)] {
        defer {
            lines = [:]
            turns = []
            firstTurn = 0
            byteCount = 0
        }
        return lines.filter { $0.value.count > 0 }.map { ($0.key, $0.value.count) }
    }

    private mutating func take(from flow: Int) -> Element? {
        guard let before = lines[flow]?.byteCount, let element = lines[flow]?.popFirst() else { return nil }
        byteCount -= before - (lines[flow]?.byteCount ?? 0)
        return element
    }

    private mutating func passTurn(backInLine flow: Int?) {
        firstTurn += 1
        if let flow { turns.append(flow) }
        if firstTurn >= 64, firstTurn * 2 >= turns.count {
            turns.removeFirst(firstTurn)
            firstTurn = 0
        }
    }

    /// The flow that holds most; the preferred one when it holds its share, which spares the search under a flood.
    private func heaviest(preferring flow: Int) -> Int {
        if let own = lines[flow], own.count > 0, own.byteCount * lines.count >= byteCount { return flow }
        return lines.max { ($0.value.byteCount, $1.key) < ($1.value.byteCount, $0.key) }?.key ?? flow
    }
}
