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
        /// `tcp`, `udp`, `game`, `http` or `https`.
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
        /// Datagrams from visitors; absent for tunnels without any.
        package var datagramsIn: Int64?
        /// Datagrams to visitors; absent for tunnels without any.
        package var datagramsOut: Int64?
        /// Datagrams that were thrown away because the way on was full; absent for tunnels without any.
        package var droppedDatagrams: Int64?
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

    /// STUN: where it is answered, and what was done since the start.
    package struct STUN: Codable, Sendable, Equatable {
        /// The port of UDP and TCP.
        package var port: UInt16
        /// The second one; absent when there is none.
        package var alternatePort: UInt16?
        /// The port of TLS; absent when there is none.
        package var tlsPort: UInt16?
        /// The second addresses of RFC 5780.
        package var alternateAddresses: [String]
        /// Messages that came.
        package var requests: Int
        /// Requests answered with success.
        package var answered: Int
        /// Requests answered with an error.
        package var refused: Int
        /// Requests that were not answered because their source sent too many.
        package var limited: Int
        /// What was no request, or no STUN at all.
        package var ignored: Int
        /// Answers that the system did not take.
        package var lost: Int
        /// Connections that are open now.
        package var connections: Int
        /// Connections turned away because there were too many.
        package var refusedConnections: Int
    }

    /// What devices say to each other through the server, to find paths between them.
    package struct Signals: Codable, Sendable, Equatable {
        /// Sessions that take signals.
        package var devices: Int
        /// Signals passed on since the start.
        package var forwarded: Int
        /// Signals for devices that are away, unknown or take none.
        package var refused: Int
        /// Signals dropped because too many came.
        package var limited: Int
        /// Streams between devices that were joined since the start; absent from a version that joins none.
        package var streams: Int?
        /// Those that are open now.
        package var openStreams: Int?
        /// What passed on them, in bytes, both ways together.
        package var streamBytes: Int64?
    }

    /// One certificate with which the server ends visitors' TLS connections.
    package struct Certificate: Codable, Sendable, Equatable {
        /// What the owner should know, in both languages.
        package struct Remark: Codable, Sendable, Equatable {
            /// In English.
            package var en: String
            /// In simplified Chinese.
            package var zh: String
        }

        /// The hosts and addresses that it is for.
        package var names: [String]
        /// Until when it is valid.
        package var expires: Int64
        /// The file of the chain.
        package var file: String
        /// What is wrong or will be soon; empty when nothing is.
        package var remarks: [Remark]
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
    /// The port of names with TLS; absent when they are not served.
    package var httpsPort: UInt16?
    /// The certificates; absent when there are none.
    package var certificates: [Certificate]?
    /// STUN; absent when it is not answered.
    package var stun: STUN?
    /// TURN; absent when nothing is relayed.
    package var turn: TURN?
    /// Signals between devices; absent where there are no devices.
    package var signals: Signals?
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
