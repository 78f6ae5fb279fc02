// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTunnel
package import AditWire
package import NIOCore

/// The decisions about sessions that are not the session's own: who may come in, and which tunnels exist.
///
/// Every call comes on the session's event loop and must not block it.
package protocol ServerSessionPolicy: Sendable {
    /// Decides about a login. The signature of a device has been verified before.
    func authorize(_ request: LoginRequest, on eventLoop: any EventLoop) -> EventLoopFuture<LoginDecision>

    /// A session is open: its run id is taken, its login answered.
    func sessionOpened(_ session: ServerSession)

    /// Opens a tunnel, or says in the response why not.
    func openTunnel(_ request: FRPNewProxy, for session: ServerSession) -> EventLoopFuture<FRPNewProxyResponse>

    /// The device closed one of its tunnels.
    func closeTunnel(named name: String, for session: ServerSession)

    /// A device that takes part in looking for paths says something to another one.
    func peerSignal(_ signal: AditPeerSignal, from session: ServerSession)

    /// A device tells which services its run has.
    func services(_ services: AditServices, from session: ServerSession)

    /// A guest asks who has a private proxy.
    func serviceQuery(_ query: AditServiceQuery, from session: ServerSession)

    /// A device opened a stream that is to lead to another one; `channel` carries its raw bytes and holds an
    /// `EarlyDataHandler` until it is joined.
    ///
    /// False when the device opens too many, and the channel was closed.
    func peerStream(_ message: AditPeerStream, channel: any Channel, from session: ServerSession) -> Bool

    /// A session that was open has ended, and all its tunnels with it.
    ///
    /// When this returns, names and ports of the session must be free: a session that takes its place is opened next.
    func sessionClosed(_ session: ServerSession, reason: SessionEnd)
}

extension ServerSessionPolicy {
    /// Passes no signals on.
    package func peerSignal(_ signal: AditPeerSignal, from session: ServerSession) {}

    /// Leads nobody to services.
    package func services(_ services: AditServices, from session: ServerSession) {}

    /// Answers nothing.
    package func serviceQuery(_ query: AditServiceQuery, from session: ServerSession) {}

    /// Joins no streams.
    package func peerStream(_ message: AditPeerStream, channel: any Channel, from session: ServerSession) -> Bool {
        channel.close(promise: nil)
        return false
    }
}
