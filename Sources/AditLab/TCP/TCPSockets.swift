// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTraversal

/// The TCP sockets of a host: every local port may be shared by a listener and any number of connections.
struct TCPSockets {
    struct Pair: Hashable {
        var local: EndpointKey
        var remote: EndpointKey
    }

    private(set) var connections: [Pair: LabTCPConnection] = [:]
    private(set) var listeners: [UInt16: [LabTCPListener]] = [:]

    func connection(_ local: IPEndpoint, _ remote: IPEndpoint) -> LabTCPConnection? {
        connections[Pair(local: EndpointKey(local), remote: EndpointKey(remote))]
    }

    /// The listener for an endpoint of the host: one on that very address before one on every address.
    func listener(_ local: IPEndpoint) -> LabTCPListener? {
        guard let listeners = listeners[local.port] else { return nil }
        let isIPv6 = local.address.isIPv6
        return listeners.first { $0.local.address == local.address }
            ?? listeners.first { $0.local.address.isUnspecified && $0.local.address.isIPv6 == isIPv6 }
    }

    mutating func add(_ connection: LabTCPConnection) {
        connections[Pair(local: EndpointKey(connection.local), remote: EndpointKey(connection.remote))] = connection
    }

    mutating func remove(_ connection: LabTCPConnection) {
        let pair = Pair(local: EndpointKey(connection.local), remote: EndpointKey(connection.remote))
        if connections[pair] === connection { connections[pair] = nil }
    }

    mutating func add(_ listener: LabTCPListener) {
        listeners[listener.local.port, default: []].append(listener)
    }

    mutating func remove(_ listener: LabTCPListener) {
        guard var others = listeners.removeValue(forKey: listener.local.port) else { return }
        others.removeAll { $0 === listener }
        if !others.isEmpty { listeners[listener.local.port] = others }
    }

    mutating func dismantle() {
        for connection in connections.values { connection.onEvent = nil }
        connections.removeAll()
        for sockets in listeners.values {
            for listener in sockets { listener.onAccept = nil }
        }
        listeners.removeAll()
    }
}

/// A TCP listener of a simulated host.
package final class LabTCPListener {
    /// Where it is bound; the address may be unspecified.
    package let local: IPEndpoint
    /// Called with each new connection; its events are to be asked for at once.
    package var onAccept: ((LabTCPConnection) -> Void)?

    private unowned let host: LabHost
    private var isOpen = true

    init(local: IPEndpoint, host: LabHost) {
        self.local = local
        self.host = host
    }

    /// Takes no further connections; what comes is refused.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        onAccept = nil
        host.tcp.remove(self)
    }

    func accept(_ connection: LabTCPConnection) {
        guard isOpen, let onAccept else { return connection.abort() }
        onAccept(connection)
    }
}

extension LabHost {
    /// Listens; nil when the address is not this host's or another listener has it.
    package func listen(_ local: IPEndpoint) -> LabTCPListener? {
        guard local.address.isUnspecified || owns(local.address), tcp.listeners.count < socketLimit else { return nil }
        var bound = local
        if local.port == 0 {
            guard let port = ephemeralPort({ tcp.listeners[$0] == nil }) else { return nil }
            bound.port = port
        } else if tcp.listeners[local.port]?.contains(where: { $0.local.address == local.address }) == true {
            return nil
        }
        let listener = LabTCPListener(local: bound, host: self)
        tcp.add(listener)
        return listener
    }

    /// Listens on every IPv4 address; port 0 lets the host choose.
    package func listen(port: UInt16 = 0) -> LabTCPListener? {
        listen(IPEndpoint(.v4(0), port))
    }

    /// Begins a connection from a port that others may share; port 0 lets the host choose.
    ///
    /// `addressUnavailable` when the address is not this host's, or it has a connection of that very pair of endpoints.
    package func connect(
        from local: IPEndpoint = IPEndpoint(.v4(0), 0),
        to remote: IPEndpoint
    ) -> Result<LabTCPConnection, LabSocketFailure> {
        var bound = local
        if local.address.isUnspecified {
            guard let address = sourceAddress(for: remote.address) else {
                return .failure(LabSocketFailure(end: .unreachable))
            }
            bound.address = address
        }
        guard owns(bound.address), bound.address.isIPv6 == remote.address.isIPv6,
            tcp.connections.count < socketLimit
        else { return .failure(LabSocketFailure(end: .addressUnavailable)) }
        if local.port == 0 {
            let free = ephemeralPort { port in
                tcp.listeners[port] == nil && tcp.connection(IPEndpoint(bound.address, port), remote) == nil
            }
            guard let free else { return .failure(LabSocketFailure(end: .addressUnavailable)) }
            bound.port = free
        }
        guard tcp.connection(bound, remote) == nil else {
            return .failure(LabSocketFailure(end: .addressUnavailable))
        }
        guard owns(remote.address) || routes.lookup(remote.address) != nil else {
            return .failure(LabSocketFailure(end: .unreachable))
        }
        let connection = LabTCPConnection(local: bound, remote: remote, host: self, answering: nil)
        tcp.add(connection)
        connection.start()
        return .success(connection)
    }

    func receive(_ segment: LabSegment, _ packet: LabPacket) {
        if let connection = tcp.connection(packet.destination, packet.source) { return connection.take(segment) }
        if segment.flags.contains(.syn), !segment.flags.contains(.ack), !segment.flags.contains(.rst),
            let listener = tcp.listener(packet.destination), tcp.connections.count < socketLimit
        {
            let connection = LabTCPConnection(
                local: packet.destination,
                remote: packet.source,
                host: self,
                answering: segment
            )
            connection.listener = listener
            tcp.add(connection)
            return connection.start()
        }
        lab.drop(packet, at: self, .portClosed)
        guard answersClosedPorts, !segment.flags.contains(.rst) else { return }
        output(.reset(answering: segment, of: packet))
    }

    func receiveTCP(_ error: LabICMPError) {
        tcp.connection(error.source, error.destination)?.take(error)
    }

    func output(_ segment: LabSegment, from local: IPEndpoint, to remote: IPEndpoint) {
        var packet = LabPacket(from: local, to: remote, .tcp(segment))
        packet.timeToLive = timeToLive
        output(packet)
    }

    func maximumSegmentSize(to remote: IPAddress) -> Int {
        let mtu = routes.lookup(remote).map { interfaces[$0.interface].link.configuration.mtu } ?? 1500
        return max(88, mtu - (remote.isIPv6 ? 60 : 40))
    }
}

extension LabPacket {
    /// The RST that answers a segment which no connection takes (RFC 9293 section 3.10.7.1).
    static func reset(answering segment: LabSegment, of packet: LabPacket) -> LabPacket {
        let answer =
            segment.flags.contains(.ack)
            ? LabSegment(sequence: segment.acknowledgment, flags: .rst)
            : LabSegment(
                sequence: 0,
                acknowledgment: segment.sequence &+ segment.sequenceLength,
                flags: [.rst, .ack]
            )
        return LabPacket(from: packet.destination, to: packet.source, .tcp(answer))
    }
}
