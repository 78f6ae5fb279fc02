// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTransport
package import AditWire
package import NIOCore

/// What the runtime needs of a session: `DeviceSession`, or a stand-in in a test.
package protocol DeviceLink: Sendable {
    /// Begins to connect, and goes on until `stop`.
    func start()

    /// Wants a tunnel at the server, now and after every reconnect; replaces an earlier one of the same name.
    func register(_ proxy: FRPNewProxy)

    /// Wants a tunnel no longer.
    func unregister(name: String)

    /// Says something to another device, once; dropped while there is no session.
    func signal(_ signal: AditPeerSignal)

    /// Tells the server which services this run has, once; dropped while there is no session.
    func announce(_ services: [String])

    /// Asks the server who has a private proxy, once; dropped while there is no session.
    func ask(_ query: AditServiceQuery)

    /// Opens a stream that the server leads to another device; it fails while there is no session that does so.
    func openPeerStream(
        _ message: AditPeerStream,
        _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel>?

    /// Looks whether the session still stands; with the addresses that this machine has now when they have changed.
    func check(_ addresses: [IPAddress]?)

    /// Says goodbye and closes; nothing is told after the future has succeeded.
    func stop() -> EventLoopFuture<Void>
}

extension DeviceLink {
    /// Says nothing.
    package func signal(_ signal: AditPeerSignal) {}

    /// Tells nothing.
    package func announce(_ services: [String]) {}

    /// Asks nothing.
    package func ask(_ query: AditServiceQuery) {}

    /// Looks at nothing.
    package func check(_ addresses: [IPAddress]?) {}

    /// Opens none.
    package func openPeerStream(
        _ message: AditPeerStream,
        _ initialize: @escaping @Sendable (any Channel) throws -> Void
    ) -> EventLoopFuture<any Channel>? { nil }
}

extension DeviceSession: DeviceLink {}
