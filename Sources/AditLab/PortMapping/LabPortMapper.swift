// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal
package import AditWire

/// What answers PCP, NAT-PMP and UPnP on a simulated router, and opens its ports.
package final class LabPortMapper {
    /// A port that was given.
    package struct Entry: Sendable, Hashable {
        /// The host inside.
        package var inside: IPEndpoint
        /// Who asked, when it was by PCP.
        package var nonce: PCPNonce?
        /// When it ends; nil for never.
        package var expiresAt: Instant?
        /// What it is for.
        package var label: String
    }

    /// A place on the outside.
    package struct Place: Hashable, Sendable {
        /// What the port belongs to.
        package var transport: PortMappingTransport
        /// The external port.
        package var port: UInt16

        /// Makes it from its parts.
        package init(_ transport: PortMappingTransport, _ port: UInt16) {
            self.transport = transport
            self.port = port
        }
    }

    /// How it answers; it may change while the lab runs.
    package var configuration: PortMapperConfiguration
    /// The ports that are open.
    package private(set) var entries: [Place: Entry] = [:]
    /// How many requests for ports it has granted, by protocol.
    package private(set) var grants: [PortMappingProtocol: Int] = [:]
    /// Whether it is switched on.
    package var isOn = true

    /// The router.
    package let nat: LabNAT
    let lab: Lab
    private var bootedAt: Instant
    private var control: LabUDPSocket?
    private var search: LabUDPSocket?
    private var listener: LabTCPListener?

    /// Begins to answer on a router; traps when its ports are taken.
    package init(on nat: LabNAT, in lab: Lab, _ configuration: PortMapperConfiguration = PortMapperConfiguration()) {
        self.nat = nat
        self.lab = lab
        self.configuration = configuration
        bootedAt = lab.now
        if !configuration.protocols.isDisjoint(with: [.pcp, .natPMP]) {
            control = nat.openUDP(port: NATPMPRequest.serverPort)
            control?.onDatagram = { [unowned self] bytes, sender in
                guard isOn, let reply = answer(bytes, from: sender) else { return }
                later { [unowned self] in control?.send(reply, to: sender) }
            }
        }
        if configuration.protocols.contains(.upnp) {
            search = nat.openUDP(port: SSDPMessage.group.port)
            search?.onDatagram = { [unowned self] bytes, sender in
                guard isOn, let reply = searchAnswer(bytes) else { return }
                later { [unowned self] in search?.send(reply, to: sender) }
            }
            listener = nat.serve(port: configuration.httpPort) { [unowned self] request in
                isOn ? respond(request) : .silence
            }
            precondition(search != nil && listener != nil, "the router's ports for UPnP are taken")
        }
    }

    /// Its address outside, as it says.
    var externalAddress: IPAddress {
        configuration.claimedAddress ?? nat.externalAddresses.first ?? .v4(0)
    }

    /// The address at which its description is.
    var insideAddress: IPAddress {
        nat.interfaces.first { $0.side == .inside }?.addresses.first {
            if case .v4 = $0.address { true } else { false }
        }?
        .address ?? .v4(0)
    }

    /// Seconds since it last forgot everything.
    var epoch: UInt32 { UInt32(clamping: Int((lab.now - bootedAt).inSeconds)) }

    /// Forgets everything, as after a loss of power.
    package func reboot() {
        entries = [:]
        nat.reboot()
        bootedAt = lab.now
    }

    private func later(_ body: @escaping () -> Void) {
        if configuration.delay == .zero { body() } else { lab.after(configuration.delay, body) }
    }

    // MARK: The table

    /// The entry at a place, unless its time is over.
    func entry(_ place: Place) -> Entry? {
        guard let entry = entries[place], entry.expiresAt.map({ $0 > lab.now }) ?? true else { return nil }
        return entry
    }

    func place(of inside: IPEndpoint, _ transport: PortMappingTransport) -> Place? {
        entries.first { $0.key.transport == transport && $0.value.inside == inside && entry($0.key) != nil }?.key
    }

    /// Opens a port; nil when it is another's.
    func open(_ place: Place, _ entry: Entry, by name: PortMappingProtocol, lifetime: UInt32) -> UInt32? {
        if let other = self.entry(place), other.inside != entry.inside { return nil }
        guard !configuration.takenPorts.contains(place.port) else { return nil }
        if configuration.faults.contains(.renewsNothing), self.entry(place) != nil { return nil }
        let seconds = min(lifetime, configuration.longestLease)
        var entry = entry
        entry.expiresAt = lifetime == 0 ? nil : lab.now + .seconds(Int64(seconds))
        if !configuration.faults.contains(.opensNothing) {
            let isOpen = nat.addMapping(
                place.transport == .udp ? .udp : .tcp,
                external: IPEndpoint(nat.externalAddresses.first ?? .v4(0), place.port),
                internal: entry.inside,
                lifetime: lifetime == 0 ? nil : .seconds(Int64(seconds))
            )
            guard isOpen else { return nil }
        }
        entries[place] = entry
        grants[name, default: 0] += 1
        return lifetime == 0 ? 0 : seconds
    }

    /// Closes a port; false when there was none, or it is not given back.
    @discardableResult
    func close(_ place: Place) -> Bool {
        guard !configuration.faults.contains(.keepsPorts), entries.removeValue(forKey: place) != nil else {
            return false
        }
        nat.removeMapping(
            place.transport == .udp ? .udp : .tcp,
            external: IPEndpoint(nat.externalAddresses.first ?? .v4(0), place.port)
        )
        return true
    }

    /// A port near the wanted one that nobody has.
    func freePort(_ transport: PortMappingTransport, near port: UInt16, for inside: IPEndpoint) -> UInt16 {
        var port = configuration.faults.contains(.grantsAnother) || port == 0 ? max(port, 1024) &+ 1000 : port
        for _ in 0..<1000 {
            let other = entry(Place(transport, port))
            if port > 0, !configuration.takenPorts.contains(port), other == nil || other?.inside == inside { break }
            port &+= 1
        }
        return port
    }
}
