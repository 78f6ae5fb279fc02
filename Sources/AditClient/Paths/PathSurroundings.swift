// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import AditWire
import NIOCore

/// What helps a finder beside its own sockets: a look at the NAT, and ports that the router opens; lives on its event loop.
final class PathSurroundings {
    private let network: LocalNetwork
    private let options: PathOptions
    private let eventLoop: any EventLoop
    private let change: @Sendable (@escaping @Sendable (inout PathFinder) -> Void) -> Void
    private var discovery: SocketMachineDriver<NATDiscovery>?
    private var ports: PortMapSession?
    private var wishes: Set<PortMappingWish> = []

    /// How many ports the router is asked for at most.
    private static let portLimit = 4

    init(
        network: LocalNetwork,
        options: PathOptions,
        on eventLoop: any EventLoop,
        change: @escaping @Sendable (@escaping @Sendable (inout PathFinder) -> Void) -> Void
    ) {
        self.network = network
        self.options = options
        self.eventLoop = eventLoop
        self.change = change
    }

    /// Looks what the NAT does, once, and tells the finder.
    func lookAtNAT(_ servers: [NATDiscovery.Configuration.Server]) {
        guard options.looksAtNAT, discovery == nil, !servers.isEmpty else { return }
        let configuration = NATDiscovery.Configuration(servers: servers, network: network, extent: .quick)
        let driver = SocketMachineDriver(
            NATDiscovery(configuration, random: SystemRandomNumberGenerator()),
            on: eventLoop,
            watchesNetwork: true
        ) { [change] event in
            if case .finished(let report) = event {
                change { $0.note(report, at: Clock.monotonic.now()) }
            }
        }
        discovery = driver
        driver.start()
    }

    /// Asks the router for a port, and tells the finder what it gave.
    func map(_ port: UInt16, _ transport: ICETransport) {
        guard port > 0, wishes.count < Self.portLimit else { return }
        guard network.gateway != nil else { return }
        let wish = PortMappingWish(transport == .udp ? .udp : .tcp, internalPort: port)
        guard wishes.insert(wish).inserted else { return }
        ports.map { session in _ = Task { await session.stop() } }
        let session = PortMapSession(
            PortMappingClient.Configuration(network: network, wishes: Array(wishes)),
            on: eventLoop
        ) { [change] event in
            switch event {
            case .mapped(let mapping) where !mapping.external.address.isUnspecified && mapping.doubleNAT == nil:
                Self.tell(mapping, external: mapping.external, change)
            case .lost(let mapping, _): Self.tell(mapping, external: nil, change)
            default: break
            }
        }
        ports = session
        session.start()
    }

    private static func tell(
        _ mapping: PortMapping,
        external: IPEndpoint?,
        _ change: (@escaping @Sendable (inout PathFinder) -> Void) -> Void
    ) {
        let transport: ICETransport = mapping.wish.transport == .udp ? .udp : .tcp
        let port = mapping.wish.internalPort
        change { $0.note(mapped: external, transport: transport, internalPort: port, at: Clock.monotonic.now()) }
    }

    /// Gives the router its ports back.
    func stop() -> EventLoopFuture<Void> {
        discovery?.cancel()
        guard let ports else { return eventLoop.makeSucceededVoidFuture() }
        return eventLoop.makeFutureWithTask { _ = await ports.stop() }
    }
}
