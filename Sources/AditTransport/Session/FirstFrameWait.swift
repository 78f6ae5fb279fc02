// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Waits for the first frames of all streams of one connection, with one timer; lives on the connection's event loop.
///
/// A timer for each stream would be searched for among all others when it is cancelled, so that a peer which opens
/// thousands of streams could hold up everybody on the event loop.
final class FirstFrameWait {
    /// How many streams of one connection may wait for their first frame.
    static let maximumWaiting = 1024

    private struct Entry {
        let deadline: NIODeadline
        let handler: FirstFrameHandler
    }

    private let eventLoop: any EventLoop
    private let patience: TimeAmount
    /// In the order of their deadlines, because all have the same patience; those that need no waiting any more included.
    private var entries = CircularBuffer<Entry>()
    private var isTimerSet = false
    /// How many streams wait.
    private(set) var waiting = 0

    /// Makes a wait.
    ///
    /// - Parameter patience: how long each frame may take.
    init(eventLoop: any EventLoop, patience: TimeAmount) {
        self.eventLoop = eventLoop
        self.patience = patience
    }

    /// Whether one more stream may wait.
    var hasRoom: Bool { waiting < Self.maximumWaiting }

    func begin(_ handler: FirstFrameHandler) {
        waiting += 1
        if entries.count > 2 * waiting + 64 { entries = CircularBuffer(entries.filter(\.handler.isWaiting)) }
        entries.append(Entry(deadline: eventLoop.now + patience, handler: handler))
        setTimer()
    }

    func end() {
        waiting -= 1
        if waiting == 0 { entries.removeAll(keepingCapacity: entries.count <= 64) }
    }

    private func setTimer() {
        guard !isTimerSet, let deadline = entries.first?.deadline else { return }
        isTimerSet = true
        // Not cancelled, because that costs more than a timer that finds nothing to do.
        eventLoop.assumeIsolated().scheduleTask(deadline: deadline) { [weak self] in
            guard let self else { return }
            isTimerSet = false
            expire()
        }
    }

    private func expire() {
        let now = eventLoop.now
        while let first = entries.first, first.deadline <= now || !first.handler.isWaiting {
            entries.removeFirst()
            first.handler.expire()
        }
        setTimer()
    }
}
