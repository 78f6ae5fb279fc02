// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// What a running device tells the person, in the order in which it happened.
package enum DeviceEvent: Sendable, Equatable {
    /// The session stands.
    case connected(SessionFacts)
    /// There is no session, for this reason; the next try is after `retryIn`.
    case waiting(AditError, retryIn: Duration)
    /// The server opened a tunnel, or opened it again after a reconnect.
    case opened(OpenTunnel)
    /// The server refused a tunnel; it is asked for again after `retryIn`, never when that is nil.
    case refused(tunnel: String, AditError, retryIn: Duration?)
    /// The server closed a tunnel for good.
    case closed(tunnel: String, AditError)
    /// The target answers, or does not, and this changed.
    case health(tunnel: String, TargetHealth)
    /// The app rejected the public name in the Host header, and from now on is sent its own.
    case hostRewritten(tunnel: String, AditError)
    /// A request to a web tunnel was answered.
    case request(tunnel: String, RequestRow)
    /// A visitor of a tcp tunnel came.
    case visitorCame(tunnel: String, visitor: String)
    /// A visitor of a tcp tunnel left.
    case visitorLeft(tunnel: String, visitor: String, VisitStatistics)
    /// A visitor's first datagram came.
    case datagramVisitorCame(tunnel: String, visitor: String)
    /// A visitor sent and got no datagrams for a while.
    case datagramVisitorLeft(tunnel: String, DatagramVisit)
    /// The server turned visitors away.
    case turnedAway(tunnel: String, TurnedAway)
    /// The server gave new credentials for its TURN.
    case turnOffered(TURNOffer)
    /// Something about the path to another device.
    case path(PathNews)
    /// Something happened at a private service of this device.
    case service(ServiceNews)
    /// A local port leads to a service of another device.
    case visiting(ServicePlace, IPEndpoint)
    /// Something happened at such a port.
    case visit(VisitNews)
    /// The server is about to restart and asks the device to come back after that long.
    case draining(reconnectAfter: Duration)
    /// Nothing more will happen: the person stopped it (nil), or must mend something first.
    case ended(AditError?)
}

/// What is known about a session.
package struct SessionFacts: Sendable, Equatable {
    /// The server as the person named it.
    package var server: HostPort
    /// What the server calls itself; empty when it does not say.
    package var serverName: String
    /// What the server calls this device; empty when it does not say.
    package var deviceName: String
    /// The domain of the server's names; empty when it has none.
    package var domain: String
    /// The whole fingerprint of the server's key; nil without TLS.
    package var fingerprint: String?
    /// The round trip to the server while the session was set up.
    package var roundTrip: Duration?
    /// Where the server answers STUN; nil when it does not.
    package var stun: STUNOffer?
    /// Where the server relays by TURN, with the credentials for this device; nil when it does not.
    package var turn: TURNOffer?

    /// Makes facts from their parts.
    package init(
        server: HostPort,
        serverName: String = "",
        deviceName: String = "",
        domain: String = "",
        fingerprint: String? = nil,
        roundTrip: Duration? = nil,
        stun: STUNOffer? = nil,
        turn: TURNOffer? = nil
    ) {
        self.server = server
        self.serverName = serverName
        self.deviceName = deviceName
        self.domain = domain
        self.fingerprint = fingerprint
        self.roundTrip = roundTrip
        self.stun = stun
        self.turn = turn
    }
}

/// A tunnel as the server opened it.
package struct OpenTunnel: Sendable, Equatable {
    /// What the device calls it.
    package var name: String
    /// The public addresses, the best first; never empty.
    package var addresses: [String]
    /// When it closes by itself, in seconds since 1970; nil for never.
    package var expiresAt: Int64?

    /// Makes one from its parts.
    package init(name: String, addresses: [String], expiresAt: Int64? = nil) {
        self.name = name
        self.addresses = addresses
        self.expiresAt = expiresAt
    }
}

/// Whether a tunnel's target answers.
package enum TargetHealth: Sendable, Equatable {
    /// Nothing is known yet.
    case unknown
    /// It accepts connections; a web target answered with that status.
    case answers(status: Int?, after: Duration)
    /// It does not, for this reason.
    case fails(AditError)
}

/// One answered request.
package struct RequestRow: Sendable, Equatable {
    /// The request method.
    package var method: String
    /// The path without its query.
    package var path: String
    /// The response's status code.
    package var status: Int
    /// From the request's head to the response's head.
    package var duration: Duration
    /// The visitor's address.
    package var visitor: String
    /// Whether the connection became another protocol, such as WebSocket.
    package var isUpgraded: Bool
    /// How many requests before it came too fast to be shown one by one.
    package var omitted: Int

    /// Makes a row from its parts.
    package init(
        method: String,
        path: String,
        status: Int,
        duration: Duration,
        visitor: String,
        isUpgraded: Bool = false,
        omitted: Int = 0
    ) {
        self.method = method
        self.path = path
        self.status = status
        self.duration = duration
        self.visitor = visitor
        self.isUpgraded = isUpgraded
        self.omitted = omitted
    }
}

/// Visitors who were turned away in some time, for one reason.
package struct TurnedAway: Sendable, Equatable {
    /// How many visitors or requests.
    package var count: Int
    /// In which time.
    package var period: Duration
    /// Why: `allow-list`, `password`, `connections`, `connection-rate`, `request-rate` or `device-connections`.
    package var reason: String
    /// The limit that was reached, such as `5` or `10/s`; empty when there is none.
    package var limit: String

    /// Makes it from its parts.
    package init(count: Int, period: Duration, reason: String, limit: String) {
        self.count = count
        self.period = period
        self.reason = reason
        self.limit = limit
    }
}

/// What passed during one visitor's connection.
package struct VisitStatistics: Sendable, Equatable {
    /// How long it lasted.
    package var duration: Duration
    /// Bytes from the visitor to the target.
    package var bytesIn: UInt64
    /// Bytes from the target to the visitor.
    package var bytesOut: UInt64

    /// Makes statistics from their parts.
    package init(duration: Duration, bytesIn: UInt64, bytesOut: UInt64) {
        self.duration = duration
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
    }
}
