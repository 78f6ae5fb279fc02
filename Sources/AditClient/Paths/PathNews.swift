// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// What the search for paths tells, each time with the run of the other device.
package enum PathNews: Sendable, Equatable {
    /// The other device is there, and its key is known; `leads` as in `PathCarrierDelegate`.
    case opened(PathContact, leads: Bool)
    /// The path is another one, or the reason for it is.
    case changed(PathContact, PathReport)
    /// A round trip was measured on the path in use.
    case roundTrip(PathContact, Duration, PathReport)
    /// Packets came on the path; not told where a `PathCarrierDelegate` takes them.
    case received(PathContact, PacketBatch)
    /// A step on the way.
    case trace(PathContact, PathTrace)
    /// There is no path, and nobody looks for one any longer.
    case ended(PathContact, PathFailure)
    /// The other device, by its name, cannot be asked for a path, or what it says cannot be trusted.
    case problem(String, AditError)

    /// The name of the other device.
    package var peer: String { contact?.name ?? problemName }

    /// The run of the other device; nil for a problem with its name.
    package var contact: PathContact? {
        switch self {
        case .opened(let contact, _), .changed(let contact, _), .roundTrip(let contact, _, _),
            .received(let contact, _), .trace(let contact, _), .ended(let contact, _):
            contact
        case .problem: nil
        }
    }

    private var problemName: String { if case .problem(let name, _) = self { name } else { "" } }
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
