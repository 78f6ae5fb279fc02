// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What an Adit server's own configuration file says, with the default of every key that it leaves out.
///
/// The file is flat: no key depends on where in the file it stands.
package struct ServerConfiguration: Sendable, Equatable {
    /// The domain under which tunnels get their names; nil for names under `localhost`.
    package var domain: String?
    /// The address that every listener binds to.
    package var listen = IPAddress.v4(0)
    /// The TCP port of sessions; 0 lets the system choose.
    package var sessionPort: UInt16 = 7000
    /// The TCP port of names; 0 lets the system choose.
    package var httpPort: UInt16 = 8080
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
    /// How long a graceful stop waits for connections to end, 0 to 3600 seconds.
    package var drainSeconds = 10
    /// The file of the page for a name that nobody holds; nil for the built-in one.
    package var custom404Page: String?
    /// How much is written to the log.
    package var logLevel = LogLevel.info

    /// Makes a configuration of defaults.
    package init() {}
}
