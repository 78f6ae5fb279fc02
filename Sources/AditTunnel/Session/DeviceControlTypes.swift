// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
package import AditWire

extension DeviceControl {
    /// What a device says about itself and how it behaves.
    package struct Configuration: Sendable {
        /// What it shows at login.
        package var credentials: DeviceCredentials
        /// The framing of messages.
        package var wireVersion: FRPWireVersion
        /// The fields of Login that are not a proof: version, hostname, os, arch, user, client id, metas, pool count, run id.
        package var login: FRPLogin
        /// The name that an Adit device gives itself.
        package var deviceName = ""
        /// What of Adit's extension the device asks for.
        package var features = Set(AditFeature.allCases).subtracting([.paths, .services, .guests])
        /// How often a Ping is sent; nil when the multiplexer watches the connection.
        package var heartbeatInterval: Duration?
        /// The session ends when no Pong came for this long; nil for never.
        package var heartbeatTimeout: Duration?
        /// Whether a Ping carries the token's proof (frp: additionalScopes HeartBeats).
        package var provesHeartbeats = false
        /// Whether a work connection carries the token's proof (frp: additionalScopes NewWorkConns).
        package var provesWorkConnections = false
        /// How long the server may take to answer a login.
        package var loginTimeout = Duration.seconds(10)
        /// After how long an unanswered registration is sent again.
        package var resendInterval = Duration.seconds(20)
        /// After how long a refused registration is tried again.
        package var retryInterval = Duration.seconds(30)

        /// Makes a configuration with the defaults.
        package init(credentials: DeviceCredentials, wireVersion: FRPWireVersion = .v2, login: FRPLogin = FRPLogin()) {
            self.credentials = credentials
            self.wireVersion = wireVersion
            self.login = login
        }
    }

    /// What the driver knows about the connection before the first message.
    package struct Connection: Sendable, Equatable {
        /// Whether the connection is inside TLS.
        package var isTLS: Bool
        /// Whether streams are multiplexed on it.
        package var isMultiplexed: Bool
        /// The fingerprint of the server's key; nil without TLS.
        package var fingerprint: KeyFingerprint?
        /// 32 random bytes for ClientHello.
        package var clientRandom: [UInt8]
        /// The wall clock at the machine's start, in Unix seconds.
        package var unixTime: Int64

        /// Makes it from its parts.
        package init(
            isTLS: Bool,
            isMultiplexed: Bool,
            fingerprint: KeyFingerprint?,
            clientRandom: [UInt8],
            unixTime: Int64
        ) {
            self.isTLS = isTLS
            self.isMultiplexed = isMultiplexed
            self.fingerprint = fingerprint
            self.clientRandom = clientRandom
            self.unixTime = unixTime
        }
    }

    /// What happens to a session.
    package enum Input: Sendable, Equatable {
        /// A frame came on the control stream.
        case frame(FRPFrame)
        /// A tunnel is wanted from now on; replaces an earlier wish of the same name.
        case register(FRPNewProxy)
        /// A tunnel is not wanted any more.
        case unregister(String)
        /// Something for another device; dropped while there is no session, or at a server that passes none on.
        case peerSignal(AditPeerSignal)
        /// The services of this run; dropped while there is no session, or at a server that leads nobody to them.
        case services([String])
        /// Asks who has a private proxy; dropped while there is no session, or at a server that takes no guests.
        case serviceQuery(AditServiceQuery)
        /// The session is to end.
        case end(SessionEnd)
        /// The deadline passed.
        case timer
    }

    /// What the driver has to do, in this order.
    package enum Output: Sendable, Equatable {
        /// Write a frame on the control stream.
        case send(FRPFrame)
        /// Encrypt both directions from here on.
        case secure(ControlSecurity)
        /// The login was accepted.
        case opened(FRPLoginResponse)
        /// A tunnel is open at the server.
        case registered(FRPNewProxyResponse)
        /// A tunnel was refused; `willRetry` when the machine tries again by itself.
        case registrationFailed(String, AditError, willRetry: Bool)
        /// The server ended a tunnel; it is not registered again.
        case tunnelClosed(String, AditError)
        /// Open a connection or a stream and send this as its first message.
        case openWorkConnection(FRPNewWorkConnection)
        /// A finished request to a name.
        case requestReport(AditRequestReport)
        /// The server turned visitors of a tunnel away.
        case visitorsRefused(AditVisitorsRefused)
        /// The server gave new credentials for its TURN.
        case turnOffered(TURNOffer)
        /// Another device says something.
        case peerSignal(AditPeerSignal)
        /// A signal could not be passed on.
        case peerUnavailable(AditPeerUnavailable)
        /// Who has a private proxy, or that nobody has.
        case serviceHolder(AditServiceHolder)
        /// The server is about to stop and wants to be tried again after this long.
        case draining(Duration)
        /// A Ping was sent.
        case heartbeatSent
        /// A Pong came.
        case heartbeatAnswered
        /// Close the connection after what was sent; the machine takes no more input.
        case ended(SessionEnd)
    }
}
