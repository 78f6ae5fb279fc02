// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditConfig
import AditCore
import AditTransport
import AditTraversal
import ArgumentParser
import NIOCore
import NIOPosix

/// `adit map PORT`
struct MapCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "map",
        abstract: "A port of this network's router, without a server.",
        discussion: """
            Asks the router by PCP, NAT-PMP and UPnP to lead a public port to PORT of this computer, keeps it until
            Ctrl-C, and closes it then. The joined server, or the STUN server of --stun, tries the port from outside.
            Ports that are attacked within a day need --public.
            """
    )

    @Argument(help: "The port of this computer.")
    var port: UInt16

    @Flag(help: "UDP alone. Without --udp and --tcp it is both.")
    var udp = false

    @Flag(help: "TCP alone.")
    var tcp = false

    @Option(help: ArgumentHelp("The wanted public port. Without it, the same as PORT.", valueName: "port"))
    var external: UInt16?

    @Flag(help: "No other public port will do.")
    var exact = false

    @Option(help: ArgumentHelp("How long the router is asked for each time; renewed at half of it.", valueName: "time"))
    var lifetime = "2h"

    @Option(help: ArgumentHelp("The STUN server that tries the port from outside.", valueName: "host:port"))
    var stun: String?

    @Option(help: ArgumentHelp("Only by this protocol: pcp, natpmp or upnp; may be repeated.", valueName: "protocol"))
    var by: [MapProtocol] = []

    @Flag(name: .customLong("public"), help: "Also when the port is one that is attacked.")
    var isPublic = false

    @Flag(help: "One JSON object a line; the first one has the public address.")
    var json = false

    /// What the flags ask for.
    ///
    /// - Throws: `ErrorCode.riskyPort` for a port that should not be open to everybody.
    func order() throws -> PortMapOrder {
        guard port > 0, external != 0 else { throw ValidationError("ports are from 1 to 65535") }
        let seconds: Int64
        do {
            seconds = try DurationText.parse(lifetime).components.seconds
        } catch {
            throw ValidationError(error.what.in(ProcessFacts.style().language))
        }
        guard let time = UInt32(exactly: seconds), PortMapOrder.lifetimes.contains(time) else {
            throw ValidationError("--lifetime is from 10s to 1d")
        }
        let order = PortMapOrder(
            port: port,
            isTCP: tcp || !udp,
            isUDP: udp || !tcp,
            external: external,
            isExact: exact,
            lifetime: time
        )
        if let gate = order.riskyPortGate(isPublic: isPublic) { throw gate }
        return order
    }

    func run() async throws {
        let order = try order()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let servers = try await servers(loop)
        try await MapRun(order: order, servers: servers, protocols: protocols, isJSON: json).run(on: loop)
    }

    private var protocols: Set<PortMappingProtocol> {
        by.isEmpty ? Set(PortMappingProtocol.allCases) : Set(by.map(\.name))
    }

    /// Who tries the port from outside: the server that was named, else the joined one.
    private func servers(_ loop: any EventLoop) async throws -> [IPEndpoint] {
        if let stun {
            guard let place = HostPort(stun, defaultPort: 3478) else {
                throw ValidationError("\"\(stun)\" is not host:port")
            }
            return try await PortMapSession.endpoints(of: place, on: loop)
        }
        // Nobody has to join a server for this, and one that is away does not stop it.
        guard let place = (try? ProcessFacts.home().servers())?.first?.portMapTester else { return [] }
        return (try? await PortMapSession.endpoints(of: place, on: loop)) ?? []
    }
}

/// A protocol as a flag names it.
enum MapProtocol: String, ExpressibleByArgument {
    case pcp
    case natpmp
    case upnp

    var name: PortMappingProtocol {
        switch self {
        case .pcp: .pcp
        case .natpmp: .natPMP
        case .upnp: .upnp
        }
    }
}
