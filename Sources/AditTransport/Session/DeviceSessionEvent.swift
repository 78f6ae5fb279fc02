// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
package import AditWire
package import NIOCore

/// What a device's session tells about itself.
package enum DeviceSessionEvent: Sendable, Equatable {
    /// A try to connect begins; the first is 1, and the count starts anew after each login.
    case connecting(attempt: Int)
    /// The login was accepted.
    case connected(DeviceConnection)
    /// A try failed or a session was lost, and when the next try begins.
    case disconnected(AditError, retryAfter: Duration)
    /// The server refused for a reason that a person has to mend; the session has stopped.
    case refused(AditError)
    /// A tunnel is open at the server.
    case registered(FRPNewProxyResponse)
    /// A tunnel was refused.
    case registrationFailed(name: String, AditError, willRetry: Bool)
    /// The server ended a tunnel; it is not registered again.
    case tunnelClosed(name: String, AditError)
    /// A request to one of the device's names has finished.
    case requestReport(AditRequestReport)
    /// The server turned visitors of a tunnel away.
    case visitorsRefused(AditVisitorsRefused)
    /// The server gave new credentials for its TURN.
    case turnOffered(TURNOffer)
    /// The server is about to stop.
    case draining(Duration)
    /// Another device says something.
    case peerSignal(AditPeerSignal)
    /// A signal could not be passed on.
    case peerUnavailable(AditPeerUnavailable)
    /// Who has a private proxy, or that nobody has.
    case serviceHolder(AditServiceHolder)
    /// A Ping was sent to the server.
    case heartbeatSent
    /// The measured round trip to the server.
    case roundTrip(Duration)
    /// `stop` has finished.
    case stopped
}

/// What is known about an open session.
package struct DeviceConnection: Sendable, Equatable {
    /// The run id, also after a reconnect.
    package var runID: String
    /// The address that was reached.
    package var serverAddress: IPEndpoint?
    /// The fingerprint of the server's key; nil without TLS.
    package var fingerprint: KeyFingerprint?
    /// What an Adit server tells about itself; nil for a plain frp server.
    package var adit: AditLoginResponse?
    /// The server's version.
    package var serverVersion: String
    /// What of Adit's extension both sides took.
    package var features: Set<AditFeature>

    /// Makes it from its parts.
    package init(
        runID: String,
        serverAddress: IPEndpoint?,
        fingerprint: KeyFingerprint?,
        adit: AditLoginResponse?,
        serverVersion: String,
        features: Set<AditFeature> = []
    ) {
        self.runID = runID
        self.serverAddress = serverAddress
        self.fingerprint = fingerprint
        self.adit = adit
        self.serverVersion = serverVersion
        self.features = features
    }
}

/// Who hears from a device's session and serves its connections.
package protocol DeviceSessionDelegate: Sendable {
    /// Something happened; called on the session's event loop, in order.
    func sessionEvent(_ event: DeviceSessionEvent)

    /// A visitor is here: `channel` carries its raw bytes and holds an `EarlyDataHandler` until it is joined.
    ///
    /// Called on the channel's event loop.
    func workConnection(_ start: FRPStartWorkConnection, channel: any Channel)

    /// Another device has opened a stream through the server: `channel` carries its raw bytes and holds an
    /// `EarlyDataHandler`.
    ///
    /// Called on the channel's event loop. That the peer is who the message says is only the server's word.
    func peerStream(_ message: AditPeerStream, channel: any Channel)
}

extension DeviceSessionDelegate {
    /// Takes none.
    package func peerStream(_ message: AditPeerStream, channel: any Channel) {
        channel.close(promise: nil)
    }
}
