// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import AditWire
import Testing

/// What a client told, and when.
final class Told {
    var events: [PortMappingEvent] = []
    var times: [Instant] = []

    /// The mappings that were told, in order.
    var mapped: [PortMapping] { events.compactMap { if case .mapped(let mapping) = $0 { mapping } else { nil } } }
    /// The losses that were told, in order.
    var lost: [PortMappingLoss] { events.compactMap { if case .lost(_, let loss) = $0 { loss } else { nil } } }
    /// How often a renewal was told.
    var renewals: Int { events.count { if case .renewed = $0 { true } else { false } } }
    /// What stood in the way, in order.
    var unavailable: [PortMappingUnavailability] {
        events.compactMap { if case .unavailable(let reason) = $0 { reason } else { nil } }
    }
}

/// A client behind a home router that gives ports, and a STUN server with two addresses outside.
struct MapperBench {
    let bench: Bench
    let mapper: LabPortMapper
    let told = Told()
    let random: SeededGenerator

    var lab: Lab { bench.lab }

    init(_ lab: Lab, _ configuration: PortMapperConfiguration = PortMapperConfiguration()) {
        bench = Bench(lab, NATConfiguration(.endpointIndependent, .addressAndPortDependent))
        mapper = LabPortMapper(on: bench.box, in: lab, configuration)
        random = lab.generator(for: 99)
        bench.server.run(
            STUNServer(
                STUNServer.Sockets(
                    address: endpoint("203.0.113.10:1").address,
                    alternateAddress: endpoint("203.0.113.11:1").address,
                    alternatePort: 3479
                ),
                seed: 7
            )
        )
    }

    func client(
        _ wishes: PortMappingWish...,
        protocols: Set<PortMappingProtocol> = Set(PortMappingProtocol.allCases),
        isVerifying: Bool = true,
        on host: LabHost? = nil
    ) -> LabMachine<PortMappingClient> {
        let host = host ?? bench.inside
        let configuration = PortMappingClient.Configuration(
            network: host.network,
            wishes: wishes,
            protocols: protocols,
            stunServers: isVerifying ? [endpoint("203.0.113.10:3478")] : []
        )
        return host.run(PortMappingClient(configuration: configuration, random: random)) { [told, lab] event in
            told.events.append(event)
            told.times.append(lab.now)
        }
    }

    /// Whether a datagram from outside to the external port arrives at the inner one.
    func arrives(at port: UInt16, inside inner: UInt16, on host: LabHost? = nil) throws -> Bool {
        let socket = try #require((host ?? bench.inside).openUDP(port: inner))
        let sender = try #require(bench.core.openUDP(port: 0))
        var arrived = false
        socket.onDatagram = { bytes, _ in arrived = arrived || bytes == [42] }
        sender.send([42], to: IPEndpoint(endpoint("198.51.100.2:1").address, port))
        try lab.run(for: .seconds(1))
        socket.close()
        sender.close()
        return arrived
    }
}

extension PortMappingWish {
    static let game = PortMappingWish(.udp, internalPort: 25565)
}
