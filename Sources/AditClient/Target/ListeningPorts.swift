// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// A TCP port on which something of this machine listens.
package struct ListeningPort: Hashable, Sendable {
    /// The address it listens on, unspecified when on all of them.
    package var endpoint: IPEndpoint
    /// The name of the process; nil when this user may not see it.
    package var process: String?

    /// Makes one from its parts.
    package init(_ endpoint: IPEndpoint, process: String? = nil) {
        self.endpoint = endpoint
        self.process = process
    }
}

/// Reads the listening TCP ports of this machine from Linux's /proc (proc(5)).
package enum ListeningPorts {
    /// A row of /proc/net/tcp or tcp6 whose state is LISTEN.
    struct Row: Hashable, Sendable {
        var endpoint: IPEndpoint
        var inode: UInt64
    }

    /// What listens now, one entry for each port, lowest first; at most 1024 rows of each table are read.
    package static func read() -> [ListeningPort] {
        var rows: [Row] = []
        for name in ["/proc/net/tcp", "/proc/net/tcp6"] {
            if let text = SmallFile.text(at: name, limit: 1 << 20) { rows += parse(text) }
        }
        let names = processNames(of: Set(rows.map(\.inode)))
        return merge(rows, names: names)
    }

    /// Whether something of this machine has a port of UDP open; nil when that cannot be known.
    package static func hasUDP(_ port: UInt16) -> Bool? {
        let texts = ["/proc/net/udp", "/proc/net/udp6"].compactMap { SmallFile.text(at: $0, limit: 1 << 20) }
        return texts.isEmpty ? nil : texts.contains { hasUDP(port, in: $0) }
    }

    /// Whether the text of /proc/net/udp or /proc/net/udp6 has a row with this local port that is not connected.
    static func hasUDP(_ port: UInt16, in text: String) -> Bool {
        let digits = Hexadecimal.encode([UInt8(port >> 8), UInt8(port & 255)]).uppercased()
        return text.split(separator: "\n").dropFirst().contains { line in
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            return fields.count > 3 && fields[1].hasSuffix(":" + digits) && fields[3] == "07"
        }
    }

    /// The LISTEN rows of the text of /proc/net/tcp or /proc/net/tcp6; lines of any other shape are passed over.
    static func parse(_ text: String) -> [Row] {
        var rows: [Row] = []
        for line in text.split(separator: "\n").dropFirst() where rows.count < 1024 {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            guard fields.count > 9, fields[3] == "0A", let inode = UInt64(fields[9]),
                let endpoint = endpoint(fields[1])
            else { continue }
            rows.append(Row(endpoint: endpoint, inode: inode))
        }
        return rows
    }

    /// One entry for each port: the widest address it listens on, with the process name where known.
    static func merge(_ rows: [Row], names: [UInt64: String]) -> [ListeningPort] {
        var ports: [UInt16: ListeningPort] = [:]
        for row in rows {
            let candidate = ListeningPort(row.endpoint, process: names[row.inode])
            guard let present = ports[row.endpoint.port] else {
                ports[row.endpoint.port] = candidate
                continue
            }
            if breadth(candidate.endpoint.address) > breadth(present.endpoint.address) {
                ports[row.endpoint.port] = candidate
            } else if present.process == nil {
                ports[row.endpoint.port]?.process = candidate.process
            }
        }
        return ports.values.sorted { $0.endpoint.port < $1.endpoint.port }
    }

    private static func breadth(_ address: IPAddress) -> Int {
        address.isUnspecified ? 2 : address.isLoopback ? 1 : 0
    }

    /// An address is written as the hexadecimal digits of its 32-bit words in the machine's byte order.
    private static func endpoint(_ text: Substring) -> IPEndpoint? {
        let parts = text.split(separator: ":")
        guard parts.count == 2, parts[1].utf8.count == 4, let port = UInt16(parts[1], radix: 16) else { return nil }
        guard let bytes = Hexadecimal.decode(String(parts[0])), bytes.count == 4 || bytes.count == 16 else {
            return nil
        }
        var words: [UInt32] = []
        for start in stride(from: 0, to: bytes.count, by: 4) {
            let word = bytes[start..<start + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            words.append(UInt32(bigEndian: word.littleEndian))
        }
        if words.count == 1 { return IPEndpoint(.v4(words[0]), port) }
        let high = UInt64(words[0]) << 32 | UInt64(words[1])
        let low = UInt64(words[2]) << 32 | UInt64(words[3])
        return IPEndpoint(IPAddress.v6(high: high, low: low).unmapped, port)
    }

    /// Finds the process of each socket among those whose descriptors this user may read.
    private static func processNames(of inodes: Set<UInt64>) -> [UInt64: String] {
        var names: [UInt64: String] = [:]
        var looked = 0
        for process in SmallFile.entries(of: "/proc") where process.utf8.allSatisfy({ (48...57).contains($0) }) {
            for descriptor in SmallFile.entries(of: "/proc/\(process)/fd") {
                looked += 1
                guard looked < 100_000, names.count < inodes.count else { return names }
                guard let link = SmallFile.destination(ofLinkAt: "/proc/\(process)/fd/\(descriptor)"),
                    link.hasPrefix("socket:["),
                    let inode = UInt64(link.dropFirst(8).dropLast()), inodes.contains(inode), names[inode] == nil,
                    let name = SmallFile.text(at: "/proc/\(process)/comm", limit: 64)
                else { continue }
                names[inode] = String(name.prefix { $0 != "\n" })
            }
        }
        return names
    }
}
