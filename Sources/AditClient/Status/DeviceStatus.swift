// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal
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

    /// The path to another device.
    package struct Path: Sendable, Equatable, Codable {
        /// A sentence in both languages.
        package struct Words: Sendable, Equatable, Codable {
            /// In English.
            package var en: String
            /// In simplified Chinese.
            package var zh: String

            /// Takes a text apart.
            package init(_ text: Text) {
                en = text.english
                zh = text.chinese
            }
        }

        /// The other device's name.
        package var peer: String
        /// `direct`, `relayed` or `none`.
        package var kind: String
        /// `udp`, `tcp`, `tls` or `session`; nil without a path.
        package var transport: String?
        /// The last measured round trip, in milliseconds; nil before there is one.
        package var roundTripMs: Double?
        /// Since when packets go this way, in seconds since 1970.
        package var since: Int64
        /// How the direct path was found; nil for another.
        package var tactic: String?
        /// Why packets go this way, the same on both devices.
        package var reason: Words
        /// What this device is behind; nil from a version that does not tell.
        package var localNAT: Words?
        /// What the other one is behind; nil from a version that does not tell.
        package var remoteNAT: Words?
        /// Where packets leave from here; nil without a path.
        package var local: String?
        /// Where they are sent to; nil without a path.
        package var remote: String?
        /// How many packets were sent to look for the path.
        package var packetsSpent: Int
        /// When it was given up, in seconds since 1970; nil while it is there. It is shown for some minutes more.
        package var endedAt: Int64?
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
    /// Paths to other devices by name; nil when the process is of a version without them.
    package var paths: [Path]?
    /// Private services of the process; nil when it is of a version without them.
    package var services: [Service]?
    /// Local ports that lead to services of other devices; nil when the process is of a version without them.
    package var visits: [Visit]?

    /// Makes the status of a process that has not connected yet.
    package init(pid: Int32, server: String, startedAt: Int64, tunnels: [Tunnel] = []) {
        self.pid = pid
        self.server = server
        self.startedAt = startedAt
        self.tunnels = tunnels
    }
}

extension DeviceStatus.Path {
    /// Makes it from a report.
    ///
    /// - Parameters:
    ///   - own: the name of this device.
    ///   - seconds: now, in seconds since 1970.
    package init(_ peer: String, _ report: PathReport, own: String, at seconds: Int64) {
        self.peer = peer
        switch report.kind {
        case .none:
            kind = "none"
            transport = nil
        case .relayed(let over):
            kind = "relayed"
            transport = over.rawValue
        case .direct(let over):
            kind = "direct"
            transport = over == .udp ? "udp" : "tcp"
        }
        roundTripMs = report.roundTrip.map { Double($0.wholeNanoseconds / 10_000) / 100 }
        since = seconds
        tactic = report.tactic?.rawValue
        reason = Words(report.sentence(local: own, remote: peer))
        localNAT = Words(report.local.words)
        remoteNAT = Words(report.remote.words)
        local = report.localEndpoint?.description
        remote = report.remoteEndpoint?.description
        packetsSpent = report.packetsSpent
    }
}
