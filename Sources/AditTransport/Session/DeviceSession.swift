// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire
package import Logging
package import NIOCore

/// A device's session with its server: connects, logs in, registers, and starts over whenever it is lost.
///
/// Every method may be called from any thread; events come on `eventLoop`.
package final class DeviceSession: Sendable {
    /// Where the session, its connection and its work connections live.
    package let eventLoop: any EventLoop
    private let driver: NIOLoopBoundBox<DeviceSessionDriver>

    /// Makes a session that does nothing before `start`.
    ///
    /// - Parameters:
    ///   - unixTime: reads the wall clock in Unix seconds; frp's proofs carry it.
    package init(
        configuration: DeviceSessionConfiguration,
        eventLoop: any EventLoop,
        delegate: any DeviceSessionDelegate,
        random: RandomBytes = .system,
        unixTime: @escaping @Sendable () -> Int64 = WallClock.unixSeconds,
        logger: Logger
    ) {
        self.eventLoop = eventLoop
        driver = NIOLoopBoundBox.makeBoxSendingValue(
            DeviceSessionDriver(
                configuration: configuration,
                eventLoop: eventLoop,
                delegate: delegate,
                random: random,
                unixTime: unixTime,
                logger: logger
            ),
            eventLoop: eventLoop
        )
    }

    /// Begins to connect; once.
    package func start() {
        eventLoop.execute { [driver] in driver.value.start() }
    }

    /// Wants a tunnel from now on, also after reconnects; replaces an earlier wish of the same name.
    package func register(_ proxy: FRPNewProxy) {
        eventLoop.execute { [driver] in driver.value.register(proxy) }
    }

    /// Does not want a tunnel any more.
    package func unregister(name: String) {
        eventLoop.execute { [driver] in driver.value.unregister(name) }
    }

    /// Says something to another device, once; dropped while there is no session.
    package func signal(_ signal: AditPeerSignal) {
        eventLoop.execute { [driver] in driver.value.signal(signal) }
    }

    /// Tells the server which services this run has, once; dropped while there is no session.
    package func announce(_ services: [String]) {
        eventLoop.execute { [driver] in driver.value.announce(services) }
    }

    /// Asks a server that takes guests who has a private proxy, once; dropped while there is no session.
    package func ask(_ query: AditServiceQuery) {
        eventLoop.execute { [driver] in driver.value.ask(query) }
    }

    /// Opens a stream that the server leads to another device; `message` is its first frame.
    ///
    /// The future fails while there is no session that does so. `initialize` is called on the session's event loop.
    package func openPeerStream(
        _ message: AditPeerStream,
        _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel>? {
        if eventLoop.inEventLoop { return driver.value.openPeerStream(message, initialize) }
        return eventLoop.flatSubmit { [driver] in driver.value.openPeerStream(message, initialize) }
    }

    /// Looks whether the session still stands, because the way to the server may be gone.
    ///
    /// - Parameter addresses: those that this machine has now, when they have changed: a connection from another one is made
    ///   anew at once. Nil when it is only a doubt: then the server has two seconds to answer, or six round trips.
    package func check(_ addresses: [IPAddress]?) {
        eventLoop.execute { [driver] in driver.value.check(addresses) }
    }

    /// Ends a wait for the next try; for when the network has changed.
    package func reconnectNow() {
        eventLoop.execute { [driver] in driver.value.reconnectNow() }
    }

    /// Ends the session for good; succeeds when its connection is closed.
    package func stop() -> EventLoopFuture<Void> {
        eventLoop.flatSubmit { [driver] in driver.value.stop() }
    }
}
