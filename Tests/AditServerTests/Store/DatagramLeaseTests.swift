// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditServer
import AditTunnel
import NIOCore
import Testing

@Suite("Leases of ports of UDP")
struct DatagramLeaseTests {
    private let target = "localhost:25565"

    @Test("a port of UDP is another than the port of TCP with its number")
    func apart() async throws {
        let test = try TestStore()
        _ = try await test.admit(1, named: "nas")
        _ = try await test.admit(2, named: "mei")
        for (device, kind) in [(1, PortKind.tcp), (2, .udp)] {
            try await test.store.keepPort(
                20_000,
                kinds: [kind],
                device: TestStore.key(device),
                target: target,
                at: test.now,
                on: test.loop
            ).get()
        }
        let leases = try await test.store.portLeases(on: test.loop).get()
        #expect(
            Set(leases.map { PublicPort($0.kind, $0.port) }) == [PublicPort(.tcp, 20_000), PublicPort(.udp, 20_000)]
        )
        #expect(Set(leases.map(\.device)).count == 2)
    }

    @Test("a game comes back to a port that it had for both, and to no other")
    func game() async throws {
        let test = try TestStore()
        _ = try await test.admit(1, named: "nas")
        let key = TestStore.key(1)
        let keeps: [(UInt16, [PortKind])] = [(20_001, [.tcp]), (20_002, [.tcp, .udp]), (20_003, [.udp])]
        for (port, kinds) in keeps {
            try await test.store.keepPort(
                port,
                kinds: kinds,
                device: key,
                target: target,
                at: test.now,
                on: test.loop
            ).get()
        }
        func sticky(_ kinds: [PortKind]) async throws -> [UInt16] {
            try await test.store.stickyPorts(device: key, target: target, kinds: kinds, on: test.loop).get()
        }
        #expect(try await sticky([.tcp, .udp]) == [20_002])
        #expect(try await sticky([.tcp]) == [20_001, 20_002])
        #expect(try await sticky([.udp]) == [20_002, 20_003])
    }
}
