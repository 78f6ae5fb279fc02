// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Where a capture listens.
package enum LabCapturePoint: Sendable, Hashable {
    /// On every link, as a packet leaves a node: it is seen once for each hop.
    case everywhere
    /// On one link.
    case link(Int)
    /// At one node, what it sends and what reaches it.
    case node(Int)
}

extension Lab {
    /// What was recorded as a pcap file with nanoseconds and raw IP packets, as tcpdump and Wireshark read it.
    ///
    /// Empty but for its header unless ``record(limit:)`` was called before.
    package func pcap(_ point: LabCapturePoint = .everywhere) -> [UInt8] {
        var seen: [(at: Int64, packet: LabPacket)] = []
        for entry in trace?.entries ?? [] {
            switch (entry.outcome, point) {
            case (.crossed, .everywhere): seen.append((entry.at.nanoseconds, entry.packet))
            case (.crossed(let link, _, _, _), .link(let wanted)) where link == wanted:
                seen.append((entry.at.nanoseconds, entry.packet))
            case (.crossed(_, let from, let to, let arrival), .node(let wanted)):
                if from == wanted { seen.append((entry.at.nanoseconds, entry.packet)) }
                if to == wanted { seen.append((arrival.nanoseconds, entry.packet)) }
            case (.dropped(let node, let reason), .node(let wanted)) where node == wanted && reason.isOnLink:
                seen.append((entry.at.nanoseconds, entry.packet))
            default: break
            }
        }
        // A stable order for equal times, whatever the sort does.
        let order = seen.indices.sorted { (seen[$0].at, $0) < (seen[$1].at, $1) }
        var bytes: [UInt8] = []
        for number in [0xA1B2_3C4D, 0x0002_0004, 0, 0, 262_144, 101] as [UInt32] { bytes.appendBigEndian(number) }
        for index in order {
            for packet in seen[index].packet.wireBytes() {
                bytes.appendBigEndian(UInt32(truncatingIfNeeded: seen[index].at / 1_000_000_000))
                bytes.appendBigEndian(UInt32(seen[index].at % 1_000_000_000))
                bytes.appendBigEndian(UInt32(packet.count))
                bytes.appendBigEndian(UInt32(packet.count))
                bytes += packet
            }
        }
        return bytes
    }
}

extension LabDropReason {
    /// Whether the packet had left its node.
    var isOnLink: Bool {
        switch self {
        case .lost, .queueFull, .linkDown, .noHost: true
        default: false
        }
    }
}
