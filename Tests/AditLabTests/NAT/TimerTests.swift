// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// How long mappings live (RFC 4787 section 4.3).
@Suite struct TimerTests {
    /// Sends every `interval` in one direction for a minute, then asks whether the first mapping still lets in.
    private func survives(_ timers: NATTimers, interval: Duration, outbound: Bool) throws -> Bool {
        try Lab.play(seed: 3) { lab in
            var configuration = NATConfiguration(.endpointIndependent, .endpointIndependent, .random)
            configuration.udp.timers = timers
            let bench = Bench(lab, configuration)
            let socket = try #require(bench.inside.openUDP())
            let server = try #require(bench.server.openUDP(bench.serverEndpoints[0]))
            let external = Box<IPEndpoint?>(nil)
            server.onDatagram = { _, sender in external.value = external.value ?? sender }
            socket.send([1], to: server.local)
            try lab.run(for: .seconds(1))
            let mapped = try #require(external.value)
            let end = lab.now + .seconds(60)
            while lab.now < end {
                try lab.run(for: interval)
                if outbound { socket.send([1], to: server.local) } else { server.send([2], to: mapped) }
            }
            try lab.run(for: .milliseconds(100))
            return try bench.reaches(socket, at: mapped, from: "203.0.113.11:5000")
        }
    }

    @Test func anIdleMappingIsKeptByPacketsFromInside() throws {
        let timers = NATTimers(idle: .seconds(6))
        #expect(try survives(timers, interval: .seconds(4), outbound: true))
        // By then it is another one, with another port.
        #expect(try survives(timers, interval: .seconds(8), outbound: true) == false)
    }

    @Test func packetsFromOutsideKeepAMappingOnlyWhereTheyCount() throws {
        #expect(try survives(NATTimers(idle: .seconds(6)), interval: .seconds(4), outbound: false))
        let strict = NATTimers(idle: .seconds(6), inboundRefreshes: false)
        #expect(try survives(strict, interval: .seconds(4), outbound: false) == false)
        #expect(try survives(strict, interval: .seconds(4), outbound: true))
    }

    @Test func nothingKeepsAMappingBeyondAnAbsoluteLifetime() throws {
        try Lab.play(seed: 3) { lab in
            var configuration = NATConfiguration(.endpointIndependent, .endpointIndependent, .random)
            configuration.udp.timers = .absolute(.seconds(50))
            let bench = Bench(lab, configuration)
            let socket = try #require(bench.inside.openUDP())
            let server = try #require(bench.server.openUDP(bench.serverEndpoints[0]))
            let ports = Box<[UInt16]>([])
            server.onDatagram = { _, sender in if ports.value.last != sender.port { ports.value.append(sender.port) } }
            for _ in 0..<130 {
                socket.send([1], to: server.local)
                try lab.run(for: .seconds(1))
            }
            #expect(ports.value.count == 3)
        }
    }

    @Test func aSymmetricMappingIsAnotherAfterItsTime() throws {
        try Lab.play(seed: 9) { lab in
            var configuration = NATConfiguration(.addressAndPortDependent, .addressAndPortDependent, .random)
            configuration.udp.timers = NATTimers(idle: .seconds(6))
            let bench = Bench(lab, configuration)
            let socket = try #require(bench.inside.openUDP())
            let first = try bench.mapped(socket)
            let same = try bench.mapped(socket)
            try lab.run(for: .seconds(7))
            let later = try bench.mapped(socket)
            #expect(first == same)
            #expect(Set(first.map(\.?.port)).isDisjoint(with: later.map(\.?.port)))
        }
    }

    @Test func aConnectionOutlivesTheTransitoryTimeAndASYNDoesNot() throws {
        try Lab.play(seed: 4) { lab in
            var configuration = NATConfiguration(.endpointIndependent, .addressAndPortDependent)
            configuration.tcp.timers = NATTimers(idle: .seconds(7440), transitory: .seconds(30))
            let bench = Bench(lab, configuration)
            let listener = try #require(bench.server.listen(port: webPort))
            let accepted = Box<LabTCPConnection?>(nil)
            listener.onAccept = { accepted.value = $0 }
            let remote = IPEndpoint(bench.serverEndpoints[0].address, 80)
            let connection = try bench.inside.connect(to: remote).get()
            let got = Box<[UInt8]>([])
            connection.onEvent = { if case .bytes(let bytes) = $0 { got.value += bytes } }
            try lab.run(for: .seconds(3600))
            accepted.value?.write([5])
            try lab.run(for: .seconds(1))
            #expect(got.value == [5])
            bench.server.answersClosedPorts = false
            _ = bench.inside.connect(to: IPEndpoint(remote.address, 81))
            try lab.run(for: .seconds(1))
            #expect(bench.box.mappings(.tcp).count == 2)
            try lab.run(for: .seconds(200))
            #expect(bench.box.mappings(.tcp).count == 1)
        }
    }
}
