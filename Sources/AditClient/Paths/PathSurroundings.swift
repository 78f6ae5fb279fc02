// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import AditWire
import NIOCore

/// What helps a finder beside its own sockets: a look at the NAT, and ports that the router opens; lives on its event loop.
final class PathSurroundings {
    private var network: LocalNetwork
    private let options: PathOptions
    private let eventLoop: any EventLoop
    private let change: @Sendable (@escaping @Sendable (inout PathFinder) -> Void) -> Void
    private var discovery: SocketMachineDriver<NATDiscovery>?
    private var ports: PortMapSession?
    private var wishes: Set<PortMappingWish> = []
    private var asking: Scheduled<Void>?
    /// When the ports of earlier sessions are given back; before, the router is asked for none.
    private var ending: EventLoopFuture<Void>
    private var hasStopped = false

    /// How many ports the router is asked for at most.
    private static let portLimit = 4
    /// Ports that are wanted within this time are asked for together.
    private static let collecting = TimeAmount.milliseconds(10)

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
        ending = eventLoop.makeSucceededVoidFuture()
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

    /// This machine is in another network: its NAT is looked at, and its router has none of the ports, for which the finder asks
    /// anew.
    func moved(to network: LocalNetwork, _ servers: [NATDiscovery.Configuration.Server]) {
        guard !hasStopped else { return }
        self.network = network
        discovery?.cancel()
        discovery = nil
        wishes = []
        giveBack()
        lookAtNAT(servers)
    }

    /// Asks the router for a port, and tells the finder what it gave.
    func map(_ port: UInt16, _ transport: ICETransport) {
        guard !hasStopped, port > 0, wishes.count < Self.portLimit, network.gateway != nil else { return }
        let wish = PortMappingWish(transport == .udp ? .udp : .tcp, internalPort: port)
        guard wishes.insert(wish).inserted, asking == nil else { return }
        asking = eventLoop.assumeIsolated().scheduleTask(in: Self.collecting) { [self] in
            asking = nil
            giveBack()
            ending.assumeIsolated().whenComplete { [self] _ in ask() }
        }
    }

    private func giveBack() {
        guard let ports else { return }
        self.ports = nil
        ending = ending.and(eventLoop.makeFutureWithTask { _ = await ports.stop() }).map { _ in }
    }

    private func ask() {
        guard !hasStopped, ports == nil, !wishes.isEmpty else { return }
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
        hasStopped = true
        asking?.cancel()
        discovery?.cancel()
        giveBack()
        return ending
    }
}
