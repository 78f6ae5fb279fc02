// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Where a server answers STUN, the object named `stun` in what it tells a device at login (docs/wire.md).
///
/// Everything is on the host that the device reached the server by, unless an alternate address is named.
package struct STUNOffer: Sendable, Hashable {
    /// The port of UDP and TCP.
    package var port: UInt16
    /// The port of TLS over TCP; 0 for none.
    package var tlsPort: UInt16
    /// The second port of UDP and TCP, for finding out what a NAT does; 0 for none.
    package var alternatePort: UInt16
    /// The second address, where both ports answer as well (RFC 5780 section 3); nil for none.
    package var alternateAddress: IPAddress?

    /// Makes an offer from its fields.
    package init(port: UInt16, tlsPort: UInt16 = 0, alternatePort: UInt16 = 0, alternateAddress: IPAddress? = nil) {
        self.port = port
        self.tlsPort = tlsPort
        self.alternatePort = alternatePort
        self.alternateAddress = alternateAddress
    }
}

extension STUNOffer: JSONMessage {
    private enum Key: String, CodingKey { case port, tlsPort, alternatePort, alternateAddress }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            port: try fields.number(.port),
            tlsPort: try fields.number(.tlsPort),
            alternatePort: try fields.number(.alternatePort),
            alternateAddress: IPAddress(try fields.text(.alternateAddress))
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("port", port)
        object.field("tlsPort", tlsPort)
        object.field("alternatePort", alternatePort)
        object.field("alternateAddress", alternateAddress?.description ?? "")
    }
}

extension STUNOffer: Codable {
    package init(from decoder: any Decoder) throws {
        try self.init(json: decoder)
    }

    package func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(port, forKey: .port)
        if tlsPort != 0 { try fields.encode(tlsPort, forKey: .tlsPort) }
        if alternatePort != 0 { try fields.encode(alternatePort, forKey: .alternatePort) }
        try fields.encodeIfPresent(alternateAddress?.description, forKey: .alternateAddress)
    }
}
