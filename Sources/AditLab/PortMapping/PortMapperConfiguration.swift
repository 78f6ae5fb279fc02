// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal
package import AditWire

/// How a simulated router answers requests for ports, well or badly.
package struct PortMapperConfiguration: Sendable {
    /// What it does wrong.
    package enum Fault: Sendable, Hashable {
        /// It refuses everything.
        case refusesAll
        /// It grants with a lifetime of 0.
        case grantsNothing
        /// It grants the largest lifetime that there is.
        case grantsForever
        /// It always grants another port than the one that is asked for.
        case grantsAnother
        /// It answers PCP with another nonce.
        case wrongNonce
        /// It says that it granted, and lets nothing in.
        case opensNothing
        /// It answers removals with an error, and keeps the port.
        case keepsPorts
        /// It never renews what it granted.
        case renewsNothing
        /// Its UPnP knows only leases without end (725).
        case onlyPermanentLeases
        /// It says 402 to leases with an end.
        case dislikesLeases
        /// Its description is 10 megabytes long.
        case hugeDescription
        /// Its description has entities in it.
        case billionLaughs
        /// Its description sends its readers to another host.
        case redirects
        /// Its description names a service on another host.
        case pointsElsewhere
        /// It takes connections and never answers.
        case silentService
        /// Its service answers with something that is no XML.
        case garbage
        /// Its WAN connection is down.
        case disconnected
    }

    /// What it speaks.
    package var protocols: Set<PortMappingProtocol>
    /// What it does wrong.
    package var faults: Set<Fault>
    /// The service of its UPnP.
    package var service: UPnPServiceKind
    /// The longest lease that it grants, in seconds.
    package var longestLease: UInt32
    /// How long it takes to answer a datagram or a call.
    package var delay: Duration
    /// Which address it says it has outside; nil for the one that it has.
    package var claimedAddress: IPAddress?
    /// Ports outside that belong to others.
    package var takenPorts: Set<UInt16>
    /// The port of its description.
    package var httpPort: UInt16

    /// Makes it from its parts.
    package init(
        _ protocols: Set<PortMappingProtocol> = Set(PortMappingProtocol.allCases),
        faults: Set<Fault> = [],
        service: UPnPServiceKind = .ip1,
        longestLease: UInt32 = 86_400,
        delay: Duration = .zero,
        claimedAddress: IPAddress? = nil,
        takenPorts: Set<UInt16> = [],
        httpPort: UInt16 = 5000
    ) {
        self.protocols = protocols
        self.faults = faults
        self.service = service
        self.longestLease = longestLease
        self.delay = delay
        self.claimedAddress = claimedAddress
        self.takenPorts = takenPorts
        self.httpPort = httpPort
    }
}
