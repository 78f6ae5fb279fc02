// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTunnel
package import AditWire
package import NIOCore

/// One device that has logged in. Every method may be called from any thread.
package final class ServerSession: Sendable {
    /// The name of the session, kept by the device across reconnects.
    package let runID: String
    /// Who is at the other end.
    package let identity: DeviceIdentity
    /// The other end of the connection.
    package let remoteAddress: IPEndpoint?
    /// Where the session lives.
    package let eventLoop: any EventLoop
    /// Whether both sides agreed on Adit's extension.
    package let isAdit: Bool
    /// What of the extension both sides took.
    package let features: Set<AditFeature>
    /// The framing of the session.
    package let wireVersion: FRPWireVersion
    /// Whether the connection is inside TLS.
    package let isTLS: Bool
    /// The login as it came.
    package let login: FRPLogin
    /// When the session was opened.
    package let openedAt: Instant

    private let handler: NIOLoopBound<ServerControlHandler>
    private let closedPromise: EventLoopPromise<SessionEnd>

    init(
        runID: String,
        identity: DeviceIdentity,
        request: LoginRequest,
        isAdit: Bool,
        features: Set<AditFeature>,
        openedAt: Instant,
        eventLoop: any EventLoop,
        handler: ServerControlHandler
    ) {
        self.runID = runID
        self.identity = identity
        remoteAddress = request.remoteAddress
        self.eventLoop = eventLoop
        self.isAdit = isAdit
        self.features = features
        wireVersion = request.wireVersion
        isTLS = request.isTLS
        login = request.login
        self.openedAt = openedAt
        self.handler = NIOLoopBound(handler, eventLoop: eventLoop)
        closedPromise = eventLoop.makePromise()
    }

    /// Under whom the registry keeps the tunnels of this session.
    package var owner: TunnelOwner { identity.owner(runID: runID) }

    /// Succeeds when the session has ended and everything that belonged to it is free again.
    package var closed: EventLoopFuture<SessionEnd> { closedPromise.futureResult }

    /// Makes a way to the device for one visitor of a tunnel.
    ///
    /// The channel carries the visitor's bytes as they are and holds an `EarlyDataHandler` until it is joined. It lives
    /// on the connection's event loop.
    ///
    /// - Throws: in the future, `AditError` with `deviceOffline` when the device gives none.
    package func openWorkConnection(
        proxyName: String,
        visitor: IPEndpoint?,
        local: IPEndpoint?
    ) -> EventLoopFuture<any Channel> {
        let start = FRPStartWorkConnection(
            proxyName: proxyName,
            sourceAddress: visitor?.address.unmapped.description ?? "",
            destinationAddress: local?.address.unmapped.description ?? "",
            sourcePort: visitor?.port ?? 0,
            destinationPort: local?.port ?? 0
        )
        if eventLoop.inEventLoop { return handler.value.openWorkConnection(start) }
        return eventLoop.flatSubmit { [handler] in handler.value.openWorkConnection(start) }
    }

    /// Opens a stream to the device that leads to another one; it begins with `message` and carries raw bytes behind it.
    ///
    /// The channel holds an `EarlyDataHandler` until it is joined. The future fails when the session is over or takes no more
    /// streams.
    package func openPeerStream(_ message: AditPeerStream) -> EventLoopFuture<any Channel> {
        if eventLoop.inEventLoop { return handler.value.openPeerStream(message) }
        return eventLoop.flatSubmit { [handler] in handler.value.openPeerStream(message) }
    }

    /// Sends a message to the device; messages of Adit's own are not sent to a plain frp client.
    package func send(_ message: FRPMessage) {
        guard isAdit || message.id < FRPMessageID.firstOfAdit else { return }
        eventLoop.execute { [handler] in handler.value.step(.send(message)) }
    }

    /// Ends one tunnel by the server's own decision and tells an Adit device why.
    package func endTunnel(named name: String, because error: AditError) {
        eventLoop.execute { [handler] in
            handler.value.step(.tunnelClosed(FRPCloseProxy(proxyName: name), error))
        }
    }

    /// Ends the session.
    package func close(_ reason: SessionEnd) {
        eventLoop.execute { [handler] in handler.value.step(.end(reason)) }
    }

    func offer(_ connection: IdleWorkConnection, _ message: FRPNewWorkConnection) {
        eventLoop.execute { [handler] in handler.value.offer(connection, message) }
    }

    func finish(_ reason: SessionEnd) {
        closedPromise.succeed(reason)
    }
}
