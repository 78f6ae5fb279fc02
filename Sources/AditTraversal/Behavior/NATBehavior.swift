// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// How a NAT chooses the external endpoint of a flow (RFC 4787 section 4.1 for UDP, RFC 5382 section 4.1 for TCP).
package enum MappingBehavior: String, Sendable, Hashable, CaseIterable {
    /// One external endpoint for an internal one, whatever the destination (EIM).
    case endpointIndependent
    /// One for each destination address (ADM).
    case addressDependent
    /// One for each destination address and port (APDM).
    case addressAndPortDependent
}

/// From whom a NAT or firewall lets packets in through a mapping (RFC 4787 section 5, RFC 5382 section 4.3).
package enum FilteringBehavior: String, Sendable, Hashable, CaseIterable {
    /// From everybody (EIF).
    case endpointIndependent
    /// From addresses that the inside has sent to (ADF).
    case addressDependent
    /// From addresses and ports that the inside has sent to (APDF).
    case addressAndPortDependent
}

/// Which external port a NAT gives to a new mapping (RFC 4787 section 4.2).
package enum PortAllocation: Sendable, Hashable {
    /// The internal port where it is free.
    case preserving
    /// Any port.
    case random
    /// The last one plus a step, which may be negative.
    case sequential(step: Int)
    /// Any port of the block that the subscriber was given (RFC 7422).
    case block(ClosedRange<UInt16>)
}

/// The four names of RFC 3489 section 5, which most texts use.
package enum ClassicNATKind: String, Sendable, Hashable, CaseIterable {
    /// EIM with EIF.
    case fullCone
    /// EIM with ADF.
    case addressRestrictedCone
    /// EIM with APDF.
    case portRestrictedCone
    /// A mapping that depends on the destination.
    case symmetric

    /// The name for a pair of behaviours.
    package init(mapping: MappingBehavior, filtering: FilteringBehavior) {
        self =
            switch (mapping, filtering) {
            case (.endpointIndependent, .endpointIndependent): .fullCone
            case (.endpointIndependent, .addressDependent): .addressRestrictedCone
            case (.endpointIndependent, .addressAndPortDependent): .portRestrictedCone
            case (.addressDependent, _), (.addressAndPortDependent, _): .symmetric
            }
    }
}
