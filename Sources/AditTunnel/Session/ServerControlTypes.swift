// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
package import AditWire

extension ServerControl {
    /// What the server's owner decides about all sessions.
    package struct Configuration: Sendable, Equatable {
        /// The version in LoginResp; frp clients show it.
        package var version = "0.70.1"
        /// How long a login may take from the first byte to its answer.
        package var loginTimeout = Duration.seconds(10)
        /// The session ends when no Ping came for this long; nil when the multiplexer watches the connection.
        package var heartbeatTimeout: Duration?
        /// How many work connections a client may have asked for ahead of need (frp: maxPoolCount).
        package var maximumPoolCount = 5
        /// How long a visitor waits for a work connection (frp: userConnTimeout).
        package var workConnectionTimeout = Duration.seconds(10)
        /// Whether a Ping has to prove the token (frp: additionalScopes HeartBeats).
        package var requiresKeyOnHeartbeats = false
        /// Whether a work connection has to prove the token (frp: additionalScopes NewWorkConns).
        package var requiresKeyOnWorkConnections = false
        /// How many tunnels one session may hold or ask for at the same time.
        package var maximumTunnels = 256
        /// How many visitors of one session may wait for a work connection.
        package var maximumWaitingVisitors = 1024
        /// Whether clients that speak only frp's protocol are served.
        package var servesFRP = true

        /// Makes a configuration with the defaults.
        package init() {}
    }

    /// What the driver knows about one connection before the first message.
    package struct Connection: Sendable, Equatable {
        /// The framing that the first bytes chose.
        package var wireVersion: FRPWireVersion
        /// Whether the connection is inside TLS.
        package var isTLS: Bool
        /// Whether it is inside TLS 1.3, which Adit peers need.
        package var isTLS13: Bool
        /// Whether the server can open streams towards the device.
        package var canOpenStreams: Bool
        /// The fingerprint of the server's own key; nil without TLS.
        package var fingerprint: KeyFingerprint?
        /// The other end.
        package var remoteAddress: IPEndpoint?
        /// 32 random bytes for ServerHello.
        package var serverRandom: [UInt8]

        /// Makes it from its parts.
        package init(
            wireVersion: FRPWireVersion,
            isTLS: Bool,
            isTLS13: Bool,
            canOpenStreams: Bool,
            fingerprint: KeyFingerprint?,
            remoteAddress: IPEndpoint?,
            serverRandom: [UInt8]
        ) {
            self.wireVersion = wireVersion
            self.isTLS = isTLS
            self.isTLS13 = isTLS13
            self.canOpenStreams = canOpenStreams
            self.fingerprint = fingerprint
            self.remoteAddress = remoteAddress
            self.serverRandom = serverRandom
        }
    }

    /// What happens to a session.
    package enum Input: Sendable, Equatable {
        /// A frame came on the control stream.
        case frame(FRPFrame)
        /// The login may go on under this run id.
        case accept(LoginAcceptance, runID: String)
        /// The login is refused; `frpText` is for frp clients.
        case refuse(AditError, frpText: String)
        /// The answer to an `openTunnel`.
        case tunnelAnswered(FRPNewProxyResponse)
        /// The server ends a tunnel by itself.
        case tunnelClosed(FRPCloseProxy, AditError)
        /// The client opened a work connection.
        case workConnection(WorkConnectionID, FRPNewWorkConnection)
        /// A work connection that was not yet started is gone.
        case workConnectionLost(WorkConnectionID)
        /// A visitor needs a way to the device.
        case visitor(VisitorID, FRPStartWorkConnection)
        /// The visitor went away before it got one.
        case visitorGone(VisitorID)
        /// StartWorkConn was written for the visitor.
        case started(VisitorID)
        /// StartWorkConn could not be written, or the stream not be opened.
        case startFailed(VisitorID)
        /// The owner of the session sends a message to the device.
        case send(FRPMessage)
        /// The session is to end.
        case end(SessionEnd)
        /// The deadline passed.
        case timer
    }

    /// What the driver has to do, in this order.
    package enum Output: Sendable, Equatable {
        /// Write a frame on the control stream.
        case send(FRPFrame)
        /// Ask for a decision; answered by `accept` or `refuse`.
        case authorize(LoginRequest)
        /// Encrypt both directions from here on.
        case secure(ControlSecurity)
        /// The session is open under this run id.
        case opened(runID: String)
        /// Ask for a tunnel; answered by `tunnelAnswered`.
        case openTunnel(FRPNewProxy)
        /// The device closed a tunnel.
        case closeTunnel(String)
        /// The device has something to say to another.
        case peerSignal(AditPeerSignal)
        /// The device tells which services its run has.
        case services(AditServices)
        /// A guest asks who has a private proxy.
        case serviceQuery(AditServiceQuery)
        /// Write StartWorkConn on an idle work connection and give it to the visitor; answered by `started` or `startFailed`.
        case start(VisitorID, on: WorkConnectionID, FRPStartWorkConnection, WorkTransform)
        /// Write StartWorkConn with this error on a work connection and close it.
        case refuseWorkConnection(WorkConnectionID, String)
        /// Nothing brings this visitor to the device.
        case visitorFailed(VisitorID, AditError)
        /// Close the control stream and the connection after what was sent; the machine takes no more input.
        case ended(SessionEnd)
    }
}
