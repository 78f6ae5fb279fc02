// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// Who holds names and ports: what stays the same when a session is lost and opened again.
package enum TunnelOwner: Hashable, Sendable {
    /// A device, by the 32 bytes of its public key.
    case device(key: [UInt8])
    /// An frp client, by its user (often empty) and the run id of its session.
    case frp(user: String, runID: String)

    /// Whether the owner is a device with a key of its own.
    package var isDevice: Bool {
        if case .device = self { true } else { false }
    }
}
