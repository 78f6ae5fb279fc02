// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// What a punching machine tells.
package enum PunchEvent: Sendable, Hashable {
    /// The server saw this host there, and it is bound here.
    case seen(IPEndpoint, local: IPEndpoint)
    /// The peer's addresses are known, and the punch begins.
    case began([IPEndpoint])
    /// A packet of the peer came from an address that nobody had told.
    case learnt(IPEndpoint)
    /// A connection attempt ended and is made again.
    case retried(SocketEnd)
    /// A step, as the punch tells it.
    case step(PunchStep)
    /// So many packets, or connections of TCP, were spent on the punch.
    case spent(packets: Int)
    /// Both directions to the peer work.
    case connected(IPEndpoint)
    /// It is given up.
    case failed(PunchFailure)
}

/// Why a punching machine gave up.
package enum PunchFailure: Sendable, Hashable {
    /// The server did not answer.
    case noServer
    /// The server answered, but the peer never came.
    case noPeer
    /// Packets were sent for the whole time, and none of the peer's came.
    case nothingHeard
    /// Packets of the peer came, but none that said that it hears this side.
    case oneWay
    /// The host could not open its socket.
    case socket(SocketEnd)
    /// The tactic is for other NATs than these.
    case unsuitable
    /// Every port of the search was tried.
    case exhausted
}

/// What a punching machine needs to know.
package struct PunchConfiguration: Sendable, Hashable {
    /// Which site this is.
    package var site: SiteName
    /// The number of the pair.
    package var pair: UInt32
    /// The server's STUN service.
    package var stun: IPEndpoint
    /// The server's rendezvous.
    package var rendezvous: IPEndpoint
    /// This host's own address in its home.
    package var address: IPAddress
    /// How it tries.
    package var tactic = PlayTactic.plain
    /// The server's STUN endpoints, in the order in which they are asked where ports are searched.
    package var servers: [IPEndpoint] = []
    /// How ports are searched.
    package var options = SearchOptions()
    /// What a search may cost.
    package var limits = PunchLimits()
    /// What a longer look at the NAT has shown, such as its block of ports.
    package var allocation: PortAllocation?
    /// The same of the peer's.
    package var peerAllocation: PortAllocation?

    /// Makes it from its parts.
    package init(site: SiteName, pair: UInt32, stun: IPEndpoint, rendezvous: IPEndpoint, address: IPAddress) {
        self.site = site
        self.pair = pair
        self.stun = stun
        self.rendezvous = rendezvous
        self.address = address
    }
}

/// Which of the addresses that the rendezvous told are worth trying: the one that the server saw, and the peer's own when both
/// came from one public address, because they may then share a network.
struct PunchTargets {
    var endpoints: [IPEndpoint] = []

    init(_ go: PunchMessage) {
        guard let seen = go.addresses.first else { return }
        endpoints = [seen]
        if go.addresses.count >= 3, go.addresses[2].address == seen.address, go.addresses[1] != seen {
            endpoints.insert(go.addresses[1], at: 0)
        }
    }
}
