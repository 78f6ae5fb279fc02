// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import NIOCore

/// The clock that drivers hand to protocol machines: monotonic, in nanoseconds, with an arbitrary origin.
///
/// It reads the event loop's own clock, so that a machine's deadlines and the loop's timers never disagree, and so that
/// a test on an `EmbeddedEventLoop` moves both by advancing the loop.
package struct Clock: Sendable {
    private let read: @Sendable () -> Instant

    /// Makes a clock that reads time through `read`.
    package init(_ read: @escaping @Sendable () -> Instant) {
        self.read = read
    }

    /// The system's monotonic clock.
    package static let monotonic = Clock { Instant(NIODeadline.now()) }

    /// The clock of one event loop.
    package static func of(_ eventLoop: any EventLoop) -> Clock {
        Clock { Instant(eventLoop.now) }
    }

    /// The instant at which this is called.
    package func now() -> Instant {
        read()
    }
}

extension Instant {
    /// The instant of a deadline of the event loop.
    package init(_ deadline: NIODeadline) {
        self.init(nanoseconds: Int64(clamping: deadline.uptimeNanoseconds))
    }

    /// The deadline at which an event loop's timer has to fire; never before the origin.
    package var deadline: NIODeadline {
        .uptimeNanoseconds(UInt64(clamping: nanoseconds))
    }
}
