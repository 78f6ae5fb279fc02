// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal

/// A UDP socket of a simulated host.
package final class LabUDPSocket {
    /// Where it is bound; the address may be unspecified.
    package let local: IPEndpoint
    /// Called with each datagram and its sender.
    package var onDatagram: (([UInt8], IPEndpoint) -> Void)?
    /// Called when a router or host refused a datagram.
    package var onRefusal: ((SocketRefusal) -> Void)?
    /// Whether a datagram that is too long for a link may be cut (ip(7), IP_MTU_DISCOVER).
    package var mayFragment = true

    private unowned let host: LabHost
    private var isOpen = true

    init(local: IPEndpoint, host: LabHost) {
        self.local = local
        self.host = host
    }

    /// Sends a datagram; `timeToLive` is set for this one alone.
    package func send(_ bytes: [UInt8], to remote: IPEndpoint, timeToLive: UInt8? = nil) {
        guard isOpen, remote.address.isIPv6 == local.address.isIPv6, remote.port != 0 else { return }
        let source = local.address.isUnspecified ? host.sourceAddress(for: remote.address) : local.address
        guard let source else {
            onRefusal?(SocketRefusal(.hostUnreachable, destination: remote, reporter: nil))
            return
        }
        var packet = LabPacket(from: IPEndpoint(source, local.port), to: remote, .udp(bytes))
        packet.timeToLive = timeToLive ?? host.timeToLive
        packet.mayFragment = mayFragment && host.allowsFragments && !source.isIPv6
        if !host.output(packet) {
            onRefusal?(SocketRefusal(.hostUnreachable, destination: remote, reporter: nil))
        }
    }

    /// Closes it; what still comes to its port is refused.
    package func close() {
        guard isOpen else { return }
        host.remove(self)
        dismantle()
    }

    func dismantle() {
        isOpen = false
        onDatagram = nil
        onRefusal = nil
    }
}

extension LabHost {
    /// Opens a UDP socket; nil when the address is not this host's or the port is taken.
    ///
    /// Port 0 lets the host choose, an unspecified address means every address of the family.
    package func openUDP(_ local: IPEndpoint) -> LabUDPSocket? {
        guard local.address.isUnspecified || owns(local.address), datagramSocketCount < socketLimit else { return nil }
        var bound = local
        if local.port == 0 {
            guard let port = ephemeralPort({ !isTaken(IPEndpoint(local.address, $0)) }) else { return nil }
            bound.port = port
        } else if isTaken(local) {
            return nil
        }
        let socket = LabUDPSocket(local: bound, host: self)
        datagramSockets[bound.port, default: []].append(socket)
        datagramSocketCount += 1
        return socket
    }

    /// Opens a UDP socket on every IPv4 address; port 0 lets the host choose.
    package func openUDP(port: UInt16 = 0) -> LabUDPSocket? {
        openUDP(IPEndpoint(.v4(0), port))
    }

    /// A port from the host's range that suits; nil when none does.
    func ephemeralPort(_ suits: (UInt16) -> Bool) -> UInt16? {
        let count = UInt32(ephemeralPorts.count)
        let start = UInt32(truncatingIfNeeded: random.next() >> 32) % count
        for step in 0..<count {
            let port = UInt16(UInt32(ephemeralPorts.lowerBound) + (start + step) % count)
            if suits(port) { return port }
        }
        return nil
    }

    func remove(_ socket: LabUDPSocket) {
        guard var sockets = datagramSockets.removeValue(forKey: socket.local.port) else { return }
        sockets.removeAll { $0 === socket }
        datagramSocketCount -= 1
        if !sockets.isEmpty { datagramSockets[socket.local.port] = sockets }
    }

    /// The socket that takes what comes to an endpoint of this host.
    func socket(for endpoint: IPEndpoint) -> LabUDPSocket? {
        guard let sockets = datagramSockets[endpoint.port] else { return nil }
        for socket in sockets where socket.local.address == endpoint.address { return socket }
        let isIPv6 = endpoint.address.isIPv6
        for socket in sockets where socket.local.address.isUnspecified && socket.local.address.isIPv6 == isIPv6 {
            return socket
        }
        return nil
    }

    func receive(_ bytes: [UInt8], _ packet: LabPacket) {
        if packet.destination.address.isMulticast {
            let isIPv6 = packet.destination.address.isIPv6
            for socket in datagramSockets[packet.destination.port] ?? []
            where socket.local.address.isUnspecified && socket.local.address.isIPv6 == isIPv6 {
                socket.onDatagram?(bytes, packet.source)
            }
            return
        }
        guard let socket = socket(for: packet.destination) else {
            lab.drop(packet, at: self, .portClosed)
            if answersClosedPorts { report(.portUnreachable, about: packet, from: packet.destination.address) }
            return
        }
        socket.onDatagram?(bytes, packet.source)
    }

    private func isTaken(_ local: IPEndpoint) -> Bool {
        guard let sockets = datagramSockets[local.port] else { return false }
        for socket in sockets where socket.local.address.isIPv6 == local.address.isIPv6 {
            let other = socket.local.address
            if other == local.address || other.isUnspecified || local.address.isUnspecified { return true }
        }
        return false
    }
}
