// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTraversal

/// A host that forwards packets by its routes.
package class LabRouter: LabHost {
    /// Whether it tells the sender when a packet's time to live ends or no way is known.
    package var sendsICMP = true
    /// Which packets of others it loses without a word, by their source and destination.
    package var loses: ((IPEndpoint, IPEndpoint) -> Bool)?

    override func receive(_ packet: LabPacket, on interface: Int) {
        if packet.destination.address.isMulticast || owns(packet.destination.address) {
            input(packet, interface: interface)
        } else if let aged = aged(packet, from: interface) {
            forward(aged)
        }
    }

    /// The packet with one less to live; nil, and the sender told, when that was its last.
    final func aged(_ packet: LabPacket, from interface: Int) -> LabPacket? {
        guard packet.timeToLive > 1 else {
            lab.drop(packet, at: self, .timeToLive)
            if sendsICMP {
                report(
                    .timeExceeded,
                    about: packet,
                    from: interfaces[interface].address(isIPv6: packet.source.address.isIPv6)
                )
            }
            return nil
        }
        var aged = packet
        aged.timeToLive -= 1
        return aged
    }

    /// Sends a packet of others on.
    final func forward(_ packet: LabPacket) {
        if let loses, loses(packet.source, packet.destination) { return lab.drop(packet, at: self, .lost) }
        guard let way = routes.lookup(packet.destination.address) else {
            lab.drop(packet, at: self, .noRoute)
            if sendsICMP { report(.hostUnreachable, about: packet) }
            return
        }
        send(packet, through: way.interface, next: way.gateway ?? packet.destination.address)
    }
}
