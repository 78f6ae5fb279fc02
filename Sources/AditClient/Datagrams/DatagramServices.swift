// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import NIOCore

/// The datagram services of a device's tunnels, from any thread; they live on one event loop.
final class DatagramServices: Sendable {
    private struct Entry {
        var generation: Int
        var service: DatagramService
    }

    private let eventLoop: any EventLoop
    private let entries: NIOLoopBoundBox<[String: Entry]>

    init(on eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
        entries = NIOLoopBoundBox.makeBoxSendingValue([String: Entry](), eventLoop: eventLoop)
    }

    /// Gives a tunnel's service a work connection; the service is made at the first one of each generation.
    func use(
        _ channel: any Channel,
        framing: DatagramLink.Framing,
        for name: String,
        generation: Int = 0,
        make: @escaping @Sendable (any EventLoop) -> DatagramService
    ) {
        eventLoop.atOnce { [self] in
            var entry = entries.value[name]
            if let former = entry, former.generation != generation {
                former.service.close()
                entry = nil
            }
            let current = entry ?? Entry(generation: generation, service: make(eventLoop))
            entries.value[name] = current
            current.service.use(channel, framing: framing)
        }
    }

    /// Closes the service of a tunnel that is gone; nothing happens when it has none.
    func close(_ name: String) {
        eventLoop.atOnce { [self] in entries.value.removeValue(forKey: name)?.service.close() }
    }

    /// Closes every service.
    func closeAll() {
        eventLoop.atOnce { [self] in
            for entry in entries.value.values { entry.service.close() }
            entries.value = [:]
        }
    }
}

extension EventLoop {
    /// Does something on the event loop: before this returns when it is called there.
    fileprivate func atOnce(_ body: @escaping @Sendable () -> Void) {
        if inEventLoop { body() } else { execute(body) }
    }
}
