// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

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

    /// Says goodbye and closes; nothing is told after the future has succeeded.
    func stop() -> EventLoopFuture<Void>
}

extension DeviceLink {
    /// Says nothing.
    package func signal(_ signal: AditPeerSignal) {}
}

extension DeviceSession: DeviceLink {}
