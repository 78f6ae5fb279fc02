// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// One try of a mapping from outside: a server is asked to send its answer to the external port (RFC 5780 section 7.5).
struct PortMappingProbe: Sendable {
    enum Step: Sendable {
        /// The socket that asks is being opened.
        case opening
        /// The server is asked where it sees this machine.
        case asking
        /// The socket behind the mapping is being opened.
        case openingMapped
        /// The server is asked to answer to the mapping.
        case probing
        /// A TCP connection from the mapped port to the server is being made.
        case connecting
        /// The server is asked to connect to the mapping (CONNECT-BACK in docs/wire.md).
        case awaiting
    }

    let lease: Int
    let server: IPEndpoint
    let socket: SocketID
    let inside: IPEndpoint
    let externalPort: UInt16
    /// The socket or listener behind the mapping.
    var mapped: SocketID?
    /// The connection from the mapped port to the server, over TCP.
    var stream: SocketID?
    /// What came on that connection, at most a message.
    var streamBytes: [UInt8] = []
    /// Connections that came through the mapping and have not said who they are.
    var guests: [SocketID: IPEndpoint] = [:]
    var step = Step.opening
    var transactions: [STUNTransactionID] = []
    var triesLeft = 0
    var delay = Duration.milliseconds(500)
    var nextAt: Instant
    /// Where the server sees this machine.
    var seen: IPEndpoint?
    /// From where the server can answer too.
    var other: IPEndpoint?
    /// Whether the server answered to the port that asked, as if it had not been asked for another.
    var isIgnored = false

    /// How often each question is sent.
    static var tries: Int { 4 }
    /// How many connections from elsewhere are looked at.
    static var guestLimit: Int { 8 }

    mutating func begin(_ step: Step, at now: Instant) {
        self.step = step
        transactions = []
        triesLeft = Self.tries
        delay = .milliseconds(500)
        nextAt = now
    }
}
