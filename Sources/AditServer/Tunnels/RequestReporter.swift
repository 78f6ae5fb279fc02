// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditWire
import NIOConcurrencyHelpers
import NIOCore

/// Tells a device of the requests to one of its names: each of them while they are few, a sample when they are many.
///
/// A row for each of thousands of requests a second costs both ends more than the requests, and nobody can read them. What
/// is left out is counted, and the last request of a burst is always told.
final class RequestReporter: Sendable {
    fileprivate struct State {
        var windowEnd = NIODeadline.distantPast
        var sent = 0
        var held: AditRequestReport?
        var heldCount = 0
        var hasTimer = false
    }

    /// How many reports of one tunnel are sent in one window.
    static let reportsPerWindow = 25
    static let window = TimeAmount.milliseconds(250)

    private let loop: any EventLoop
    private let send: @Sendable (AditRequestReport) -> Void
    private let state = NIOLockedValueBox(State())

    /// Makes the reporter of one tunnel; `send` is called from any thread, timers run on `loop`.
    init(on loop: any EventLoop, send: @escaping @Sendable (AditRequestReport) -> Void) {
        self.loop = loop
        self.send = send
    }

    func report(_ report: AditRequestReport) {
        let now = loop.now
        let (ready, needsTimer) = state.withLockedValue { state -> (AditRequestReport?, Bool) in
            if now >= state.windowEnd {
                state.windowEnd = now + Self.window
                state.sent = 0
            }
            guard state.sent >= Self.reportsPerWindow else {
                state.sent += 1
                return (state.take(report), false)
            }
            state.held = report
            state.heldCount += 1
            defer { state.hasTimer = true }
            return (nil, !state.hasTimer)
        }
        if let ready { send(ready) }
        if needsTimer { loop.scheduleTask(in: Self.window) { [weak self] in self?.release() } }
    }

    private func release() {
        let last = state.withLockedValue { state -> AditRequestReport? in
            state.hasTimer = false
            guard let held = state.held else { return nil }
            state.heldCount -= 1
            return state.take(held)
        }
        if let last { send(last) }
    }
}

extension RequestReporter.State {
    /// Makes a report ready, with the number of those before it that were not sent.
    fileprivate mutating func take(_ report: AditRequestReport) -> AditRequestReport {
        var report = report
        report.omitted = heldCount
        held = nil
        heldCount = 0
        return report
    }
}
