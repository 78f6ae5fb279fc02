// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// Runs as pcap files and as diagrams.
@Suite struct CaptureTests {
    /// A datagram that passes, one that is filtered, one that dies on the way, and one too big for a link.
    private func story(_ lab: Lab) throws {
        lab.record()
        let bench = Bench(lab, NATConfiguration(.endpointIndependent, .addressAndPortDependent))
        bench.server.allowsFragments = true
        let socket = try #require(bench.inside.openUDP(port: 5000))
        let server = try #require(bench.server.openUDP(bench.serverEndpoints[0]))
        server.onDatagram = { [unowned server] _, sender in server.send([4, 5], to: sender) }
        socket.send([1, 2, 3], to: server.local)
        try lab.run(for: .milliseconds(100))
        let stranger = try #require(bench.server.openUDP(bench.serverEndpoints[2]))
        stranger.send([9], to: endpoint("198.51.100.2:5000"))
        socket.send([6], to: server.local, timeToLive: 2)
        try lab.run(for: .milliseconds(100))
        lab.links[2].configuration.mtu = 600
        socket.send([UInt8](repeating: 7, count: 1000), to: server.local)
        try lab.run(for: .milliseconds(100))
    }

    @Test func aDiagramShowsWhoSentWhatAndWhyItEnded() throws {
        let diagram = try Lab.play(seed: 1) { lab in
            try story(lab)
            return lab.mermaid()
        }
        #expect(
            diagram.hasPrefix(
                """
                sequenceDiagram
                    participant n0 as inside
                    participant n2 as box
                    participant n4 as server
                    n0->>n2: 0.0 ms UDP 192.168.1.2:5000 → 203.0.113.10:3478, 3 bytes
                    n2->>n4: 5.2 ms UDP 198.51.100.2:5000 → 203.0.113.10:3478, 3 bytes
                    n4->>n2: 15.2 ms UDP 203.0.113.10:3478 → 198.51.100.2:5000, 2 bytes
                    n2->>n0: 20.2 ms UDP 203.0.113.10:3478 → 192.168.1.2:5000, 2 bytes
                    n0->>n2: 100.0 ms UDP 192.168.1.2:5000 → 203.0.113.10:3478, 1 bytes, TTL 2
                    n4->>n2: 105.0 ms UDP 203.0.113.11:3478 → 198.51.100.2:5000, 1 bytes
                    Note over n2: ✗ TTL at core: 105.2 ms UDP 198.51.100.2:5000 → 203.0.113.10:3478, 1 bytes, TTL 1
                    Note over n2: from core: 105.2 ms ICMP time exceeded 198.51.100.1 → 198.51.100.2, about \
                198.51.100.2:5000 → 203.0.113.10:3478
                    Note over n2: ✗ filtered: 110.0 ms UDP 203.0.113.11:3478 → 198.51.100.2:5000, 1 bytes
                    n2->>n0: 110.2 ms ICMP time exceeded 198.51.100.1 → 192.168.1.2, about 192.168.1.2:5000 → \
                203.0.113.10:3478
                """
            ),
            "\(diagram)"
        )
    }

    @Test func aDiagramSaysHowMuchItLeavesOut() throws {
        let diagram = try Lab.play(seed: 1) { lab in
            try story(lab)
            return lab.mermaid(limit: 3)
        }
        #expect(diagram.split(separator: "\n").last?.hasSuffix("more") == true)
    }

    @Test func everyPacketInACaptureHasRightChecksumsAndLengths() throws {
        let bytes = try Lab.play(seed: 1) { lab in
            try story(lab)
            let connection = try lab.nodes[0].connect(to: endpoint("203.0.113.10:80")).get()
            _ = connection
            try lab.run(for: .milliseconds(100))
            return lab.pcap()
        }
        let packets = try packets(of: bytes)
        #expect(packets.count > 20)
        var fragments = 0
        for packet in packets {
            #expect(packet[0] == 0x45)
            #expect(Int(packet[2]) << 8 | Int(packet[3]) == packet.count)
            #expect(sum(packet[..<20]) == 0xFFFF)
            let content = packet[20...]
            let flags = UInt16(packet[6]) << 8 | UInt16(packet[7])
            if flags & 0x3FFF != 0 {
                fragments += 1
                continue
            }
            if packet[9] == 1 {
                #expect(sum(content) == 0xFFFF)
            } else {
                let length = content.count
                let pseudo = packet[12..<20] + [0, packet[9], UInt8(length >> 8), UInt8(length & 255)]
                #expect(sum(Array(pseudo) + content) == 0xFFFF)
            }
        }
        #expect(fragments == 2)
    }

    @Test func aNodeSeesWhatItSendsAndWhatReachesIt() throws {
        try Lab.play(seed: 1) { lab in
            try story(lab)
            #expect(try packets(of: lab.pcap(.node(0))).count == 6)
            #expect(try packets(of: lab.pcap(.link(0))).count == 6)
            #expect(try packets(of: lab.pcap(.node(1))).isEmpty)
        }
    }

    @Test func theSameSeedGivesTheSameCaptureOnEveryThreadAndInEveryProcess() async throws {
        @Sendable func capture(_ seed: UInt64) throws -> [UInt8] {
            try Lab.play(seed: seed) { lab in
                let bench = Bench(lab, NATConfiguration(.addressAndPortDependent, .addressAndPortDependent, .random))
                for link in lab.links {
                    link.configuration.jitter = .milliseconds(3)
                    link.configuration.loss = 0.1
                    link.configuration.duplication = 0.1
                }
                lab.record()
                let socket = try #require(bench.inside.openUDP())
                _ = try bench.mapped(socket)
                let listener = try #require(bench.server.listen())
                listener.onAccept = { $0.write([UInt8](repeating: 1, count: 20_000)) }
                _ = try bench.inside.connect(to: IPEndpoint(bench.serverEndpoints[0].address, listener.local.port))
                    .get()
                try lab.run(for: .seconds(60))
                return lab.pcap()
            }
        }
        let first = try capture(1)
        #expect(try capture(2) != first)
        let others = try await withThrowingTaskGroup(of: [UInt8].self) { group in
            for _ in 0..<4 { group.addTask { try capture(1) } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(others.allSatisfy { $0 == first })
        // FNV-1a. When it changes, seeds that people noted down tell another story than before.
        let sum = first.reduce(into: UInt64(0xCBF2_9CE4_8422_2325)) { sum, byte in
            sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        #expect(sum == 4_993_918_249_959_569_839)
    }

    private func packets(of bytes: [UInt8]) throws -> [[UInt8]] {
        try #require(bytes.prefix(4) == [0xA1, 0xB2, 0x3C, 0x4D])
        var packets: [[UInt8]] = []
        var offset = 24
        while offset < bytes.count {
            let count = bytes[offset + 8..<offset + 12].reduce(0) { $0 << 8 | Int($1) }
            packets.append(Array(bytes[offset + 16..<offset + 16 + count]))
            offset += 16 + count
        }
        return packets
    }

    private func sum(_ bytes: some Sequence<UInt8>) -> Int {
        var sum = 0
        for (index, byte) in bytes.enumerated() { sum += index % 2 == 0 ? Int(byte) << 8 : Int(byte) }
        while sum > 0xFFFF { sum = sum & 0xFFFF + sum >> 16 }
        return sum
    }
}
