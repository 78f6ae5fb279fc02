// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditWire
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// Datagrams to services.
@Suite("Flows to services", .timeLimit(.minutes(2)))
struct ServiceFlowTests {
    private static let place = ServicePlace(device: "desk", service: "web")

    /// Answers each datagram with its own port of origin and the datagram, so many times.
    private static func answer(_ target: PlainSocket, times: Int) async throws {
        try await PlainSocket.run {
            for _ in 0..<times {
                let (payload, port) = try target.receiveFrom()
                try target.send([UInt8(port >> 8), UInt8(port & 255)] + payload, to: port)
            }
        }
    }

    @Test(arguments: ServiceHouse.Wire.allCases)
    func `each socket of the visitor is one of its own at the target, whatever the size`(
        wire: ServiceHouse.Wire
    ) async throws {
        let target = try PlainSocket.bind(datagrams: true)
        let house = try await ServiceHouse([.at(target.port, .udp)])
        try await house.connect(by: wire)
        let port = try await house.listen(VisitOrder(Self.place, kind: .udp))
        async let echo: Void = Self.answer(target, times: 9)
        let sizes = [0, 1, 1200, 1201, 9000, 60_000]
        let ports = try await PlainSocket.run {
            var ports: Set<UInt16> = []
            let first = try PlainSocket.connect(port, datagrams: true)
            for size in sizes {
                let payload = [UInt8](repeating: UInt8(size & 255), count: size)
                try first.send(payload)
                let got = try first.receive()
                #expect(Array(got.dropFirst(2)) == payload)
                ports.insert(UInt16(got[0]) << 8 | UInt16(got[1]))
            }
            #expect(ports.count == 1)
            let second = try PlainSocket.connect(port, datagrams: true)
            for _ in 0..<3 {
                try second.send([5])
                let got = try second.receive()
                #expect(got.dropFirst(2) == [5])
                ports.insert(UInt16(got[0]) << 8 | UInt16(got[1]))
            }
            first.close()
            second.close()
            return ports
        }
        try await echo
        #expect(ports.count == 2)
        // What fits a packet went beside the stream once the service had accepted.
        if wire == .standIn {
            #expect(try await house.change { ($0.ends?.0.datagrams ?? 0) } > 2)
            #expect(try await house.change { ($0.ends?.1.datagrams ?? 0) } > 2)
        }
        try await house.close()
        let figures = house.news.withLockedValue { $0.compactMap(\.figures) }
        #expect(figures.map(\.datagramsIn).reduce(0, +) == 9 && figures.map(\.datagramsOut).reduce(0, +) == 9)
    }

    @Test func `a flow that is silent ends at both ends`() async throws {
        let target = try PlainSocket.bind(datagrams: true)
        var order = ServiceOrder.at(target.port, .udp)
        order.idleTimeout = .seconds(2)
        let house = try await ServiceHouse([order])
        try await house.connect()
        let port = try await house.listen(VisitOrder(Self.place, kind: .udp))
        async let echo: Void = Self.answer(target, times: 1)
        let client = try await PlainSocket.run {
            let client = try PlainSocket.connect(port, datagrams: true)
            try client.send([1])
            #expect(try client.receive().count == 3)
            return client
        }
        try await echo
        #expect(
            try await house.wait {
                house.news.withLockedValue { $0.count } == 2 && house.visitNews.withLockedValue { $0.count } == 2
            }
        )
        // What one end gets is what the other one gives.
        let came = house.news.withLockedValue { $0.compactMap(\.figures) }
        let visited = house.visitNews.withLockedValue { $0.compactMap(\.figures) }
        #expect(came.map(\.bytesIn) == [1] && came.map(\.bytesOut) == [3])
        #expect(visited.map(\.bytesIn) == [3] && visited.map(\.bytesOut) == [1])
        #expect(visited.map(\.datagramsIn) == [1] && visited.map(\.datagramsOut) == [1])
        // The next datagram is a new flow.
        async let again: Void = Self.answer(target, times: 1)
        try await PlainSocket.run {
            try client.send([2])
            #expect(try client.receive().dropFirst(2) == [2])
            client.close()
        }
        try await again
        try await house.close()
    }

    @Test func `a flow that is not for this device rests, and says so once`() async throws {
        let house = try await ServiceHouse([])
        try await house.connect()
        let port = try await house.listen(VisitOrder(Self.place, kind: .udp))
        let client = try await PlainSocket.run {
            let client = try PlainSocket.connect(port, datagrams: true)
            try client.send([1])
            return client
        }
        #expect(try await house.failure()?.code == .serviceUnknown)
        try await PlainSocket.run { for _ in 0..<50 { try client.send([1]) } }
        client.close()
        try await house.close()
        #expect(house.visitNews.withLockedValue { $0.count } == 1)
    }

    @Test func `both kinds share a port and a service`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        let datagrams = try PlainSocket.bindDatagrams(target.port)
        let house = try await ServiceHouse([.at(target.port, .game)])
        try await house.connect()
        let port = try await house.listen(VisitOrder(Self.place, kind: .both))
        async let echo: Void = Self.answer(datagrams, times: 1)
        try await PlainSocket.run {
            let client = try PlainSocket.connect(port, datagrams: true)
            try client.send([1])
            #expect(try client.receive().dropFirst(2) == [1])
            client.close()
            let connection = try PlainSocket.connect(port)
            try connection.send([4])
            let server = try target.accept()
            #expect(try server.receive() == [4])
            server.close()
            connection.close()
        }
        try await echo
        try await house.close()
    }
}
