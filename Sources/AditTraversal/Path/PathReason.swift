// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// One of the two devices of a path. `a` is the one whose ICE agent controls, and that names the reason.
package enum PathSide: UInt8, Sendable, Hashable, CaseIterable {
    case a = 0
    case b = 1

    /// The other device.
    package var other: PathSide { self == .a ? .b : .a }
}

/// One or both of the devices of a path.
package enum PathSides: UInt8, Sendable, Hashable, CaseIterable {
    case a = 0
    case b = 1
    case both = 2

    /// Those of which something is true; nil when it is true of neither.
    package init?(a: Bool, b: Bool) {
        switch (a, b) {
        case (true, true): self = .both
        case (true, false): self = .a
        case (false, true): self = .b
        case (false, false): return nil
        }
    }

    /// One device.
    package init(_ side: PathSide) {
        self = side == .a ? .a : .b
    }
}

/// How a search for a port stands or ended.
package enum PathSearchEnd: Sendable, Hashable {
    /// It goes on.
    case running
    /// The budget was spent, and no packet came through.
    case foundNothing(probes: Int)
    /// These devices do not search: they were told to be quiet, or the link is metered.
    case notAllowed(PathSides)
    /// It was not made: there is no method that could succeed within the budget.
    case hopeless
}

/// Why two devices reach each other as they do, with what was measured.
///
/// It is computed once, by the side that controls, and sent to the other, so that both ends tell the same.
package indirect enum PathReason: Sendable, Hashable {
    // Direct.

    /// Both are in one network and use the addresses they have there.
    case sameNetwork(a: IPAddress, b: IPAddress)
    /// Both have IPv6, and nothing translates it.
    case ipv6(a: IPAddress, b: IPAddress)
    /// The router of these devices opened a port on request.
    case portMapping(PathSide, IPEndpoint)
    /// This device has a public address that everybody may send to.
    case publicAddress(PathSide, IPAddress)
    /// Both sent to what the server had seen of the other.
    case punched(ICETransport, a: NATKind?, b: NATKind?)
    /// The NAT of `of` gives each destination a port of its own; the other side learnt it from the first packet that it let in.
    case learnt(of: PathSide, port: UInt16, ICETransport, filter: NATKind?)
    /// UDP does not leave the network of these devices, TCP does.
    case tcpForLackOfUDP(PathSides, a: NATKind?, b: NATKind?)
    /// The NAT of `of` gives ports one after the other, and the right one was among the guesses.
    case predicted(of: PathSide, ICETransport, step: Int, guesses: Int)
    /// Both NATs give ports one after the other, and two windows of sockets met.
    case window(ICETransport, stepA: Int, stepB: Int, sockets: Int)
    /// The NAT of `of` draws ports at random, and one of its open sockets was found.
    case birthday(of: PathSide, sockets: Int, probes: Int)
    /// Ports are drawn from small blocks, and a search through them met.
    case block(PathSides, ports: Int, probes: Int)
    /// Both are behind one public address, whose NAT turns packets round (RFC 4787 section 6).
    case hairpin(IPAddress)

    // Not direct.

    /// A direct path is being looked for.
    case searching(a: NATKind?, b: NATKind?)
    /// The NAT of `of` gives each destination a port of its own, and the other lets only that very port in.
    case symmetricMeetsStrict(of: PathSide, strict: NATKind?, PathSearchEnd)
    /// Both NATs give each destination a port of its own, and nobody can foresee them.
    case bothSymmetric(a: PortAllocation?, b: PortAllocation?, PathSearchEnd)
    /// UDP does not leave the network of `blocked`, and over TCP the NAT of `symmetric` gives each destination a port of its own.
    case udpBlockedAndTCPSymmetric(blocked: PathSides, symmetric: PathSides)
    /// Only the ports of the web leave the network of these devices.
    case onlyWeb(PathSides)
    /// These devices were told to use the relay only.
    case relayOnly(PathSides)
    /// The internet is reached by this device over IPv6 alone, and by the other over IPv4 alone.
    case noCommonFamily(v6: PathSide)
    /// No direct packet came through in this time.
    case noAnswer(Duration, a: NATKind?, b: NATKind?)
    /// Both are behind one public address, whose NAT does not turn packets round.
    case noHairpin(IPAddress)
    /// Messages between the two are not passed on, so that nothing can be agreed on.
    case signallingLost
    /// There is no path at all: none that is direct for the reason inside, and no relay.
    case noRelay(PathRelayLack, PathReason)
    /// What a later version names and this one cannot say.
    case unnamed
}

/// Why no relay carries it.
package enum PathRelayLack: Sendable, Hashable {
    /// These devices were told to use direct paths only.
    case directOnly(PathSides)
    /// The server offers none.
    case notOffered
    /// It did not answer, or refused.
    case silent
}
