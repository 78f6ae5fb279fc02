// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditCrypto
package import AditTransport
package import AditTraversal
package import AditWire

/// What the doctor looks at.
package struct DoctorSubject: Sendable {
    /// The server's session port.
    package var server: HostPort
    /// What the server has to show; `.unverified` for a server that this computer has not joined.
    package var trust: ServerTrust
    /// Whether this computer has joined it.
    package var isJoined: Bool
    /// The server's domain; empty when it is not known.
    package var domain: String
    /// The port on which the server shows names without TLS.
    package var httpPort: UInt16?
    /// The port on which the server shows names with TLS.
    package var httpsPort: UInt16?
    /// Where it answers STUN; nil when that is not known.
    package var stun: STUNOffer?
    /// Where it relays by TURN, and with which credentials; nil when that is not known.
    package var turn: TURNOffer?

    /// Makes it from its parts.
    package init(
        server: HostPort,
        trust: ServerTrust,
        isJoined: Bool,
        domain: String = "",
        httpPort: UInt16? = nil,
        httpsPort: UInt16? = nil,
        stun: STUNOffer? = nil,
        turn: TURNOffer? = nil
    ) {
        self.server = server
        self.trust = trust
        self.isJoined = isJoined
        self.domain = domain
        self.httpPort = httpPort
        self.httpsPort = httpsPort
        self.stun = stun
        self.turn = turn
    }
}

/// How a name was answered.
package enum NameFinding: Sendable, Equatable {
    /// It has these addresses.
    case found([IPEndpoint], after: Duration)
    /// The resolver says that there is no such name; its words.
    case unknown(String)
    /// No resolver answered; its words.
    case noResolver(String)
}

/// What became of connecting to the session port and speaking to it.
package struct SessionFinding: Sendable, Equatable {
    /// How TLS came up.
    package enum TLS: Sendable, Equatable {
        /// It is up; the server's key when it showed one.
        case up(KeyFingerprint?, after: Duration)
        /// The key is not the pinned one, or no authority vouches for it.
        case untrusted(AditError)
        /// The answer is HTTP in clear text.
        case answersHTTP(HTTPFinding)
        /// The answer is not TLS.
        case notTLS
        /// The connection was reset or closed during the handshake.
        case broken(String)
        /// No answer in time.
        case silent
    }

    /// How the session's protocol was answered.
    package enum Hello: Sendable, Equatable {
        /// As Adit does.
        case adit(after: Duration)
        /// As a plain frp server does.
        case frp
        /// The server refuses every client like this; its words.
        case refused(String)
        /// Something else came, or the connection ended.
        case garbage
        /// No answer in time.
        case silent
    }

    /// The address that answered; nil when none did.
    package var address: IPEndpoint?
    /// How long TCP took.
    package var connectTime: Duration?
    /// What became of the addresses that did not answer.
    package var failures: [ConnectFailure] = []
    /// How TLS came up; nil when there was no connection.
    package var tls: TLS?
    /// How the session's protocol was answered; nil when TLS did not come up.
    package var hello: Hello?

    /// Makes a finding of nothing.
    package init() {}
}

/// Why an address could not be connected to.
package struct ConnectFailure: Sendable, Equatable {
    /// The address.
    package var address: IPEndpoint
    /// What kind of failure.
    package var end: SocketEnd
    /// The system's words.
    package var reason: String

    /// Makes it from its parts.
    package init(address: IPEndpoint, end: SocketEnd, reason: String) {
        self.address = address
        self.end = end
        self.reason = reason
    }
}

/// The head of an answer over HTTP.
package struct HTTPFinding: Sendable, Equatable {
    /// The status.
    package var status: Int
    /// Where a redirection leads; nil when it is none.
    package var location: String?
    /// Whether it is an Adit server's own page.
    package var isAdit: Bool
    /// The server's clock in seconds since 1970; nil when it does not say.
    package var date: Int64?
    /// How long it took.
    package var time: Duration

    /// Makes it from its parts.
    package init(status: Int, location: String? = nil, isAdit: Bool = false, date: Int64? = nil, time: Duration) {
        self.status = status
        self.location = location
        self.isAdit = isAdit
        self.date = date
        self.time = time
    }
}

/// What the port for names answered.
package enum NamesFinding: Sendable, Equatable {
    /// HTTP.
    case answered(HTTPFinding)
    /// The connection stands, and what comes is not HTTP; with TLS also a handshake that failed.
    case notHTTP(String)
    /// It could not be connected to.
    case failed(ConnectFailure)
}

/// What STUN said.
package enum STUNFinding: Sendable, Equatable {
    /// The server saw this machine as `mapped`.
    case answered(mapped: IPEndpoint, after: Duration)
    /// No answer.
    case failed(String)
}

/// The looks that the doctor takes; each ends within `Doctor.stepLimit` or, for a whole session, `Doctor.sessionLimit`.
package protocol DoctorProbes: Sendable {
    /// The interfaces and routes of this machine.
    func network() -> LocalNetwork
    /// The environment of this process.
    func environment() -> [String: String]
    /// The running processes of this computer.
    func processes() -> [DeviceStatus]
    /// Now, in seconds since 1970.
    func unixTime() -> Int64
    /// Resolves a name.
    func resolve(_ host: String, port: UInt16) async -> NameFinding
    /// Speaks to the session port at one of the addresses, without logging in.
    func session(at addresses: [IPEndpoint], host: String, trust: ServerTrust) async -> SessionFinding
    /// Asks for a page of no name.
    func names(at address: IPEndpoint, host: String, isTLS: Bool) async -> NamesFinding
    /// Asks for a mapped address.
    func stun(at address: IPEndpoint, host: String, over transport: STUNTransport) async -> STUNFinding
    /// Asks for a relay.
    func turn(at address: IPEndpoint, host: String, over transport: STUNTransport, _ wish: TURNWish) async
        -> TURNFinding
}
