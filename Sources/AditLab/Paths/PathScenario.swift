// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
package import AditTraversal

/// Two sites whose devices look for a path to each other by everything Adit has: relay, ICE, TCP, and searches for ports.
package struct PathScenario: Sendable, Hashable {
    /// The sites and the internet between them.
    package var base: LabScenario
    /// Which paths each device wants.
    package var policies: [SiteName: PathPolicy] = [:]
    /// Which devices search no ports.
    package var quiet: Set<SiteName> = []
    /// Which tactics may be used.
    package var tactics = PathTactic.usual
    /// Over which transports the server relays, the preferred one first.
    package var relays: [PathRelayTransport] = [.udp, .tcp]
    /// Whether the devices have measured the NAT in front of them before they begin.
    package var knowsNAT = true
    /// Whether the devices keep their mappings open and known before they begin.
    package var isReady = true
    /// Which sites have IPv6; a firewall lets only answers in.
    package var ipv6: Set<SiteName> = []
    /// Which routers open a port when they are asked.
    package var openers: Set<SiteName> = []
    /// Whether the server says from where the other device's session comes.
    package var vouches = true
    /// When messages between the devices are lost, counted from the beginning.
    package var outages: [Range<Duration>] = []

    /// Makes a scenario in which both devices may do everything.
    package init(_ base: LabScenario) {
        self.base = base
    }

    /// Makes a scenario of two sites in the language of sites.
    package init(_ a: String, _ b: String) throws(SiteSpecificationError) {
        self.init(try LabScenario(a, b))
    }

    /// The same story changed.
    package func with(_ change: (inout PathScenario) -> Void) -> PathScenario {
        var copy = self
        change(&copy)
        return copy
    }

    /// The same story with that share of packets lost between any two places.
    package func losing(_ share: Double) -> PathScenario { with { $0.base.loss = share } }

    /// The same story with one tactic beside candidates and relays.
    package func using(_ tactic: PathTactic) -> PathScenario { with { $0.tactics = [tactic] } }

    /// One round trip between the two sites without any detour.
    package var roundTrip: Duration { base.latency * 2 }

    /// The policy of a device.
    package func policy(of site: SiteName) -> PathPolicy { policies[site] ?? .automatic }
}
