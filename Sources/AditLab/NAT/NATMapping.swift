// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Where a packet goes, or why not.
enum NATVerdict {
    case pass(IPEndpoint)
    case drop(LabDropReason)
}

extension NATTable {
    /// An internal endpoint's external endpoint.
    struct Mapping {
        let serial: UInt32
        let `internal`: IPEndpoint
        let external: IPEndpoint
        let outKey: OutKey
        let inKey: InKey
        let createdAt: Int64
        var expiry: Int64
        /// Installed by a protocol or by hand, not made by a packet.
        var isExplicit = false
        /// For one flow alone, because the port was taken for its remote endpoint.
        var isDiverted = false
        var establishedCount = 0
    }

    /// A mapping that may have gone, and its place been given to another.
    struct Diversion {
        var slot: Int
        var serial: UInt32
    }

    struct OutKey: Hashable {
        var `internal`: EndpointKey
        var remote: EndpointKey
    }

    struct InKey: Hashable {
        var external: EndpointKey
        var remote: EndpointKey
    }

    struct FlowKey: Hashable {
        var serial: UInt32
        var remote: EndpointKey

        func hash(into hasher: inout Hasher) {
            hasher.combine(remote)
            hasher.combine(serial)
        }
    }
}
