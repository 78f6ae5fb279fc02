// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// One hop of the way from this device to its server, or something beside the way that was looked at.
package struct DoctorHop: Sendable, Equatable {
    /// Which hop.
    package enum Name: String, Sendable, CaseIterable {
        /// This computer: addresses, default route, what stands in its environment.
        case computer
        /// The server's name.
        case dns
        /// TCP to the session port.
        case server
        /// TLS, and the server's key.
        case tls
        /// The answer of the session's protocol.
        case session
        /// The two clocks.
        case clock
        /// The port on which the server shows names, without TLS.
        case http
        /// The port on which the server shows names, with TLS.
        case https
        /// STUN over UDP.
        case stunUDP
        /// STUN over TCP.
        case stunTCP
        /// STUN over TLS.
        case stunTLS
        /// The relay over UDP (TURN).
        case turnUDP
        /// The relay over TCP.
        case turnTCP
        /// The relay over TLS.
        case turnTLS
        /// What runs on this computer.
        case tunnels

        /// Whether it lies on the way that a session takes: behind the first such hop that is broken nothing works.
        package var isOnTheWay: Bool {
            switch self {
            case .computer, .dns, .server, .tls, .session: true
            default: false
            }
        }
    }

    /// What was found.
    package enum State: String, Sendable {
        /// It works.
        case good
        /// It works, with something that a person may want to know; or it is not needed.
        case warning
        /// It does not work.
        case broken
        /// It was not looked at, because a hop before it is broken or there is nothing to look at.
        case skipped
    }

    /// Which hop.
    package var name: Name
    /// What was found.
    package var state: State
    /// Measured facts, a line each.
    package var facts: [Text]
    /// How long it took to answer; nil when that was not measured.
    package var time: Duration?
    /// What is wrong and what mends it; nil when all is well.
    package var error: AditError?

    /// Makes it from its parts.
    package init(
        _ name: Name,
        _ state: State,
        facts: [Text] = [],
        time: Duration? = nil,
        error: AditError? = nil
    ) {
        self.name = name
        self.state = state
        self.facts = facts
        self.time = time
        self.error = error
    }
}

/// What `adit doctor` found.
package struct DoctorReport: Sendable, Equatable {
    /// The server that was looked at; nil when this computer has not joined one.
    package var server: HostPort?
    /// Whether this computer has joined that server.
    package var isJoined: Bool
    /// Everything that was looked at, in the order of the way, then what lies beside it.
    package var hops: [DoctorHop]
    /// How long the whole examination took.
    package var time: Duration

    /// Makes it from its parts.
    package init(server: HostPort?, isJoined: Bool, hops: [DoctorHop], time: Duration) {
        self.server = server
        self.isJoined = isJoined
        self.hops = hops
        self.time = time
    }

    /// The first hop that is broken: first on the way, then beside it; nil when none is.
    package var firstBroken: DoctorHop? {
        hops.first { $0.state == .broken && $0.name.isOnTheWay } ?? hops.first { $0.state == .broken }
    }

    /// The one thing to do: what mends the first broken hop, else the first warning that has a remedy.
    package var fix: Text? {
        if let firstBroken { return firstBroken.error?.fix }
        return hops.first { $0.state == .warning && $0.error?.fix != nil }?.error?.fix
    }

    /// The hop of that name; nil when it was not looked at.
    package func hop(_ name: DoctorHop.Name) -> DoctorHop? {
        hops.first { $0.name == name }
    }
}
