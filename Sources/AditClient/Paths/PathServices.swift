// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import AditWire
import NIOCore

/// Where the server answers STUN and TURN: what it offers at login, at the addresses that it has.
struct PathServices: Sendable {
    private let place: HostPort
    private var addresses: [IPAddress] = []
    private var stun: STUNOffer?
    private var turn: TURNOffer?

    /// No more addresses of the server are used, of both families together.
    private static let addressLimit = 4

    init(server: HostPort) {
        place = server
        if let address = IPAddress(server.host) { addresses = [address.unmapped] }
    }

    /// Takes what a login told; the address that was reached comes first.
    mutating func take(_ connection: DeviceConnection) {
        stun = connection.adit?.stun
        turn = connection.adit?.turn
        guard let reached = connection.serverAddress?.address.unmapped else { return }
        addresses.removeAll { $0 == reached }
        addresses.insert(reached, at: 0)
    }

    /// Takes new credentials.
    mutating func take(_ offer: TURNOffer) {
        turn = offer
    }

    /// Takes further addresses of the server; whether there were any.
    mutating func add(_ found: [IPAddress]) -> Bool {
        let news = found.filter { !addresses.contains($0) }.prefix(max(0, Self.addressLimit - addresses.count))
        addresses += news
        return !news.isEmpty
    }

    /// As a finder wants it.
    var server: PathServer {
        PathServer(stun: stunEndpoints, stunTCP: stunEndpoints, turn: relays)
    }

    /// As a discovery wants it: it finds the alternates by itself.
    var discoveryServers: [NATDiscovery.Configuration.Server] {
        guard let stun else { return [] }
        return addresses.map {
            NATDiscovery.Configuration.Server(name: place.description, endpoint: IPEndpoint($0, stun.port))
        }
    }

    private var stunEndpoints: [IPEndpoint] {
        guard let stun else { return [] }
        var found: [IPEndpoint] = []
        for address in addresses {
            found.append(IPEndpoint(address, stun.port))
            if stun.alternatePort != 0 { found.append(IPEndpoint(address, stun.alternatePort)) }
        }
        if let alternate = stun.alternateAddress {
            found.append(IPEndpoint(alternate, stun.port))
            if stun.alternatePort != 0 { found.append(IPEndpoint(alternate, stun.alternatePort)) }
        }
        return found
    }

    /// UDP first, then TCP, then TLS: at its own port, and at the session's, which is known to be reached.
    private var relays: [TURNClientConfiguration] {
        guard let turn else { return [] }
        var found: [TURNClientConfiguration] = []
        for transport in [STUNTransport.udp, .tcp] where turn.port != 0 {
            found += addresses.prefix(2).map { relay(IPEndpoint($0, turn.port), transport, turn) }
        }
        guard let reached = addresses.first else { return found }
        if turn.tlsPort != 0 { found.append(relay(IPEndpoint(reached, turn.tlsPort), .tls, turn)) }
        if turn.isOnSessionPort { found.append(relay(IPEndpoint(reached, place.port), .tls, turn)) }
        return found
    }

    private func relay(
        _ endpoint: IPEndpoint,
        _ transport: STUNTransport,
        _ turn: TURNOffer
    ) -> TURNClientConfiguration {
        TURNClientConfiguration(
            server: endpoint,
            transport: transport,
            username: turn.username,
            password: turn.password,
            realm: turn.realm.isEmpty ? nil : turn.realm,
            nonce: turn.nonce.isEmpty ? nil : turn.nonce
        )
    }

    /// The addresses of a server by name, as far as the system's resolver knows them.
    static func addresses(of place: HostPort, on eventLoop: any EventLoop) -> EventLoopFuture<[IPAddress]> {
        guard IPAddress(place.host) == nil else { return eventLoop.makeSucceededFuture([]) }
        return NameLookup.addresses(of: place.host, port: place.port, on: eventLoop).map { found in
            var all: [IPAddress] = []
            for address in found.compactMap({ IPEndpoint($0)?.address.unmapped }) where !all.contains(address) {
                all.append(address)
            }
            return all
        }
    }
}
