// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// The answer to a login.
package enum LoginDecision: Sendable, Equatable {
    /// The peer may come in.
    case accept(LoginAcceptance)
    /// The peer may not; `frpText` is what an frp client sees.
    case refuse(AditError, frpText: String)

    /// A refusal whose words are the same for frp clients.
    package static func refuse(_ error: AditError) -> LoginDecision {
        .refuse(error, frpText: error.what.english)
    }
}

/// What an accepted peer is and gets.
package struct LoginAcceptance: Sendable, Equatable {
    /// Who it is.
    package var identity: DeviceIdentity
    /// The shared token: from it come the keys of frp's control and payload encryption. Empty for a device with a key.
    package var token: String
    /// What an Adit device is told about the server; ignored for frp clients.
    package var response: AditLoginResponse

    /// Makes an acceptance.
    package init(identity: DeviceIdentity, token: String = "", response: AditLoginResponse = AditLoginResponse()) {
        self.identity = identity
        self.token = token
        self.response = response
    }
}
