// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// An endpoint at which an agent may be reached (RFC 8445 section 4).
package struct ICECandidate: Sendable, Hashable {
    /// Equal for candidates of one type that come from one address and one server (RFC 8445 section 5.1.1.3): 1 to 32
    /// letters, digits, `+` and `/`.
    package var foundation: String
    /// The component of the data stream; 1 for everything of Adit.
    package var component: UInt16
    /// Datagrams or TCP.
    package var transport: ICETransport
    /// How much it is preferred, 1 to 2^31 - 1 (RFC 8445 section 5.1.2).
    package var priority: UInt32
    /// Where packets for it go.
    package var endpoint: IPEndpoint
    /// How it was found.
    package var type: ICECandidateType
    /// The base of a reflexive candidate, the mapped address of a relayed one; nil when it is not told.
    package var related: IPEndpoint?
    /// For TCP, how connections come to be.
    package var tcpType: ICETCPType?
    /// Whether a router promised the endpoint (PCP, NAT-PMP, UPnP); such a candidate is server-reflexive.
    package var isPortMapped: Bool

    /// Makes it from its parts.
    package init(
        foundation: String,
        component: UInt16 = 1,
        transport: ICETransport = .udp,
        priority: UInt32,
        endpoint: IPEndpoint,
        type: ICECandidateType,
        related: IPEndpoint? = nil,
        tcpType: ICETCPType? = nil,
        isPortMapped: Bool = false
    ) {
        self.foundation = foundation
        self.component = component
        self.transport = transport
        self.priority = priority
        self.endpoint = endpoint
        self.type = type
        self.related = related
        self.tcpType = tcpType
        self.isPortMapped = isPortMapped
    }

    /// A priority by the formula of RFC 8445 section 5.1.2.1.
    ///
    /// - Parameters:
    ///   - typePreference: 0 to 126.
    ///   - localPreference: among the candidates of one type.
    package static func priority(typePreference: UInt32, localPreference: UInt16, component: UInt16 = 1) -> UInt32 {
        min(typePreference, 126) << 24 | UInt32(localPreference) << 8 | UInt32(256 - min(max(component, 1), 256))
    }

    /// The local preference of a TCP candidate, which counts the direction first (RFC 6544 section 4.2).
    ///
    /// - Parameter other: 0 to 8191, among the candidates of one type and direction.
    package static func localPreference(
        _ type: ICECandidateType,
        _ tcpType: ICETCPType,
        other: UInt16
    ) -> UInt16 {
        let direction: UInt16
        switch (type, tcpType) {
        case (.host, .active), (.relayed, .active): direction = 6
        case (.host, .passive), (.relayed, .passive): direction = 4
        case (.host, .simultaneousOpen), (.relayed, .simultaneousOpen): direction = 2
        case (_, .simultaneousOpen): direction = 6
        case (_, .active): direction = 4
        case (_, .passive): direction = 2
        }
        return direction << 13 | min(other, 8191)
    }
}
