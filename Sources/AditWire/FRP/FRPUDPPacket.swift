// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// One datagram of a udp proxy.
package struct FRPUDPPacket: Sendable, Equatable {
    /// The payload; JSON carries it in base 64, which the frame limit bounds to about 7,600 bytes in wire v1.
    package var content: [UInt8]
    package var localAddress: FRPUDPAddress?
    /// The visitor's address, echoed back in replies.
    package var remoteAddress: FRPUDPAddress?

    /// Makes a datagram from its fields.
    package init(content: [UInt8] = [], localAddress: FRPUDPAddress? = nil, remoteAddress: FRPUDPAddress? = nil) {
        self.content = content
        self.localAddress = localAddress
        self.remoteAddress = remoteAddress
    }
}

/// An address as Go's `net.UDPAddr` writes it in JSON.
package struct FRPUDPAddress: Sendable, Equatable, Hashable {
    package var ip: String
    package var port: UInt16
    package var zone: String

    /// Makes an address from its fields.
    package init(ip: String = "", port: UInt16 = 0, zone: String = "") {
        self.ip = ip
        self.port = port
        self.zone = zone
    }

    /// Makes an address from an endpoint.
    package init(_ endpoint: IPEndpoint) {
        self.init(ip: endpoint.address.unmapped.description, port: endpoint.port)
    }

    /// The address as an endpoint; nil when the text is not an IP address.
    package var endpoint: IPEndpoint? {
        IPAddress(ip).map { IPEndpoint($0, port) }
    }
}

extension FRPUDPPacket: JSONMessage {
    private enum Key: String, CodingKey {
        case content = "c"
        case localAddress = "l"
        case remoteAddress = "r"
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(
            content: try fields.bytes(.content),
            localAddress: try fields.object(.localAddress),
            remoteAddress: try fields.object(.remoteAddress)
        )
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("c", bytes: content)
        object.field("l", localAddress)
        object.field("r", remoteAddress)
    }
}

extension FRPUDPAddress: JSONMessage {
    private enum Key: String, CodingKey {
        case ip = "IP"
        case port = "Port"
        case zone = "Zone"
    }

    init(json decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Key.self)
        self.init(ip: try fields.text(.ip), port: try fields.number(.port), zone: try fields.text(.zone))
    }

    func write(to object: inout JSONObjectWriter) {
        object.field("IP", ip)
        object.field("Port", port)
        object.field("Zone", zone)
    }
}
