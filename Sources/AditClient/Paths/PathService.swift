// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
package import AditTransport
package import AditTraversal
package import AditWire
package import NIOCore

/// Paths between this device and others of its server: asks for them, answers those who ask, and keeps them.
///
/// It says nothing before somebody asks, here or at another device; then it opens its sockets. Every method may be called
/// from any thread; news come on the event loop.
package final class PathService: Sendable {
    /// What it is made of.
    package struct Parts: Sendable {
        /// This device's key.
        package var key: DeviceKey
        /// Where the keys of other devices are kept; nil to keep them in memory.
        package var home: DeviceHome?
        /// The server as the person named it.
        package var server: HostPort
        /// How the server proves who it is, for TURN over TLS.
        package var trust: ServerTrust
        /// How this device takes part.
        package var options: PathOptions
        /// Reads the wall clock in Unix seconds.
        package var unixTime: @Sendable () -> Int64
        /// Random bytes that nobody can predict.
        package var random: RandomBytes
        /// The interfaces of this machine; for tests.
        package var network: @Sendable () -> LocalNetwork

        /// Makes parts with the system's clock and randomness.
        package init(
            key: DeviceKey,
            home: DeviceHome?,
            server: HostPort,
            trust: ServerTrust,
            options: PathOptions = PathOptions()
        ) {
            self.key = key
            self.home = home
            self.server = server
            self.trust = trust
            self.options = options
            unixTime = WallClock.unixSeconds
            random = .system
            network = { .current() }
        }
    }

    /// Where everything happens.
    package let eventLoop: any EventLoop
    private let desk: NIOLoopBoundBox<PathDesk>

    /// Makes a service that waits for `connected`.
    ///
    /// - Parameters:
    ///   - send: hands a signal to the session, which may drop it.
    ///   - tell: hears all news, on the event loop.
    package init(
        _ parts: Parts,
        on eventLoop: any EventLoop,
        send: @escaping @Sendable (AditPeerSignal) -> Void,
        tell: @escaping @Sendable (PathNews) -> Void
    ) {
        self.eventLoop = eventLoop
        desk = NIOLoopBoundBox.makeBoxSendingValue(
            PathDesk(parts, on: eventLoop, send: send, tell: tell),
            eventLoop: eventLoop
        )
    }

    // MARK: The session

    /// Takes note of a session that has come to stand.
    package func connected(_ connection: DeviceConnection) {
        onLoop { $0.connected(connection) }
    }

    /// Takes note of the loss of the session; paths that are there stay.
    package func disconnected() {
        onLoop { $0.disconnected() }
    }

    /// Takes new credentials of the server's TURN.
    package func renewed(_ offer: TURNOffer) {
        onLoop { $0.renewed(offer) }
    }

    /// Takes what another device says.
    package func received(_ signal: AditPeerSignal) {
        onLoop { $0.received(signal) }
    }

    /// Takes the server's word that a device cannot be reached.
    package func unavailable(_ answer: AditPeerUnavailable) {
        onLoop { $0.unavailable(answer) }
    }

    // MARK: Paths

    /// Looks for a path to a device, now or when there is a session.
    package func connect(_ name: String) {
        onLoop { $0.connect(name) }
    }

    /// Measures a round trip on the path to a device, told as news; nothing happens without a path.
    package func measure(_ name: String) {
        onLoop { $0.measure(name) }
    }

    /// Sends a datagram on the path to a device; nothing happens without a path.
    package func send(_ payload: [UInt8], to name: String) {
        onLoop { $0.send(payload, to: name) }
    }

    /// Gives the path to a device up.
    package func disconnect(_ name: String) {
        onLoop { $0.disconnect(name) }
    }

    /// The paths that are there or looked for, by the device's name.
    package var paths: EventLoopFuture<[(name: String, report: PathReport)]> {
        eventLoop.submit { [desk] in desk.value.paths }
    }

    /// Gives all paths up and closes every socket.
    package func stop() -> EventLoopFuture<Void> {
        eventLoop.flatSubmit { [desk] in desk.value.stop() }
    }

    private func onLoop(_ body: @escaping @Sendable (PathDesk) -> Void) {
        if eventLoop.inEventLoop { return body(desk.value) }
        eventLoop.execute { [desk] in body(desk.value) }
    }
}
