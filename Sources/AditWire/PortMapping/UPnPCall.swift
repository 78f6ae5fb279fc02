// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// An action as a router reads it.
package struct UPnPCall: Sendable, Hashable {
    /// The action; nil when the router knows none of that name or its arguments are wrong.
    package var action: UPnPAction?
    /// The action's name.
    package var name: String

    /// Reads the body of a request.
    ///
    /// - Throws: `XMLFault`.
    package static func decode(_ bytes: RawSpan) throws(XMLFault) -> UPnPCall {
        let content = try UPnPEnvelope.content(bytes)
        return UPnPCall(action: action(content), name: content.name)
    }

    private static func action(_ content: XMLElement) -> UPnPAction? {
        switch content.name {
        case "GetStatusInfo": .getStatusInfo
        case "GetExternalIPAddress": .getExternalIPAddress
        case "AddPortMapping": mapping(content).map { .addPortMapping($0) }
        case "AddAnyPortMapping": mapping(content).map { .addAnyPortMapping($0) }
        case "DeletePortMapping": place(content).map { .deletePortMapping($0.0, externalPort: $0.1) }
        case "GetSpecificPortMappingEntry":
            place(content).map { .getSpecificPortMappingEntry($0.0, externalPort: $0.1) }
        default: nil
        }
    }

    private static func place(_ content: XMLElement) -> (PortMappingTransport, UInt16)? {
        guard let port = content.text(of: "NewExternalPort").flatMap({ UInt16($0) }),
            let transport = PortMappingTransport.allCases.first(where: {
                $0.upnpName == content.text(of: "NewProtocol")
            })
        else { return nil }
        return (transport, port)
    }

    private static func mapping(_ content: XMLElement) -> UPnPPortMapping? {
        guard let (transport, external) = place(content),
            let inner = content.text(of: "NewInternalPort").flatMap({ UInt16($0) }), inner > 0,
            let client = content.text(of: "NewInternalClient").flatMap({ IPAddress($0) }),
            let lease = content.text(of: "NewLeaseDuration").flatMap({ UInt32($0) })
        else { return nil }
        return UPnPPortMapping(
            transport,
            externalPort: external,
            internalPort: inner,
            client: client,
            description: content.text(of: "NewPortMappingDescription") ?? "",
            lease: lease
        )
    }
}
