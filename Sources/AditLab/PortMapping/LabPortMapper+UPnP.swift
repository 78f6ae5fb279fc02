// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire

/// UPnP: the answer to a search, the description, and the service.
extension LabPortMapper {
    func searchAnswer(_ bytes: [UInt8]) -> [UInt8]? {
        guard let message = try? SSDPMessage.decode(bytes.span.bytes), message.kind == .search,
            let target = message.field("ST"), target.hasSuffix("InternetGatewayDevice:1")
        else { return nil }
        var reply: [UInt8] = []
        SSDPMessage(
            .response,
            fields: [
                SSDPMessage.Field("CACHE-CONTROL", "max-age=120"), SSDPMessage.Field("ST", target),
                SSDPMessage.Field("USN", "uuid:0::\(target)"), SSDPMessage.Field("EXT", ""),
                SSDPMessage.Field(
                    "LOCATION",
                    "http://\(IPEndpoint(insideAddress, configuration.httpPort))/rootDesc.xml"
                ),
            ]
        ).encode(into: &reply)
        return reply
    }

    func respond(_ request: LabHTTPRequest) -> LabHTTPAnswer {
        if configuration.faults.contains(.silentService) { return .silence }
        if request.method == "GET", request.path == "/rootDesc.xml" { return describe() }
        guard request.method == "POST", request.path == "/ctl/IPConn" else {
            return .response(status: 404, fields: [], body: [])
        }
        if configuration.faults.contains(.garbage) {
            return .response(status: 200, fields: [], body: Array("<html><p>hello</html>".utf8))
        }
        guard let call = try? UPnPCall.decode(request.body.span.bytes) else {
            return .response(status: 400, fields: [], body: [])
        }
        let result = call.action.map { perform($0, for: request.remote.address) } ?? .fault(.invalidAction)
        var body: [UInt8] = []
        result.encode(action: call.name, service: configuration.service, into: &body)
        var status = 200
        if case .fault = result { status = 500 }
        return .response(status: status, fields: [SocketField("Content-Type", "text/xml")], body: body)
    }

    private func describe() -> LabHTTPAnswer {
        var body: [UInt8] = []
        if configuration.faults.contains(.redirects) {
            let elsewhere = SocketField("Location", "http://203.0.113.66/rootDesc.xml")
            return .response(status: 302, fields: [elsewhere], body: [])
        }
        if configuration.faults.contains(.hugeDescription) {
            return .response(status: 200, fields: [], body: Array(repeating: UInt8(ascii: " "), count: 10_000_000))
        }
        let elsewhere = configuration.faults.contains(.pointsElsewhere)
        UPnPDescription(
            friendlyName: "Simulated router",
            modelName: "1",
            services: [
                UPnPService(
                    configuration.service,
                    controlURL: elsewhere ? "http://203.0.113.66:80/ctl/IPConn" : "/ctl/IPConn"
                )
            ]
        ).encode(into: &body)
        if configuration.faults.contains(.billionLaughs) {
            let entities = "<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]>"
            body = Array((entities + "<root><device>&b;</device></root>").utf8)
        }
        return .response(status: 200, fields: [SocketField("Content-Type", "text/xml")], body: body)
    }

    private func perform(_ action: UPnPAction, for client: IPAddress) -> UPnPResult {
        switch action {
        case .getStatusInfo:
            let isDown = configuration.faults.contains(.disconnected)
            return .values([
                UPnPArgument("NewConnectionStatus", isDown ? "Disconnected" : "Connected"),
                UPnPArgument("NewLastConnectionError", "ERROR_NONE"), UPnPArgument("NewUptime", String(epoch)),
            ])
        case .getExternalIPAddress:
            return .values([UPnPArgument("NewExternalIPAddress", externalAddress.description)])
        case .addPortMapping(let mapping): return add(mapping, for: client, isAny: false)
        case .addAnyPortMapping(let mapping):
            guard configuration.service == .ip2 else { return .fault(.invalidAction) }
            return add(mapping, for: client, isAny: true)
        case .deletePortMapping(let transport, let port):
            let place = Place(transport, port)
            guard let entry = entry(place) else { return .fault(.noSuchEntry) }
            guard entry.inside.address == client, close(place) else { return .fault(.notAuthorized) }
            return .values([])
        case .getSpecificPortMappingEntry(let transport, let port):
            if configuration.takenPorts.contains(port) { return owner("192.168.1.250", port, "other") }
            guard let entry = entry(Place(transport, port)) else { return .fault(.noSuchEntry) }
            return owner(entry.inside.address.description, entry.inside.port, entry.label)
        }
    }

    private func owner(_ client: String, _ port: UInt16, _ label: String) -> UPnPResult {
        .values([
            UPnPArgument("NewInternalPort", String(port)), UPnPArgument("NewInternalClient", client),
            UPnPArgument("NewEnabled", "1"), UPnPArgument("NewPortMappingDescription", label),
            UPnPArgument("NewLeaseDuration", "0"),
        ])
    }

    private func add(_ mapping: UPnPPortMapping, for client: IPAddress, isAny: Bool) -> UPnPResult {
        let faults = configuration.faults
        if faults.contains(.refusesAll) || mapping.client != client { return .fault(.notAuthorized) }
        if mapping.lease != 0, faults.contains(.onlyPermanentLeases) { return .fault(.onlyPermanentLeasesSupported) }
        if mapping.lease != 0, faults.contains(.dislikesLeases) { return .fault(.invalidArguments) }
        let inside = IPEndpoint(client, mapping.internalPort)
        let port = isAny ? freePort(mapping.transport, near: mapping.externalPort, for: inside) : mapping.externalPort
        let entry = Entry(inside: inside, nonce: nil, expiresAt: nil, label: mapping.description)
        guard open(Place(mapping.transport, port), entry, by: .upnp, lifetime: mapping.lease) != nil else {
            return .fault(.conflictInMappingEntry)
        }
        return .values(isAny ? [UPnPArgument("NewReservedPort", String(port))] : [])
    }
}
