// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// A service that maps ports (UPnP IGD:1 and IGD:2).
package enum UPnPServiceKind: String, Sendable, Hashable, CaseIterable {
    case ip2 = "urn:schemas-upnp-org:service:WANIPConnection:2"
    case ip1 = "urn:schemas-upnp-org:service:WANIPConnection:1"
    case ppp1 = "urn:schemas-upnp-org:service:WANPPPConnection:1"
}

/// A service of a router's description.
package struct UPnPService: Sendable, Hashable {
    /// What it is.
    package var kind: UPnPServiceKind
    /// Where its actions are sent, as the description writes it.
    package var controlURL: String

    /// Makes it from its parts.
    package init(_ kind: UPnPServiceKind, controlURL: String) {
        self.kind = kind
        self.controlURL = controlURL
    }
}

/// What a router's description says that matters for mapping ports (UPnP Device Architecture section 2.3).
package struct UPnPDescription: Sendable, Hashable {
    /// What relative URLs begin with; nil for the description's own place.
    package var base: String?
    /// The router's name for people, at most 64 Unicode scalars without control characters; empty for none.
    package var friendlyName: String
    /// The maker's name for the model, bounded like the other; empty for none.
    package var modelName: String
    /// The services that map ports: version 2 before version 1, IP before PPP, at most 8.
    package var services: [UPnPService]

    /// Makes it from its parts.
    package init(base: String? = nil, friendlyName: String = "", modelName: String = "", services: [UPnPService]) {
        self.base = base
        self.friendlyName = friendlyName
        self.modelName = modelName
        self.services = services
    }

    /// The most services that are kept.
    package static var serviceLimit: Int { 8 }

    /// Reads a description; one without a service that maps ports is read too.
    ///
    /// - Throws: `XMLFault`.
    package static func decode(_ bytes: RawSpan) throws(XMLFault) -> UPnPDescription {
        let root = try XMLElement.decode(bytes)
        guard root.name == "root", let device = root.child("device") else { throw .malformed(line: 1) }
        var services: [UPnPService] = []
        collect(device, &services)
        let order = UPnPServiceKind.allCases
        services.sort { (order.firstIndex(of: $0.kind) ?? 0) < (order.firstIndex(of: $1.kind) ?? 0) }
        return UPnPDescription(
            base: root.text(of: "URLBase"),
            friendlyName: name(device.text(of: "friendlyName")),
            modelName: name(device.text(of: "modelName")),
            services: Array(services.prefix(serviceLimit))
        )
    }

    /// What may be shown: one that turns the direction of writing or moves a cursor is not a name.
    private static func name(_ text: String?) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in (text ?? "").unicodeScalars where scalars.count < 64 {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned: continue
            default: scalars.append(scalar)
            }
        }
        return String(scalars)
    }

    private static func collect(_ device: XMLElement, _ services: inout [UPnPService]) {
        for service in device.child("serviceList")?.children ?? [] where service.name == "service" {
            guard let type = service.text(of: "serviceType"), let kind = UPnPServiceKind(rawValue: type),
                let control = service.text(of: "controlURL"), !control.isEmpty
            else { continue }
            services.append(UPnPService(kind, controlURL: control))
        }
        for inner in device.child("deviceList")?.children ?? [] where inner.name == "device" {
            collect(inner, &services)
        }
    }

    /// Appends the description as a router sends it: one device inside another inside the gateway.
    package func encode(into bytes: inout [UInt8]) {
        let escape = XMLElement.escape
        var text = "<?xml version=\"1.0\"?>\n<root xmlns=\"urn:schemas-upnp-org:device-1-0\">"
        text += "<specVersion><major>1</major><minor>0</minor></specVersion>"
        if let base { text += "<URLBase>\(escape(base))</URLBase>" }
        text += "<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>"
        text += "<friendlyName>\(escape(friendlyName))</friendlyName><modelName>\(escape(modelName))</modelName>"
        text +=
            "<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType><deviceList><device>"
        text += "<deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList>"
        for service in services {
            text += "<service><serviceType>\(service.kind.rawValue)</serviceType>"
            text += "<controlURL>\(escape(service.controlURL))</controlURL></service>"
        }
        text += "</serviceList></device></deviceList></device></deviceList></device></root>\n"
        bytes += Array(text.utf8)
    }
}
