// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Who is at the other end of a visitor connection, in the spellings that header fields need.
struct HTTPVisitor: Sendable {
    let endpoint: IPEndpoint
    /// Whether the visitor's connection is encrypted.
    let isSecure: Bool
    /// The port that the visitor came to.
    let port: UInt16
    /// The address alone, an IPv4-mapped one as IPv4.
    let address: String
    /// The node of RFC 7239 section 6: an IPv6 address in brackets and quotes.
    let node: String
    let portText: String
    /// Whether a request on this connection may name a host, in the spelling of routes; nil for every host.
    let mayName: (@Sendable (String) -> Bool)?

    init(_ endpoint: IPEndpoint, isSecure: Bool, port: UInt16, mayName: (@Sendable (String) -> Bool)? = nil) {
        let address = endpoint.address.unmapped
        self.endpoint = IPEndpoint(address, endpoint.port)
        self.isSecure = isSecure
        self.port = port
        self.mayName = mayName
        self.address = address.description
        if case .v6 = address {
            node = "\"[\(address)]\""
        } else {
            node = address.description
        }
        portText = String(port)
    }

    var scheme: StaticString { isSecure ? "https" : "http" }
}
