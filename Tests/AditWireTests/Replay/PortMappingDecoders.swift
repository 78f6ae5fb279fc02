// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// What the fuzzer and the replay of its corpus feed to the decoders of NAT-PMP, PCP and UPnP.
///
/// Each takes any bytes and traps when a decoder breaks a promise; that it throws is fine.
enum PortMappingDecoders {
    static let all: [String: @Sendable ([UInt8]) -> Void] = [
        "NATPMP": natPMP,
        "PCP": pcp,
        "SSDP": ssdp,
        "XMLElement": xml,
        "UPnPDescription": description,
        "UPnPSOAP": soap,
    ]

    static func natPMP(_ bytes: [UInt8]) {
        if let request = try? NATPMPRequest.decode(bytes.span.bytes) {
            var written: [UInt8] = []
            request.encode(into: &written)
            precondition((try? NATPMPRequest.decode(written.span.bytes)) == request, "a request is read as written")
        }
        if let response = try? NATPMPResponse.decode(bytes.span.bytes) {
            var written: [UInt8] = []
            response.encode(into: &written)
            precondition((try? NATPMPResponse.decode(written.span.bytes)) == response, "an answer is read as written")
        }
    }

    static func pcp(_ bytes: [UInt8]) {
        if let request = try? PCPRequest.decode(bytes.span.bytes) {
            var written: [UInt8] = []
            request.encode(into: &written)
            precondition(written.count <= bytes.count, "a request is not longer than it was")
            precondition((try? PCPRequest.decode(written.span.bytes)) == request, "a request is read as written")
        }
        if let response = try? PCPResponse.decode(bytes.span.bytes), response.version == 2 {
            var written: [UInt8] = []
            response.encode(into: &written)
            precondition((try? PCPResponse.decode(written.span.bytes)) == response, "an answer is read as written")
        }
    }

    static func ssdp(_ bytes: [UInt8]) {
        guard let message = try? SSDPMessage.decode(bytes.span.bytes) else { return }
        precondition(message.fields.count <= SSDPMessage.fieldLimit, "fields are bounded")
        var written: [UInt8] = []
        message.encode(into: &written)
        guard written.count <= SSDPMessage.byteLimit else { return }
        precondition((try? SSDPMessage.decode(written.span.bytes)) == message, "a message is read as written")
        if let location = message.field("location").flatMap({ UPnPLocation($0) }) {
            precondition(location.path.hasPrefix("/"), "a path begins with a slash")
        }
    }

    static func xml(_ bytes: [UInt8]) {
        guard let element = try? XMLElement.decode(bytes.span.bytes) else { return }
        let size = measure(element)
        precondition(size.count <= XMLElement.elementLimit, "elements are bounded")
        precondition(size.depth <= XMLElement.depthLimit, "depth is bounded")
        precondition(size.text <= XMLElement.textByteLimit, "text is bounded")
    }

    private static func measure(_ element: XMLElement) -> (count: Int, depth: Int, text: Int) {
        var size = (count: 1, depth: 1, text: element.text.utf8.count)
        for child in element.children {
            let inner = measure(child)
            size.count += inner.count
            size.depth = max(size.depth, inner.depth + 1)
            size.text += inner.text
        }
        return size
    }

    static func description(_ bytes: [UInt8]) {
        guard let description = try? UPnPDescription.decode(bytes.span.bytes) else { return }
        precondition(description.services.count <= UPnPDescription.serviceLimit, "services are bounded")
        let home = UPnPLocation(endpoint: IPEndpoint(.v4(0xC0A8_0101), 5000), path: "/rootDesc.xml")
        for service in description.services {
            guard let location = home.resolve(service.controlURL, base: description.base) else { continue }
            precondition(location.endpoint == home.endpoint, "a URL stays where the description is")
            precondition(location.path.utf8.allSatisfy { $0 > 32 && $0 < 127 }, "a path has no line breaks")
        }
    }

    static func soap(_ bytes: [UInt8]) {
        for action in ["AddAnyPortMapping", "GetExternalIPAddress"] {
            guard let result = try? UPnPResult.decode(bytes.span.bytes, action: action) else { continue }
            if case .values(let values) = result { precondition(values.count <= 32, "values are bounded") }
        }
        guard let action = (try? UPnPCall.decode(bytes.span.bytes))?.action else { return }
        var written: [UInt8] = []
        action.encode(for: .ip1, into: &written)
        precondition((try? UPnPCall.decode(written.span.bytes))?.action == action, "a call is read as written")
    }
}
