// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

extension LabTrace {
    /// Every entry as a line: milliseconds, from where to where, the packet, and what became of it.
    package func lines(nodeName: (Int) -> String) -> [String] {
        entries.map { entry in
            let time = Self.milliseconds(entry.at.nanoseconds)
            switch entry.outcome {
            case .crossed(_, let from, let to, let arrival):
                let arrived = Self.milliseconds(arrival.nanoseconds)
                return "\(time)  \(nodeName(from)) > \(nodeName(to))  \(entry.packet.words)  at \(arrived)"
            case .dropped(let node, let reason):
                return "\(time)  \(nodeName(node)) x  \(entry.packet.words)  \(reason.rawValue)"
            }
        }
    }

    private static func milliseconds(_ nanoseconds: Int64) -> String {
        let microseconds = nanoseconds / 1000
        let fraction = String(microseconds % 1000)
        return "\(microseconds / 1000)." + String(repeating: "0", count: 3 - fraction.count) + fraction
    }
}

extension LabPacket {
    /// The packet on one line, much like tcpdump shows it.
    package var words: String {
        switch content {
        case .udp(let bytes): "\(source) -> \(destination) UDP \(bytes.count)"
        case .tcp(let segment): "\(source) -> \(destination) TCP \(segment.flags.words) \(segment.payload.count)"
        case .icmp(let error):
            "\(source.address) -> \(destination.address) ICMP \(error.kind) \(error.source) -> \(error.destination)"
        }
    }
}

extension LabSegment.Flags {
    fileprivate var words: String {
        let names: [(LabSegment.Flags, String)] = [
            (.syn, "SYN"), (.fin, "FIN"), (.rst, "RST"), (.psh, "PSH"), (.ack, "ACK"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: "+")
    }
}
