// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Why a visitor was turned away, in the words of the log and of the wire (docs/security.md, docs/wire.md).
package enum VisitorRefusal: String, Sendable, Hashable, CaseIterable {
    /// The visitor's address is not on the tunnel's list.
    case allowList = "allow-list"
    /// The password was wrong.
    case password
    /// As many connections as the tunnel may have are open.
    case connections
    /// The address opened connections too often.
    case connectionRate = "connection-rate"
    /// The address sent requests too often.
    case requestRate = "request-rate"
    /// As many connections as the device may have are open.
    case deviceConnections = "device-connections"
}

/// Why a visitor got no stream.
package enum TunnelFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// The tunnel was closed.
    case closed
    /// The visitor's address is not on the list.
    case refused
    /// As many visitors as there may be are there.
    case full(Int)
    /// The visitor's address comes too often.
    case tooOften(retryAfter: Duration)

    package var description: String {
        switch self {
        case .closed: "the tunnel is closed"
        case .refused: "the visitor is not on the allow list"
        case .full(let limit): "\(limit) visitors are there already"
        case .tooOften: "the visitor comes too often"
        }
    }
}
