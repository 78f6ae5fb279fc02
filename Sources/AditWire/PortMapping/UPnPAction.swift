// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// An argument of an action.
package struct UPnPArgument: Sendable, Hashable {
    /// The name.
    package var name: String
    /// The value as text.
    package var value: String

    /// Makes it from its parts.
    package init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// A port that a router is to map, or has mapped (WANIPConnection section 2.4.16).
package struct UPnPPortMapping: Sendable, Hashable {
    /// What the port belongs to.
    package var transport: PortMappingTransport
    /// The external port.
    package var externalPort: UInt16
    /// The port of the host inside.
    package var internalPort: UInt16
    /// The host inside.
    package var client: IPAddress
    /// What it is for, in words for the router's own page.
    package var description: String
    /// How long, in seconds; 0 for ever.
    package var lease: UInt32

    /// Makes it from its parts.
    package init(
        _ transport: PortMappingTransport,
        externalPort: UInt16,
        internalPort: UInt16,
        client: IPAddress,
        description: String,
        lease: UInt32
    ) {
        self.transport = transport
        self.externalPort = externalPort
        self.internalPort = internalPort
        self.client = client
        self.description = description
        self.lease = lease
    }
}

/// An action that is called on a router's service (UPnP Device Architecture section 3).
package enum UPnPAction: Sendable, Hashable {
    /// Whether the router is connected.
    case getStatusInfo
    /// Which address the router has outside.
    case getExternalIPAddress
    /// Map just this port.
    case addPortMapping(UPnPPortMapping)
    /// Map this port, or another if it is taken (IGD:2).
    case addAnyPortMapping(UPnPPortMapping)
    /// Remove a mapping.
    case deletePortMapping(PortMappingTransport, externalPort: UInt16)
    /// Whose a mapped port is.
    case getSpecificPortMappingEntry(PortMappingTransport, externalPort: UInt16)

    /// The action's name.
    package var name: String {
        switch self {
        case .getStatusInfo: "GetStatusInfo"
        case .getExternalIPAddress: "GetExternalIPAddress"
        case .addPortMapping: "AddPortMapping"
        case .addAnyPortMapping: "AddAnyPortMapping"
        case .deletePortMapping: "DeletePortMapping"
        case .getSpecificPortMappingEntry: "GetSpecificPortMappingEntry"
        }
    }

    /// The arguments in the order that the service defines, which some routers insist on.
    package var arguments: [UPnPArgument] {
        switch self {
        case .getStatusInfo, .getExternalIPAddress: []
        case .addPortMapping(let mapping), .addAnyPortMapping(let mapping):
            Self.place(mapping.transport, mapping.externalPort) + [
                UPnPArgument("NewInternalPort", String(mapping.internalPort)),
                UPnPArgument("NewInternalClient", mapping.client.description),
                UPnPArgument("NewEnabled", "1"),
                UPnPArgument("NewPortMappingDescription", mapping.description),
                UPnPArgument("NewLeaseDuration", String(mapping.lease)),
            ]
        case .deletePortMapping(let transport, let port), .getSpecificPortMappingEntry(let transport, let port):
            Self.place(transport, port)
        }
    }

    private static func place(_ transport: PortMappingTransport, _ port: UInt16) -> [UPnPArgument] {
        [
            UPnPArgument("NewRemoteHost", ""), UPnPArgument("NewExternalPort", String(port)),
            UPnPArgument("NewProtocol", transport.upnpName),
        ]
    }

    /// The value of the request's field `SOAPAction`.
    package func soapAction(_ service: UPnPServiceKind) -> String { "\"\(service.rawValue)#\(name)\"" }

    /// Appends the body of the request (SOAP 1.1).
    package func encode(for service: UPnPServiceKind, into bytes: inout [UInt8]) {
        UPnPEnvelope.encode(name, service: service.rawValue, arguments, into: &bytes)
    }
}

/// The SOAP envelope around an action or its result.
enum UPnPEnvelope {
    static func encode(_ name: String, service: String, _ arguments: [UPnPArgument], into bytes: inout [UInt8]) {
        var text = open + "<u:\(name) xmlns:u=\"\(service)\">"
        for argument in arguments {
            text += "<\(argument.name)>\(XMLElement.escape(argument.value))</\(argument.name)>"
        }
        text += "</u:\(name)>" + close
        bytes += Array(text.utf8)
    }

    static func content(_ bytes: RawSpan) throws(XMLFault) -> XMLElement {
        let root = try XMLElement.decode(bytes)
        guard root.name == "Envelope", let content = root.child("Body")?.children.first else {
            throw .malformed(line: 1)
        }
        return content
    }

    static let open =
        "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
        + "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>"
    static let close = "</s:Body></s:Envelope>\n"
}
