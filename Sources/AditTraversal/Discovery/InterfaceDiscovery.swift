// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// Looks at the further interfaces of this machine: whether a server answers through each, and as what it sees it.
struct InterfaceDiscovery: Sendable {
    private static let limit = 16
    private static let probeLimit = 4
    private static let serverLimit = 2

    private(set) var reports: [NATInterfaceReport] = []

    mutating func start(
        _ network: LocalNetwork,
        _ servers: [ProbeServer],
        isQuick: Bool,
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        let targets = servers.filter { AddressFamily($0.endpoint.address) == .v4 }.prefix(
            Self.serverLimit
        )
        var probeCount = 0
        for interface in network.interfaces.prefix(Self.limit) {
            var report = NATInterfaceReport(
                name: ProbeServer.printable(interface.name, limit: 64),
                addresses: Array(interface.addresses.prefix(Self.limit)),
                standing: .unused
            )
            let isMain = interface.addresses.contains { $0 == network.address || $0 == network.addressV6 }
            let source = interface.addresses.first { address in
                AddressFamily(address) == .v4 && !address.isLoopback && !address.isLinkLocal
                    && !address.isUnspecified
            }
            if isMain {
                report.standing = .main
            } else if interface.isVirtual {
                report.standing = .ignored
            } else if let source, !targets.isEmpty, !isQuick, probeCount < Self.probeLimit {
                probeCount += 1
                report.standing = .silent
                let socket = sockets.openUDP(source)
                for server in targets {
                    let purpose = ProbePurpose.interface(reports.count)
                    sockets.ask(purpose, .v4, on: socket, to: server.endpoint, plan: .answered, now: now)
                }
            }
            reports.append(report)
        }
    }

    mutating func take(_ answer: ProbeAnswer, _ number: Int) {
        guard answer.isFromSource, answer.message.kind == .success,
            let mapped = answer.message.mappedEndpoint.map({ IPEndpoint($0.address.unmapped, $0.port) }),
            ProbeServer.fault(of: mapped, to: answer.local, servers: [answer.request.destination]) == nil
        else { return }
        reports[number].standing = .reachable
        reports[number].external = mapped.address
    }

    /// Notes as what the main interface was seen.
    mutating func noteMain(_ external: IPAddress?) {
        for index in reports.indices where reports[index].standing == .main {
            reports[index].external = external
        }
    }
}
