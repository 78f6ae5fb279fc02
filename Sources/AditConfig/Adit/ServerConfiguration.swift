// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What an Adit server's own configuration file says, with the default of every key that it leaves out.
///
/// The file is flat: no key depends on where in the file it stands.
package struct ServerConfiguration: Sendable, Equatable {
    /// A certificate chain and its key, both files in PEM.
    package struct Certificate: Sendable, Equatable {
        /// The file of the chain, the server's own certificate first.
        package var certificate: String
        /// The file of the private key.
        package var key: String

        /// Makes it from both paths.
        package init(certificate: String, key: String) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// The domain under which tunnels get their names; nil for names under `localhost`.
    package var domain: String?
    /// The address that every listener binds to.
    package var listen = IPAddress.v4(0)
    /// The TCP port of sessions; 0 lets the system choose.
    package var sessionPort: UInt16 = 7000
    /// The TCP port of names; 0 lets the system choose.
    package var httpPort: UInt16 = 8080
    /// The TCP port of names with TLS, which may be one of the other two; 0 lets the system choose, nil for the default
    /// one, without which the server runs as well.
    package var httpsPort: UInt16?
    /// What is said about STUN.
    package var stun = STUNConfiguration()
    /// Whether the server carries what devices without a direct path send each other, by TURN or through their sessions.
    package var relay = true
    /// What is said about TURN.
    package var turn = TURNConfiguration()
    /// The certificates with which the server ends visitors' TLS connections.
    package var certificates: [Certificate] = []
    /// Whether visitors without TLS are sent to it, for names that a certificate covers.
    package var redirectToHTTPS = true
    /// The TCP ports that tunnels of kind tcp are given.
    package var publicPorts = PortRangeList([20000...20999])
    /// The shared secret of devices that have not joined and of frp peers; nil when there is none.
    package var token: String?
    /// Whether frp's own programs may log in with the token.
    package var allowFRP = true
    /// The folder of the server's key and database; nil for the default one.
    package var state: String?
    /// Names that no device gets, beside those that Adit keeps for itself.
    package var reservedNames: [String] = []
    /// How many tunnels one device may hold open, 1 to 10000.
    package var maxTunnelsPerDevice = 64
    /// How many visitors' connections one device may have open in all its tunnels; 0 for no limit.
    package var maxConnectionsPerDevice = 0
    /// How much may pass through all tunnels of one device in each direction; nil for no limit.
    package var bandwidthPerDevice: Bandwidth?
    /// How long a graceful stop waits for connections to end, 0 to 3600 seconds.
    package var drainSeconds = 10
    /// The file of the page for a name that nobody holds; nil for the built-in one.
    package var custom404Page: String?
    /// How much is written to the log.
    package var logLevel = LogLevel.info

    /// Makes a configuration of defaults.
    package init() {}
}
