// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

/// The transports that a path is looked for.
package enum PunchTransport: String, Sendable, Hashable, CaseIterable {
    case udp
    case tcp

    /// The name for people.
    package var name: String {
        switch self {
        case .udp: "UDP"
        case .tcp: "TCP"
        }
    }
}

/// Which of the two sites.
package enum SiteName: String, Sendable, Hashable, CaseIterable {
    case a = "A"
    case b = "B"

    /// The other one.
    package var other: SiteName { self == .a ? .b : .a }
}

/// Two sites that look for a path to each other, and the internet between them and the server.
///
/// It is a value: the oracle judges it from theory, and a ``LabWorld`` is built from it to play it.
package struct LabScenario: Sendable, Hashable {
    /// Where the two sites are, seen from each other.
    package enum Neighbourhood: Sendable, Hashable {
        /// Each has a public address of its own.
        case apart
        /// Both homes are behind one carrier's NAT, the one that site A names; without a name, a port-restricted cone.
        case sameCarrier
        /// Two hosts in the home network of site A.
        case sameRouter
    }

    /// The first site.
    package var a: SiteSpecification
    /// The second site.
    package var b: SiteSpecification
    /// Where they are.
    package var neighbourhood = Neighbourhood.apart
    /// Whether both home networks use the same addresses.
    package var hasOverlappingNetworks = false
    /// How long a packet is on its way from any of A, B and the server to any other.
    package var latency = Duration.milliseconds(20)
    /// By how much more, at random.
    package var jitter = Duration.milliseconds(2)
    /// The share of packets that are lost on that way, 0 to 1.
    package var loss = 0.0
    /// How many flows of other people each site's outermost NAT opens, per second.
    package var foreignFlows = 0.0
    /// How much later B learns than A that it may begin.
    package var lateness = Duration.zero

    /// Makes a scenario of two sites that are apart.
    package init(_ a: SiteSpecification, _ b: SiteSpecification) {
        self.a = a
        self.b = b
    }

    /// Makes a scenario of two sites in the language of sites.
    package init(_ a: String, _ b: String) throws(SiteSpecificationError) {
        self.init(try SiteSpecification(a), try SiteSpecification(b))
    }

    /// The same story with both homes behind one carrier's NAT.
    package func behindOneCarrier() -> LabScenario { with { $0.neighbourhood = .sameCarrier } }

    /// The same story with both hosts in one home.
    package func inOneHome() -> LabScenario { with { $0.neighbourhood = .sameRouter } }

    /// The same story with that share of packets lost between any two places.
    package func losing(_ share: Double) -> LabScenario { with { $0.loss = share } }

    /// The same story with other people's flows at both NATs, so many per second.
    package func withForeignFlows(_ rate: Double) -> LabScenario { with { $0.foreignFlows = rate } }

    /// The same story in which B begins that much later.
    package func withLateB(_ delay: Duration) -> LabScenario { with { $0.lateness = delay } }

    private func with(_ change: (inout LabScenario) -> Void) -> LabScenario {
        var copy = self
        change(&copy)
        return copy
    }

    /// The boxes between a site's host and the internet, from the inside to the outside.
    package func boxes(of name: SiteName) -> [BoxSpecification] {
        switch (neighbourhood, name) {
        case (.apart, .a), (.sameRouter, _): a.boxes
        case (.apart, .b): b.boxes
        case (.sameCarrier, .a): [a.router, sharedCarrier]
        case (.sameCarrier, .b): [b.router, sharedCarrier]
        }
    }

    /// The carrier's NAT that both share.
    package var sharedCarrier: BoxSpecification {
        a.carrier ?? BoxSpecification(NATRule(.endpointIndependent, .addressAndPortDependent, .preserving))
    }
}
