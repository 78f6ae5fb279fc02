// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// A STUN server of a discovery: what it offers, and whether it can be believed.
struct ProbeServer: Sendable {
    let index: Int
    let endpoint: IPEndpoint
    var report: NATServerReport
    /// Its other address and other port (OTHER-ADDRESS); nil when it has none that could be used.
    var other: IPEndpoint?
    /// Its other port, when it has only one address.
    var alternatePort: UInt16?
    /// Whether anything that answers a request came from it over UDP, believable or not.
    var isHeardOverUDP = false

    init(index: Int, _ server: NATDiscovery.Configuration.Server) {
        self.index = index
        endpoint = server.endpoint
        report = NATServerReport(name: server.name, endpoint: server.endpoint)
    }

    /// Whether it answered, over UDP or TCP, and nothing it said was wrong.
    var isUsable: Bool { (report.answersUDP || report.answersTCP) && report.fault == nil }

    /// Whether it has a second address.
    var hasOtherAddress: Bool { other.map { $0.address != endpoint.address } ?? false }

    /// The endpoint on its second address and second port, for CHANGE-REQUEST.
    var otherAddressAndPort: IPEndpoint? { hasOtherAddress ? other : nil }

    /// Its second port on the first address.
    var otherPort: IPEndpoint? {
        guard let port = other?.port ?? alternatePort, port != endpoint.port else { return nil }
        return IPEndpoint(endpoint.address, port)
    }

    /// Every endpoint of the server, the one that was given first.
    var endpoints: [IPEndpoint] {
        var endpoints = [endpoint]
        if let otherPort { endpoints.append(otherPort) }
        if let other, hasOtherAddress {
            endpoints.append(IPEndpoint(other.address, endpoint.port))
            if other.port != endpoint.port { endpoints.append(other) }
        }
        return endpoints
    }

    /// Notes a response over UDP or TCP, and gives the endpoint at which it saw this machine when that can be believed.
    mutating func note(_ message: STUNMessage, to local: IPEndpoint) -> IPEndpoint? {
        guard message.kind == .success else {
            report.fault = .refuses
            return nil
        }
        guard let mapped = message.mappedEndpoint.map({ IPEndpoint($0.address.unmapped, $0.port) })
        else {
            report.fault = .broken
            return nil
        }
        if let fault = Self.fault(of: mapped, to: local, servers: endpoints) {
            report.fault = fault
            return nil
        }
        if let offered = message.otherEndpoint, Self.isBelievable(offered, besides: endpoint),
            other == nil
        {
            other = offered
            report.alternate = offered
        }
        if other == nil, let port = message.alternatePort, port != 0, port != endpoint.port {
            alternatePort = port
            report.alternate = IPEndpoint(endpoint.address, port)
        }
        for case .software(let name) in message.attributes {
            report.software = Self.printable(name, limit: 64)
        }
        return mapped
    }

    /// Why an address at which a server says to see this machine cannot be right; nil when it can.
    static func fault(
        of mapped: IPEndpoint,
        to local: IPEndpoint,
        servers: [IPEndpoint]
    ) -> NATServerReport.Fault? {
        if mapped.port == 0 || AddressFamily(mapped.address) != AddressFamily(local.address.unmapped) {
            return .absurdAddress
        }
        if mapped.address == local.address.unmapped { return nil }
        if servers.contains(where: { $0.address == mapped.address }) { return .ownAddress }
        if !isUnicast(mapped.address) { return .absurdAddress }
        // A server on the internet sees public addresses, or its own carrier's; one in a private network may see any.
        let isServerPublic = servers.first.map { AddressRealm($0.address) == .public } ?? true
        return isServerPublic && AddressRealm(mapped.address) == .private ? .absurdAddress : nil
    }

    /// Whether packets may be sent to what a server calls its other address: never to this machine, to groups, or from the
    /// internet into a private network.
    private static func isBelievable(_ other: IPEndpoint, besides endpoint: IPEndpoint) -> Bool {
        guard other.port != 0, other != endpoint,
            AddressFamily(other.address) == AddressFamily(endpoint.address),
            isUnicast(other.address) || endpoint.address.isLoopback
        else { return false }
        return AddressRealm(endpoint.address) == .private || AddressRealm(other.address) != .private
    }

    private static func isUnicast(_ address: IPAddress) -> Bool {
        if address.isUnspecified || address.isLoopback || address.isLinkLocal { return false }
        switch address {
        case .v4(let number): return number >> 24 != 0 && number >> 28 < 0xE
        case .v6(let high, _): return high >> 56 != 0xFF
        }
    }

    static func printable(_ text: String, limit: Int) -> String {
        String(decoding: text.utf8.filter { (32..<127).contains($0) }.prefix(limit), as: UTF8.self)
    }
}
