// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditCrypto
package import AditTunnel
package import AditWire

/// Where a device connects to, and how.
package struct DeviceSessionConfiguration: Sendable {
    /// The server; a name is resolved before every try.
    package var server: HostPort
    /// What the device shows at login.
    package var credentials: DeviceCredentials
    /// How the server proves who it is.
    package var serverTrust: ServerTrust
    /// The framing of messages.
    package var wireVersion = FRPWireVersion.v2
    /// Whether all streams share one connection (frp: transport.tcpMux); always true for Adit's extension.
    package var isMultiplexed = true
    /// How many work connections a plain frp server should keep ready.
    package var poolCount = 1
    /// How often a Ping is sent; nil leaves it to the multiplexer.
    package var heartbeatInterval: Duration?
    /// The session ends when no Pong came for this long; nil for never.
    package var heartbeatTimeout: Duration?
    /// The time between two pings of the multiplexer.
    package var muxPingInterval = Duration.seconds(10)
    /// How long the multiplexer waits for the answer to a ping.
    package var muxPingTimeout = Duration.seconds(5)
    /// How long connecting, TLS and login may take each.
    package var connectTimeout = Duration.seconds(10)
    /// Whether a Ping carries the token's proof (frp: auth.additionalScopes HeartBeats).
    package var provesHeartbeats = false
    /// Whether a work connection carries the token's proof (frp: auth.additionalScopes NewWorkConns).
    package var provesWorkConnections = false
    /// Whether the byte 0x17 goes before TLS (frp: the opposite of disableCustomTLSFirstByte).
    package var sendsTLSMarker = false
    /// The certificate chain and the key in PEM that this side shows (frp: transport.tls.certFile, keyFile).
    package var clientCertificate: TLSCertificateFiles?
    /// The user of an frp client.
    package var user = ""
    /// The client id of an frp client.
    package var clientID = ""
    /// Further fields of Login.
    package var metas: [String: String] = [:]
    /// The run id of an earlier session that is to be taken over; empty for a new one.
    package var runID = ""
    /// The version in Login.
    package var version = "0.70.1"
    /// The host name in Login.
    package var hostname = ""
    /// The operating system in Login, as Go names it.
    package var os = "linux"
    /// The processor architecture in Login, as Go names it.
    package var arch = ""
    /// The name that an Adit device gives itself.
    package var deviceName = ""
    /// Whether other devices of the server may look for a path to this one (feature `paths`).
    package var takesSignals = false

    /// Makes a configuration with the defaults.
    package init(server: HostPort, credentials: DeviceCredentials, serverTrust: ServerTrust) {
        self.server = server
        self.credentials = credentials
        self.serverTrust = serverTrust
    }
}
