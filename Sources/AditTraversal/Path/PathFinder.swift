// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Looks for paths to any number of peers and keeps them: relayed at once, direct as soon as that works.
package struct PathFinder: SocketMachine {
    package typealias Event = PathEvent

    private var outputs: [SocketOutput<PathEvent>] = []

    /// Makes a finder without peers.
    ///
    /// - Parameter random: for credentials, transaction ids, sessions and jitter; has to be one that others cannot predict,
    ///   except in a simulation.
    package init(_ configuration: PathConfiguration, random: any RandomNumberGenerator & Sendable) {}

    /// Begins to look for a path to a peer; nothing happens when it is being looked for.
    package mutating func connect(_ peer: PathPeerID, at now: Instant) {}

    /// Takes what a peer told through the server; the caller has made sure that it is the peer's.
    package mutating func receive(_ signal: PathSignal, from peer: PathPeerID, at now: Instant) {}

    /// Sends a datagram on the path to a peer; false when there is none.
    package mutating func send(_ payload: [UInt8], to peer: PathPeerID, at now: Instant) -> Bool { false }

    /// Measures a round trip on the path to a peer, told as `roundTrip`; nothing happens without a path.
    package mutating func measure(_ peer: PathPeerID, at now: Instant) {}

    /// Gives the path to a peer up, and tells the peer.
    package mutating func disconnect(_ peer: PathPeerID, at now: Instant) {}

    /// Takes other services, or new credentials for them, into use.
    package mutating func update(server: PathServer, at now: Instant) {}

    /// Takes other interfaces or addresses into use, as `.networkChanged` does.
    package mutating func update(network: LocalNetwork, at now: Instant) {}

    /// Changes which paths are wanted, for all peers.
    package mutating func update(policy: PathPolicy, at now: Instant) {}

    /// Takes what NAT discovery found out.
    package mutating func note(_ report: NATReport, at now: Instant) {}

    /// Takes the endpoint at which a router forwards to a local port; nil when it no longer does.
    package mutating func note(
        mapped external: IPEndpoint?,
        transport: ICETransport,
        internalPort: UInt16,
        at now: Instant
    ) {}

    /// What is known of the path to a peer; nil for one that is not looked for.
    package func report(of peer: PathPeerID) -> PathReport? { nil }

    /// All peers, in no order.
    package var peers: [PathPeerID] { [] }

    package mutating func handle(_ input: SocketInput, at now: Instant) {}

    package mutating func nextOutput() -> SocketOutput<PathEvent>? { nil }

    package var nextDeadline: Instant? { nil }
}
