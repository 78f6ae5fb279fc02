// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCrypto

/// What a device shows at login.
package enum DeviceCredentials: Sendable {
    /// An Adit device by its key; the secret of an invite is sent until it has been taken once.
    case device(DeviceKey, invite: [UInt8]?)
    /// An Adit device that comes with a shared token, without having been invited.
    case token(String, DeviceKey)
    /// A client of frp's files at an Adit server, with the shared token and a key for the time of this process: it is not enrolled.
    case guest(token: String, DeviceKey)
    /// A plain frp client with the shared token.
    case frpToken(String)

    /// The device's key; nil for a plain frp client.
    package var key: DeviceKey? {
        switch self {
        case .device(let key, _), .token(_, let key), .guest(_, let key): key
        case .frpToken: nil
        }
    }

    /// The shared token; empty without one.
    package var token: String {
        switch self {
        case .device: ""
        case .token(let token, _), .guest(let token, _), .frpToken(let token): token
        }
    }

    /// Whether it comes as a guest.
    package var isGuest: Bool { if case .guest = self { true } else { false } }

    /// Whether the session speaks Adit's extension.
    package var isAdit: Bool { key != nil }
}
