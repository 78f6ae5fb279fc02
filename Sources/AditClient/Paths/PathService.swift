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
    ///   - session: what it says and opens goes through this.
    ///   - tell: hears all news, on the event loop.
    package init(
        _ parts: Parts,
        on eventLoop: any EventLoop,
        session: PathSession,
        tell: @escaping @Sendable (PathNews) -> Void
    ) {
        self.eventLoop = eventLoop
        desk = NIOLoopBoundBox.makeBoxSendingValue(
            PathDesk(parts, on: eventLoop, session: session, tell: tell),
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

    /// Takes a stream that another device opened through the session; called on the event loop of the channel.
    package func stream(_ message: AditPeerStream, channel: any Channel) {
        onLoop { $0.accept(message, channel) }
    }

    // MARK: Paths

    /// Tells the server which services this run has, in place of those before, now and after each login.
    ///
    /// At most 256 names of 1 to 64 bytes without control characters are told.
    package func announce(_ services: [String]) {
        onLoop { $0.announce(services) }
    }

    /// Gives all packets, and the beginning and the end of every peer, to a delegate; called on the event loop, before any
    /// path is looked for.
    package func carry(for delegate: any PathCarrierDelegate) {
        eventLoop.preconditionInEventLoop()
        desk.value.delegate = delegate
    }

    /// Looks for a path to a device, now or when there is a session.
    ///
    /// The future tells which run of it has answered, which is before there is a path, or the first problem, an `AditError`.
    /// The search goes on meanwhile.
    ///
    /// - Parameter service: leads to the newest run that has it; the device's newest where it is empty.
    @discardableResult
    package func connect(_ name: String, service: String = "") -> EventLoopFuture<PathPeerID> {
        if eventLoop.inEventLoop { return desk.value.connect(name, service: service) }
        return eventLoop.flatSubmit { [desk] in desk.value.connect(name, service: service) }
    }

    /// Measures a round trip on the path to a peer, told as news; nothing happens without a path.
    package func measure(_ id: PathPeerID) {
        onLoop { $0.measure(id) }
    }

    /// Sends packets to a peer, on the path or through the session; called on the event loop.
    ///
    /// False when it went nowhere. What is sent may be lost.
    @discardableResult
    package func send(_ batch: PacketBatch, to id: PathPeerID) -> Bool {
        eventLoop.preconditionInEventLoop()
        return desk.value.send(batch, to: id)
    }

    /// How large packets to a peer may be now, in bytes; called on the event loop.
    package func packetSize(to id: PathPeerID) -> Int {
        eventLoop.preconditionInEventLoop()
        return desk.value.packetSize(to: id)
    }

    /// What is known of the path to a peer; called on the event loop.
    package func report(of id: PathPeerID) -> PathReport? {
        eventLoop.preconditionInEventLoop()
        return desk.value.known[id]?.report
    }

    /// Gives the path to a peer up.
    package func disconnect(_ id: PathPeerID) {
        onLoop { $0.disconnect(id) }
    }

    /// The paths that are there or looked for, by the device's name.
    package var paths: EventLoopFuture<[(peer: PathContact, report: PathReport)]> {
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
