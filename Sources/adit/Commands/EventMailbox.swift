// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore

/// Hands events to whoever shows them, many at a time.
///
/// A busy tunnel has thousands of visitors a second, and waking the thread that shows them for each of them costs as much as
/// serving it. People do not see the difference of a fiftieth of a second.
final class EventMailbox<Event: Sendable>: Sendable {
    private struct Held {
        var events: [Event] = []
        var isDeliveryDue = false
    }

    private static var delay: TimeAmount { .milliseconds(20) }
    private static var capacity: Int { 4096 }

    private let loop: any EventLoop
    private let deliver: @Sendable ([Event]) -> Void
    private let held = NIOLockedValueBox(Held())

    /// Makes a mailbox that calls `deliver` on the event loop, with everything that was posted since the last time.
    init(on loop: any EventLoop, deliver: @escaping @Sendable ([Event]) -> Void) {
        self.loop = loop
        self.deliver = deliver
    }

    /// Adds an event, from any thread; the oldest are dropped when nobody takes them for long.
    func post(_ event: Event) {
        let isFirst = held.withLockedValue { held in
            held.events.append(event)
            if held.events.count > 2 * Self.capacity { held.events.removeFirst(Self.capacity) }
            defer { held.isDeliveryDue = true }
            return !held.isDeliveryDue
        }
        guard isFirst else { return }
        loop.scheduleTask(in: Self.delay) { self.flush() }
    }

    private func flush() {
        let events = held.withLockedValue { held in
            defer { held = Held() }
            return held.events
        }
        deliver(events)
    }
}
