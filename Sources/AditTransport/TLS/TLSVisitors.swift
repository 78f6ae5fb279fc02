// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditWire
package import NIOCore

/// Who serves visitors' TLS connections on a port that they share with sessions.
package struct TLSVisitors: Sendable {
    /// Whether a connection is a visitor's.
    package let claims: @Sendable (ClientHello) -> Bool
    /// Puts the handlers of a visitor's connection behind the given one, on its event loop.
    package let serve: @Sendable (ClientHello, any Channel, ClientHelloHandler) -> ClientHelloHandler.Decision

    /// Makes it from both.
    package init(
        claims: @escaping @Sendable (ClientHello) -> Bool,
        serve: @escaping @Sendable (ClientHello, any Channel, ClientHelloHandler) -> ClientHelloHandler.Decision
    ) {
        self.claims = claims
        self.serve = serve
    }
}
