// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// A wire between two nodes, or a network segment of several.
package final class LabLink {
    /// Where a node is attached, and the state of what it sends.
    struct Attachment {
        unowned let node: LabHost
        let interface: Int
        /// The addresses of that interface.
        var addresses: [AddressKey] = []
        /// Until when what it sent before occupies a link with a rate.
        var busyUntil: Int64 = 0
        /// When the last packet of those that keep their order arrives.
        var lastArrival: Int64 = 0
    }

    /// Its name.
    package let name: String
    /// Its number in the lab.
    package let index: Int
    /// What it does to packets; it may be changed while the lab runs.
    package var configuration: LinkConfiguration
    /// Whether it carries anything.
    package var isUp = true
    /// How many packets it was given.
    package private(set) var offeredCount = 0
    /// How many of them it lost.
    package private(set) var lostCount = 0
    /// The names of the nodes at its ends.
    package var nodeNames: [String] { attachments.map(\.node.name) }

    private(set) var attachments: [Attachment] = []
    private var random: SeededGenerator
    private unowned let lab: Lab

    init(_ name: String, index: Int, _ configuration: LinkConfiguration, _ lab: Lab) {
        self.name = name
        self.index = index
        self.configuration = configuration
        self.lab = lab
        random = lab.seed.generator(for: 1 << 32 | UInt64(index))
    }

    func attach(_ node: LabHost, interface: Int) -> Int {
        attachments.append(Attachment(node: node, interface: interface))
        return attachments.count - 1
    }

    func setAddresses(_ addresses: [AddressKey], of attachment: Int) {
        attachments[attachment].addresses = addresses
    }

    /// Carries a packet to the node that has the address `next`, or to every other one when it is a multicast group.
    func transmit(_ packet: LabPacket, from sender: Int, next: IPAddress) {
        offeredCount += 1
        let node = attachments[sender].node
        guard isUp else { return lab.drop(packet, at: node, .linkDown) }
        if next.isMulticast {
            for receiver in attachments.indices where receiver != sender { carry(packet, from: sender, to: receiver) }
            return
        }
        let key = AddressKey(next)
        for receiver in attachments.indices where receiver != sender {
            for address in attachments[receiver].addresses where address == key {
                return carry(packet, from: sender, to: receiver)
            }
        }
        lab.drop(packet, at: node, .noHost)
    }

    func arrive(_ packet: LabPacket, at receiver: Int) {
        let attachment = attachments[receiver]
        attachment.node.receive(packet, on: attachment.interface)
    }

    private func carry(_ packet: LabPacket, from sender: Int, to receiver: Int) {
        let fragments = packet.fragmentCount
        if configuration.loss > 0 {
            for _ in 0..<fragments where random.nextFraction() < configuration.loss {
                lostCount += 1
                return lab.drop(packet, at: attachments[sender].node, .lost)
            }
        }
        let now = lab.now.nanoseconds
        var start = now
        if let rate = configuration.rate, rate > 0 {
            let bytes = packet.length + (fragments - 1) * packet.headerLength
            let waiting = max(0, attachments[sender].busyUntil - now)
            guard Double(waiting) * Double(rate) / 8e9 <= Double(configuration.queueLimit) else {
                return lab.drop(packet, at: attachments[sender].node, .queueFull)
            }
            start = max(now, attachments[sender].busyUntil) + Int64(Double(bytes) * 8e9 / Double(rate))
            attachments[sender].busyUntil = start
        }
        deliver(packet, from: sender, to: receiver, start: start)
        if configuration.duplication > 0, random.nextFraction() < configuration.duplication {
            deliver(packet, from: sender, to: receiver, start: start)
        }
    }

    private func deliver(_ packet: LabPacket, from sender: Int, to receiver: Int, start: Int64) {
        var arrival = start + configuration.latency.wholeNanoseconds
        if configuration.jitter > .zero {
            arrival += Int64(random.nextFraction() * Double(configuration.jitter.wholeNanoseconds))
        }
        if configuration.reordering > 0, random.nextFraction() < configuration.reordering {
            arrival += configuration.reorderingDelay.wholeNanoseconds
        } else {
            arrival = max(arrival, attachments[sender].lastArrival)
            attachments[sender].lastArrival = arrival
        }
        lab.trace?.crossed(
            packet,
            link: index,
            from: attachments[sender].node.index,
            to: attachments[receiver].node.index,
            at: lab.now,
            arrival: Instant(nanoseconds: arrival)
        )
        lab.push(.arrival, packet, target: index, part: receiver, at: arrival)
    }
}
