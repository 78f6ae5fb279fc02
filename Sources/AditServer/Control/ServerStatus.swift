// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a running server tells about itself; the object that `adit server status --json` prints.
///
/// Times are Unix seconds.
package struct ServerStatus: Codable, Sendable, Equatable {
    /// One tunnel of one client.
    package struct Tunnel: Codable, Sendable, Equatable {
        /// The name on the wire, without an frp user's prefix.
        package var name: String
        /// `tcp` or `http`.
        package var kind: String
        /// What the device forwards to, when it said so.
        package var target: String
        /// The public addresses, best first.
        package var addresses: [String]
        /// When it was opened.
        package var since: Int64
        /// When it ends by itself; absent when it does not.
        package var expires: Int64?
        /// Visitors' connections, ever.
        package var visitors: Int
        /// Visitors' connections that are open now.
        package var openVisitors: Int
        /// Visitors turned away by the allow list or a limit.
        package var refusedVisitors: Int
        /// Bytes from visitors to the device.
        package var bytesIn: Int64
        /// Bytes from the device to visitors.
        package var bytesOut: Int64
        /// The last thing that went wrong; empty when nothing did.
        package var lastError: String
    }

    /// One device that joined, or one frp client that is connected.
    package struct Client: Codable, Sendable, Equatable {
        /// The name of the device, or the user of the frp client.
        package var name: String
        /// `device` or `frp`.
        package var kind: String
        /// The fingerprint of a device's key; empty for frp.
        package var key: String
        /// Whether it is connected.
        package var isOnline: Bool
        /// The addresses it is connected from.
        package var addresses: [String]
        /// When it was last connected; absent for frp.
        package var lastSeen: Int64?
        /// Its tunnels.
        package var tunnels: [Tunnel]
    }

    /// The version of Adit.
    package var version: String
    /// The process.
    package var process: Int
    /// When the server started.
    package var since: Int64
    /// The name or address by which it is reached.
    package var host: String
    /// The domain of its names; absent when it has none.
    package var domain: String?
    /// The port of sessions.
    package var sessionPort: UInt16
    /// The port of names; absent when names are not served.
    package var httpPort: UInt16?
    /// The ports given out, such as `20000-20999`.
    package var publicPorts: String
    /// The fingerprint of the server's key.
    package var fingerprint: String
    /// Whether frp's programs may log in.
    package var allowsFRP: Bool
    /// Whether the server is stopping.
    package var isStopping: Bool
    /// Devices and connected frp clients.
    package var clients: [Client]
}
