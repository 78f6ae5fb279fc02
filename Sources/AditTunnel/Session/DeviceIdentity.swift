// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCrypto

/// Who is at the other end of a session, as the server knows it after login.
package enum DeviceIdentity: Hashable, Sendable {
    /// A device that proved its key, and the name under which the server knows it.
    case device(DevicePublicKey, name: String)
    /// A client of frp's files that proved a key and the shared token; its name is an `FRPGuestName`.
    case guest(DevicePublicKey, name: String)
    /// An frp client that proved the shared token; user and client id are its own words.
    case frp(user: String, clientID: String)

    /// The name to show; empty for an frp client without a user.
    package var name: String {
        switch self {
        case .device(_, let name), .guest(_, let name): name
        case .frp(let user, _): user
        }
    }

    /// The key that it proved, and the name by which others find it; nil for a plain frp client.
    package var peer: (key: DevicePublicKey, name: String)? {
        switch self {
        case .device(let key, let name), .guest(let key, let name): (key, name)
        case .frp: nil
        }
    }

    /// Whether it is a guest.
    package var isGuest: Bool { if case .guest = self { true } else { false } }

    /// Under whom the registry keeps the tunnels of a session.
    package func owner(runID: String) -> TunnelOwner {
        switch self {
        case .device(let key, _): .device(key: key.bytes)
        case .guest(_, let name): .frp(user: name, runID: "")
        case .frp(let user, _): .frp(user: user, runID: runID)
        }
    }

    /// Whether a session of `other` may take the place of a session of this identity.
    ///
    /// A device is its key, whatever it is called; an frp client is its user, since frp proves nothing more.
    package func mayBeReplaced(by other: DeviceIdentity) -> Bool {
        switch (self, other) {
        case (.device(let key, _), .device(let otherKey, _)), (.guest(let key, _), .guest(let otherKey, _)):
            key == otherKey
        case (.frp(let user, _), .frp(let otherUser, _)): user == otherUser
        default: false
        }
    }
}
