// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditWire

/// What one running process answers when it is asked for its status; the JSON of its members is stable.
package struct DeviceStatus: Sendable, Equatable, Codable {
    /// One tunnel of the process.
    package struct Tunnel: Sendable, Equatable, Codable {
        /// How far a tunnel is.
        package enum State: String, Sendable, Codable {
            /// Visitors reach the target.
            case open
            /// The server holds the address; the target does not answer.
            case held
            /// The server was asked and has not answered, or there is no session.
            case waiting
            /// The server refused it.
            case refused
            /// The server closed it for good.
            case closed
        }

        /// What the device calls it.
        package var name: String
        /// `http`, `tcp`, `udp`, `game` or `tls`.
        package var kind: String
        /// Where it leads.
        package var target: String
        /// Its public addresses, the best first; empty until the server gave some.
        package var addresses: [String] = []
        /// How far it is.
        package var state = State.waiting
        /// The code of what is wrong with it, such as `ADIT-201`; nil when all is well.
        package var code: String?
        /// What is wrong with it in English; nil when all is well.
        package var problem: String?
        /// Visitors' connections open now.
        package var visitorsNow = 0
        /// Visitors' connections since the process began.
        package var visitorsTotal: UInt64 = 0
        /// Answered requests since the process began.
        package var requests: UInt64 = 0
        /// Visitors and requests that the server turned away since the process began.
        package var turnedAway: UInt64 = 0
        /// Bytes from visitors to the target, of connections that have ended.
        package var bytesIn: UInt64 = 0
        /// Bytes from the target to visitors, of connections that have ended.
        package var bytesOut: UInt64 = 0
        /// Datagrams from visitors to the target; nil where there are none.
        package var datagramsIn: UInt64?
        /// Datagrams from the target to visitors; nil where there are none.
        package var datagramsOut: UInt64?
        /// Datagrams that were thrown away because the way on was full; nil where there are none.
        package var droppedDatagrams: UInt64?
        /// When it closes by itself, in seconds since 1970; nil for never.
        package var expiresAt: Int64?

        /// Makes a tunnel that waits for the server.
        package init(name: String, kind: String, target: String) {
            self.name = name
            self.kind = kind
            self.target = target
        }
    }

    /// The process.
    package var pid: Int32
    /// The server, `host:port`.
    package var server: String
    /// Whether the session stands.
    package var isConnected = false
    /// The round trip to the server in milliseconds when the session was set up; nil when unknown.
    package var roundTripMs: Int64?
    /// When the process began, in seconds since 1970.
    package var startedAt: Int64
    /// When the session came to stand, in seconds since 1970; nil while there is none.
    package var connectedAt: Int64?
    /// What keeps the session away, in English; nil while it stands.
    package var problem: String?
    /// Where the server answers STUN; nil when it does not, or while no session ever stood.
    package var stun: STUNOffer?
    /// The tunnels in the order in which they were asked for.
    package var tunnels: [Tunnel]

    /// Makes the status of a process that has not connected yet.
    package init(pid: Int32, server: String, startedAt: Int64, tunnels: [Tunnel] = []) {
        self.pid = pid
        self.server = server
        self.startedAt = startedAt
        self.tunnels = tunnels
    }
}
