// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

extension Lab {
    /// What was recorded as a Mermaid sequence diagram: hosts and boxes take part, plain routers are passed over.
    ///
    /// At most `limit` lines; how many are left out is said at the end.
    package func mermaid(limit: Int = 500) -> String {
        var diagram = SequenceDiagram(self, limit: limit)
        for entry in trace?.entries ?? [] { diagram.add(entry) }
        return diagram.text()
    }
}

/// Builds the lines of a diagram.
private struct SequenceDiagram {
    private let names: [String]
    private let isPassedOver: [Bool]
    private let limit: Int
    private var used: Set<Int> = []
    private var lines: [String] = []
    private var missed = 0
    /// Who sent what is now at a plain router.
    private var origins: [UInt32: Int] = [:]

    init(_ lab: Lab, limit: Int) {
        names = lab.nodes.map(\.name)
        isPassedOver = lab.nodes.map { $0 is LabRouter && !($0 is LabNAT) }
        self.limit = limit
    }

    mutating func add(_ entry: LabTrace.Entry) {
        let packet = entry.packet
        switch entry.outcome {
        case .crossed(_, let from, let to, _):
            if isPassedOver[to] {
                if !isPassedOver[from] { origins[packet.number] = from }
            } else if !isPassedOver[from] {
                append("n\(from)->>n\(to): \(text(packet, at: entry.at))", [from, to])
            } else if let origin = origins[packet.number] {
                append("n\(origin)->>n\(to): \(text(packet, at: entry.at))", [origin, to])
            } else {
                append("Note over n\(to): from \(names[from]): \(text(packet, at: entry.at))", [to])
            }
        case .dropped(let node, let reason):
            if isPassedOver[node] {
                guard let origin = origins[packet.number] else { return }
                let place = "✗ \(reason.rawValue) at \(names[node])"
                append("Note over n\(origin): \(place): \(text(packet, at: entry.at))", [origin])
            } else {
                append("Note over n\(node): ✗ \(reason.rawValue): \(text(packet, at: entry.at))", [node])
            }
        }
    }

    func text() -> String {
        var all = ["sequenceDiagram"]
        for node in used.sorted() { all.append("    participant n\(node) as \(names[node])") }
        all += lines.map { "    " + $0 }
        if missed > 0, let first = used.min() { all.append("    Note over n\(first): \(missed) more") }
        return all.joined(separator: "\n") + "\n"
    }

    private mutating func append(_ line: String, _ nodes: [Int]) {
        guard lines.count < limit else {
            missed += 1
            return
        }
        used.formUnion(nodes)
        lines.append(line)
    }

    private func text(_ packet: LabPacket, at time: Instant) -> String {
        "\(milliseconds(time)) \(packet)"
    }

    private func milliseconds(_ time: Instant) -> String {
        let tenths = time.nanoseconds / 100_000
        return "\(tenths / 10).\(tenths % 10) ms"
    }
}

extension LabPacket: CustomStringConvertible {
    /// `UDP 192.168.1.2:5000 → 203.0.113.10:3478, 20 bytes`, on one line.
    package var description: String {
        switch content {
        case .udp(let bytes): "UDP \(source) → \(destination), \(bytes.count) bytes" + lifetime
        case .tcp(let segment): "TCP \(segment.flags) \(source) → \(destination)" + Self.count(segment) + lifetime
        case .icmp(let error):
            "ICMP \(error.kind.name) \(source.address) → \(destination.address), about \(error.source) → "
                + "\(error.destination)"
        }
    }

    private var lifetime: String { timeToLive < 16 ? ", TTL \(timeToLive)" : "" }

    private static func count(_ segment: LabSegment) -> String {
        segment.payload.isEmpty ? "" : ", \(segment.payload.count) bytes"
    }
}

extension LabSegment.Flags: CustomStringConvertible {
    /// `SYN-ACK`, `RST`, `ACK` …
    package var description: String {
        var names: [String] = []
        if contains(.syn) { names.append("SYN") }
        if contains(.fin) { names.append("FIN") }
        if contains(.rst) { names.append("RST") }
        if contains(.ack), names != ["RST"] { names.append("ACK") }
        return names.joined(separator: "-")
    }
}

extension SocketRefusal.Kind {
    fileprivate var name: String {
        switch self {
        case .timeExceeded: "time exceeded"
        case .portUnreachable: "port unreachable"
        case .hostUnreachable: "host unreachable"
        case .prohibited: "prohibited"
        case .tooBig(let mtu): "too big, MTU \(mtu)"
        }
    }
}
