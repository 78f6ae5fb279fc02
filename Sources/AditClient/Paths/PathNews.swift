// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// What the search for paths tells, each time with the name of the other device.
package enum PathNews: Sendable, Equatable {
    /// The path is another one, or the reason for it is.
    case changed(String, PathReport)
    /// A round trip was measured on the path in use.
    case roundTrip(String, Duration, PathReport)
    /// A datagram came on the path.
    case received(String, [UInt8])
    /// A step on the way.
    case trace(String, PathTrace)
    /// There is no path, and nobody looks for one any longer.
    case ended(String, PathFailure)
    /// The other device cannot be asked for a path, or what it says cannot be trusted.
    case problem(String, AditError)

    /// The name of the other device.
    package var peer: String {
        switch self {
        case .changed(let name, _), .roundTrip(let name, _, _), .received(let name, _), .trace(let name, _),
            .ended(let name, _), .problem(let name, _):
            name
        }
    }
}

/// How this device takes part in finding paths.
package struct PathOptions: Sendable, Equatable {
    /// Which paths are wanted.
    package var policy = PathPolicy.automatic
    /// By which means direct paths are looked for; nil for the usual ones.
    package var tactics: Set<PathTactic>?
    /// Whether no ports are searched for.
    package var isQuiet = false
    /// Whether the router is asked to open a port.
    package var mapsPorts = true
    /// Whether what the NAT does is looked at in the background.
    package var looksAtNAT = true
    /// Whether everything is ready before the first path is asked for.
    package var staysReady = false

    /// Makes the usual options.
    package init() {}
}
