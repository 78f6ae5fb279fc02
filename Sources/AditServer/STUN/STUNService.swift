// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditTransport
import AditTraversal
import AditWire
import NIOCore

/// The STUN server inside `adit server`: its sockets, and what it tells of itself.
///
/// Datagrams are answered on a thread of their own, connections on the event loops. Two ports are opened on each address,
/// and a socket that is bound to every address answers from the one that was asked, so that the four sockets of RFC 5780 need
/// no more than the machine has addresses for.
final class STUNService: Sendable {
    private let lane: DatagramLane
    private let datagrams: STUNDatagrams
    let streams: STUNStreams
    private let listeners: [any Channel]
    private let addresses: STUNAddresses
    /// The port of UDP and TCP.
    let port: UInt16
    /// The second one; 0 for none.
    let alternatePort: UInt16
    /// The port of TLS; 0 for none.
    let tlsPort: UInt16

    init(
        lane: DatagramLane,
        datagrams: STUNDatagrams,
        streams: STUNStreams,
        listeners: [any Channel],
        addresses: STUNAddresses,
        ports: (first: UInt16, alternate: UInt16, tls: UInt16)
    ) {
        self.lane = lane
        self.datagrams = datagrams
        self.streams = streams
        self.listeners = listeners
        self.addresses = addresses
        port = ports.first
        alternatePort = ports.alternate
        tlsPort = ports.tls
    }

    /// Closes everything; to be called once.
    func stop() {
        for listener in listeners { listener.close(promise: nil) }
        lane.stop()
        streams.stop()
    }

    /// What a device that came from there is told.
    func offer(to device: IPAddress?) -> STUNOffer {
        let pair = device.map { $0.unmapped.isIPv4 ? addresses.v4 : addresses.v6 } ?? addresses.v4
        return STUNOffer(
            port: port,
            tlsPort: tlsPort,
            alternatePort: alternatePort,
            alternateAddress: pair?.alternate?.announced
        )
    }

    /// What `adit server status` tells.
    var status: ServerStatus.STUN {
        let (udp, tcp) = (datagrams.current, streams.current)
        let sum = { (path: KeyPath<STUNCounters, Int>) in udp.counters[keyPath: path] + tcp.counters[keyPath: path] }
        return ServerStatus.STUN(
            port: port,
            alternatePort: alternatePort == 0 ? nil : alternatePort,
            tlsPort: tlsPort == 0 ? nil : tlsPort,
            alternateAddresses: [addresses.v4, addresses.v6].compactMap { $0?.alternate?.announced.description },
            requests: sum(\.received),
            answered: sum(\.answered),
            refused: sum(\.refused),
            limited: sum(\.limited),
            ignored: sum(\.ignored) + sum(\.malformed),
            lost: udp.lost,
            connections: tcp.connections,
            refusedConnections: tcp.refusedConnections
        )
    }
}
