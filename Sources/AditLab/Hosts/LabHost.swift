// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// A computer of the simulated internet: interfaces, routes, and sockets.
///
/// Routers and NAT boxes are hosts that also forward, so that services and machines run on them too.
package class LabHost {
    /// Its name, as scenarios and diagrams call it.
    package let name: String
    /// Its number in the lab.
    package private(set) var index = 0
    /// Where it is attached.
    package internal(set) var interfaces: [LabInterface] = []
    /// The time to live of what it sends, unless a socket says otherwise.
    package var timeToLive: UInt8 = 64
    /// Whether it answers what comes to a closed port, by port unreachable or RST.
    package var answersClosedPorts = true
    /// Whether its datagrams may be cut by routers (IPv4 without DF).
    package var allowsFragments = true
    /// Which ports the system chooses from.
    package var ephemeralPorts: ClosedRange<UInt16> = 32_768...60_999
    /// How often a SYN is sent again, after 1, 3, 7 … seconds.
    package var synRetries = 6
    /// How many sockets of each kind may be open.
    package var socketLimit = 65_536

    /// How many packets it has sent itself.
    package private(set) var sentCount = 0

    unowned let lab: Lab
    var routes = RouteTable()
    /// The addresses of all interfaces, which every packet is compared with.
    private(set) var ownAddresses: [AddressKey] = []
    /// The same where they are many, as those of a router between many networks; empty otherwise.
    private var ownAddressIndex: Set<AddressKey> = []
    var random: SeededGenerator
    var datagramSockets: [UInt16: [LabUDPSocket]] = [:]
    var datagramSocketCount = 0
    var tcp = TCPSockets()
    var machines: [LabMachineRunner] = []

    init(_ name: String, _ lab: Lab) {
        self.name = name
        self.lab = lab
        random = SeededGenerator(seed: 0)
        index = lab.add(self)
        random = lab.seed.generator(for: 2 << 32 | UInt64(index))
    }

    // MARK: Addresses and routes

    /// Attaches an interface to a link, with ways to the networks of its addresses.
    @discardableResult
    package func attach(
        to link: LabLink,
        _ addresses: InterfaceAddress...,
        side: InterfaceSide = .inside
    ) -> Int {
        attach(to: link, addresses, side: side)
    }

    /// Attaches an interface to a link, with ways to the networks of its addresses.
    @discardableResult
    package func attach(to link: LabLink, _ addresses: [InterfaceAddress], side: InterfaceSide = .inside) -> Int {
        let number = interfaces.count
        interfaces.append(
            LabInterface(
                name: "eth\(number)",
                addresses: addresses,
                side: side,
                link: link,
                attachment: link.attach(self, interface: number)
            )
        )
        addressesChanged(number)
        return number
    }

    /// Adds a way through a router, replacing one to the same network; traps when the router is not on a network here.
    package func route(_ network: InterfaceAddress, via gateway: IPAddress) {
        guard let way = routes.lookup(gateway), way.gateway == nil else {
            preconditionFailure("\(gateway) is on no network of \(name)")
        }
        routes.add(network.address, prefixLength: network.prefixLength, interface: way.interface, gateway: gateway)
    }

    /// Sends what has no better way through a router.
    package func defaultRoute(via gateway: IPAddress) {
        route(InterfaceAddress(gateway.isIPv6 ? .v6(high: 0, low: 0) : .v4(0), prefixLength: 0), via: gateway)
    }

    /// Gives an interface other addresses while the lab runs, where asked for sends everything through a router there, and
    /// tells the machines.
    package func changeAddresses(
        _ addresses: [InterfaceAddress],
        interface: Int = 0,
        defaultRoute router: IPAddress? = nil
    ) {
        interfaces[interface].addresses = addresses
        routes.remove(interface: interface, onlyDirect: true)
        addressesChanged(interface)
        if let router { defaultRoute(via: router) }
        for machine in machines { machine.accept(.networkChanged(network)) }
    }

    /// The first address of the interface through which the default route goes, or of the first one.
    package func address(isIPv6: Bool = false) -> IPAddress? {
        let any: IPAddress = isIPv6 ? .v6(high: 0x2000 << 48, low: 0) : .v4(0x0800_0000)
        let preferred = routes.lookup(any).flatMap { interfaces[$0.interface].address(isIPv6: isIPv6) }
        return preferred ?? interfaces.lazy.compactMap { $0.address(isIPv6: isIPv6) }.first
    }

    /// What a machine on this host knows of its interfaces and routers.
    package var network: LocalNetwork {
        let way = routes.lookup(.v4(0x0800_0000))
        let wayV6 = routes.lookup(.v6(high: 0x2000 << 48, low: 0))
        return LocalNetwork(
            interfaces: interfaces.enumerated().map { number, interface in
                LocalInterface(
                    name: interface.name,
                    addresses: interface.addresses.map(\.address),
                    isDefault: way?.interface == number || wayV6?.interface == number,
                    mtu: interface.link.configuration.mtu
                )
            },
            gateway: way?.gateway,
            gatewayV6: wayV6?.gateway,
            address: way.flatMap { interfaces[$0.interface].address(isIPv6: false) },
            addressV6: wayV6.flatMap { interfaces[$0.interface].address(isIPv6: true) }
        )
    }

    /// Whether one of its interfaces has the address.
    final func owns(_ address: IPAddress) -> Bool {
        let key = AddressKey(address)
        guard ownAddressIndex.isEmpty else { return ownAddressIndex.contains(key) }
        for own in ownAddresses where own == key { return true }
        return false
    }

    /// From which address a packet to `destination` leaves; nil when there is no way.
    func sourceAddress(for destination: IPAddress) -> IPAddress? {
        if owns(destination) { return destination }
        if destination.isMulticast { return address(isIPv6: destination.isIPv6) }
        guard let way = routes.lookup(destination) else { return nil }
        return interfaces[way.interface].address(isIPv6: destination.isIPv6)
    }

    // MARK: Packets

    /// A packet came from a link.
    func receive(_ packet: LabPacket, on interface: Int) {
        if packet.destination.address.isMulticast || owns(packet.destination.address) {
            input(packet, interface: interface)
        } else {
            lab.drop(packet, at: self, .notForThisHost)
        }
    }

    /// Sends a packet of its own; false when there is no way.
    @discardableResult
    func output(_ packet: LabPacket) -> Bool {
        var packet = packet
        lab.number(&packet)
        sentCount += 1
        let destination = packet.destination.address
        if owns(destination) {
            lab.push(.loopback, packet, target: index, part: 0, at: lab.now.nanoseconds)
            return true
        }
        if destination.isMulticast {
            let number = interfaces.firstIndex { $0.has(packet.source.address) } ?? 0
            guard number < interfaces.count else { return false }
            packet.timeToLive = min(packet.timeToLive, 4)
            send(packet, through: number, next: destination)
            return true
        }
        guard let way = routes.lookup(destination) else {
            lab.drop(packet, at: self, .noRoute)
            return false
        }
        send(packet, through: way.interface, next: way.gateway ?? destination)
        return true
    }

    /// Puts a packet on a link, cut where that is needed and allowed.
    final func send(_ packet: LabPacket, through number: Int, next: IPAddress) {
        let link = interfaces[number].link
        let mtu = link.configuration.mtu
        if packet.length > mtu, packet.fragmentSize == 0 || Int(packet.fragmentSize) > mtu {
            guard packet.mayFragment else {
                lab.drop(packet, at: self, .tooBig)
                if !link.configuration.isBlackHole { report(.tooBig(mtu: UInt32(mtu)), about: packet) }
                return
            }
            var cut = packet
            cut.fragmentSize = UInt16(clamping: mtu)
            return link.transmit(cut, from: interfaces[number].attachment, next: next)
        }
        link.transmit(packet, from: interfaces[number].attachment, next: next)
    }

    /// Sends an ICMP error about a packet to its source, or tells the socket when the packet is its own.
    func report(_ kind: SocketRefusal.Kind, about packet: LabPacket, from address: IPAddress? = nil) {
        guard let error = LabICMPError(kind, about: packet), !packet.destination.address.isMulticast else { return }
        guard let own = address ?? sourceAddress(for: packet.source.address) else { return }
        var answer = LabPacket(from: IPEndpoint(own, 0), to: IPEndpoint(packet.source.address, 0), .icmp(error))
        answer.timeToLive = timeToLive
        output(answer)
    }

    /// A packet for this host itself.
    func input(_ packet: LabPacket, interface: Int?) {
        switch packet.content {
        case .udp(let bytes): receive(bytes, packet)
        case .tcp(let segment): receive(segment, packet)
        case .icmp(let error): receive(error, reporter: packet.source.address)
        }
    }

    private func receive(_ error: LabICMPError, reporter: IPAddress) {
        switch error.protocol {
        case .udp:
            guard let socket = socket(for: error.source) else { return }
            socket.onRefusal?(SocketRefusal(error.kind, destination: error.destination, reporter: reporter))
        case .tcp: receiveTCP(error)
        case .icmp: break
        }
    }

    func dismantle() {
        for machine in machines { machine.dismantle() }
        machines.removeAll()
        for sockets in datagramSockets.values {
            for socket in sockets { socket.dismantle() }
        }
        datagramSockets.removeAll()
        tcp.dismantle()
        interfaces.removeAll()
    }

    /// An interface has other addresses than before.
    func addressesChanged(_ number: Int) {
        let interface = interfaces[number]
        for own in interface.addresses {
            routes.add(own.address, prefixLength: own.prefixLength, interface: number, gateway: nil)
        }
        ownAddresses = interfaces.flatMap { $0.addresses.map { AddressKey($0.address) } }
        ownAddressIndex = ownAddresses.count > 8 ? Set(ownAddresses) : []
        interface.link.setAddresses(interface.addresses.map { AddressKey($0.address) }, of: interface.attachment)
    }
}
