// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import Testing

/// A client and the router that it asks, whose every word is the test's.
struct ScriptedRouter {
    static let router = IPAddress.v4(0xC0A8_0101)
    static let local = IPAddress.v4(0xC0A8_0102)
    static let outside = IPAddress.v4(0xC633_6402)
    static let control = IPEndpoint(router, 5351)

    var client: PortMappingClient
    var now = Instant.zero
    /// What the client did since it was looked at last, events not counted.
    var outputs: [SocketOutput<PortMappingEvent>] = []
    var events: [PortMappingEvent] = []
    private var sockets: [SocketID] = []

    init(_ wishes: [PortMappingWish], by protocols: Set<PortMappingProtocol>) {
        let configuration = PortMappingClient.Configuration(
            network: LocalNetwork(interfaces: [], gateway: Self.router, address: Self.local),
            wishes: wishes,
            protocols: protocols
        )
        client = PortMappingClient(configuration: configuration, random: SeededGenerator(seed: 5))
        handle(.timer)
        for socket in sockets { handle(.opened(socket, local: IPEndpoint(Self.local, 40_000))) }
    }

    /// What was lost, in order.
    var lost: [PortMappingLoss] { events.compactMap { if case .lost(_, let loss) = $0 { loss } else { nil } } }

    mutating func handle(_ input: SocketInput) {
        client.handle(input, at: now)
        drain()
    }

    mutating func withdraw() {
        client.withdraw(at: now)
        drain()
    }

    /// Lets time pass up to an instant, with every timer in between.
    mutating func pass(_ duration: Duration) {
        let end = now + duration
        while let next = client.nextDeadline, next <= end {
            now = max(now, next)
            handle(.timer)
        }
        now = end
    }

    private mutating func drain() {
        while let output = client.nextOutput() {
            switch output {
            case .event(let event): events.append(event)
            case .open(let id, _): sockets.append(id)
            default: outputs.append(output)
            }
        }
    }

    // MARK: NAT-PMP and PCP

    /// The datagrams to the router's port since they were asked for last.
    mutating func datagrams() -> [(socket: SocketID, bytes: [UInt8])] {
        defer { outputs = [] }
        return outputs.compactMap { output in
            guard case .send(let id, let bytes, to: Self.control, _) = output else { return nil }
            return (id, bytes)
        }
    }

    mutating func answer(_ socket: SocketID, _ response: NATPMPResponse) {
        var bytes: [UInt8] = []
        response.encode(into: &bytes)
        handle(.received(socket, bytes, from: Self.control))
    }

    mutating func answer(_ socket: SocketID, _ response: PCPResponse) {
        var bytes: [UInt8] = []
        response.encode(into: &bytes)
        handle(.received(socket, bytes, from: Self.control))
    }

    // MARK: UPnP

    /// Answers the search and the request for the description.
    mutating func describe(_ service: UPnPServiceKind = .ip1) throws {
        let socket = try #require(sockets.last)
        var bytes: [UInt8] = []
        SSDPMessage(
            .response,
            fields: [
                SSDPMessage.Field("ST", "urn:schemas-upnp-org:device:InternetGatewayDevice:1"),
                SSDPMessage.Field("LOCATION", "http://192.168.1.1:5000/root.xml"),
            ]
        ).encode(into: &bytes)
        handle(.received(socket, bytes, from: IPEndpoint(Self.router, 1900)))
        var body: [UInt8] = []
        UPnPDescription(services: [UPnPService(service, controlURL: "/ctl")]).encode(into: &body)
        try respond(body)
        try answer(.values([UPnPArgument("NewConnectionStatus", "Connected")]))
        try answer(.values([UPnPArgument("NewExternalIPAddress", Self.outside.description)]))
    }

    /// The action that waits for an answer; nil when none does.
    var call: UPnPAction? {
        guard case .request(_, let request)? = outputs.last else { return nil }
        return (try? UPnPCall.decode(request.body.span.bytes))?.action
    }

    mutating func answer(_ result: UPnPResult) throws {
        let name = try #require(call).name
        var body: [UInt8] = []
        result.encode(action: name, service: .ip1, into: &body)
        try respond(body)
    }

    private mutating func respond(_ body: [UInt8]) throws {
        guard case .request(let id, _)? = outputs.last else { throw NothingAsked() }
        outputs = []
        handle(.response(id, SocketResponse(status: 200, body: body, local: IPEndpoint(Self.local, 50_000))))
    }

    struct NothingAsked: Error {}
}
