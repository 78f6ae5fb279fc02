// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a port belongs to, by its protocol number (IANA).
package enum PortMappingTransport: UInt8, Sendable, Hashable, CaseIterable {
    case tcp = 6
    case udp = 17

    /// As UPnP writes it: `TCP` or `UDP`.
    package var upnpName: String {
        switch self {
        case .tcp: "TCP"
        case .udp: "UDP"
        }
    }
}
