// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// One TURN allocation, which all peers share, and the socket by which the server is reached.
struct PathRelay: Sendable {
    /// How far it is.
    enum Standing: Sendable, Hashable {
        /// Not wanted yet.
        case idle
        /// Its connection or the allocation is on the way.
        case starting
        /// It relays.
        case ready
        /// It relays, and another one takes its place.
        case leaving
        /// There is no allocation, and none is asked for before the next gathering.
        case failed
    }

    /// What packets that go through it leave from.
    let base: ICEBaseID
    /// Its client.
    var client: TURNClient
    /// How far it is.
    var standing = Standing.idle
    /// The shared socket by which it goes over UDP.
    var link: ICEBaseID?
    /// The connection to the server; nil over UDP.
    var stream: SocketID?
    /// The relay's endpoint.
    var relayed: IPEndpoint?
    /// As what the server sees this machine.
    var mapped: IPEndpoint?
    /// Whom it lets in, so that each is asked for once; forgotten with the allocation.
    var permitted: Set<IPAddress> = []

    /// So many addresses are let in at once.
    static let permissionLimit = 512

    init(_ configuration: TURNClientConfiguration, base: ICEBaseID, random: any RandomNumberGenerator & Sendable) {
        self.base = base
        client = TURNClient(configuration, random: random)
    }

    /// The transport to the server.
    var transport: STUNTransport { client.configuration.transport }

    /// The transport, as reports name it.
    var reportedTransport: PathRelayTransport {
        switch transport {
        case .udp: .udp
        case .tcp: .tcp
        case .tls: .tls
        }
    }

    /// The candidate; nil while there is no allocation. Datagrams to the server are preferred to streams.
    var candidate: ICECandidate? {
        guard standing == .ready, let relayed else { return nil }
        let preference: UInt16
        switch transport {
        case .udp: preference = 65_535
        case .tcp: preference = 32_768
        case .tls: preference = 16_384
        }
        return ICECandidate(
            foundation: "r\(base.number)",
            priority: ICECandidate.priority(
                typePreference: ICECandidateType.relayed.preference,
                localPreference: preference
            ),
            endpoint: relayed,
            type: .relayed,
            related: mapped
        )
    }
}
