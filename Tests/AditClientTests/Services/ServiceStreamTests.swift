// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditWire
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// Connections to services, from a program at one device to a program at the other.
@Suite("Streams to services", .timeLimit(.minutes(2)))
struct ServiceStreamTests {
    private static let web = ServicePlace(device: "desk", service: "web")

    @Test(arguments: ServiceHouse.Wire.allCases)
    func `carries a connection with both of its ends`(wire: ServiceHouse.Wire) async throws {
        let target = try PlainSocket.bind(datagrams: false)
        let house = try await ServiceHouse([.at(target.port)])
        try await house.connect(by: wire)
        let port = try await house.listen(VisitOrder(Self.web))
        let sent = [UInt8]((0..<3_000_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 24) })
        async let answer = PlainSocket.run {
            let client = try PlainSocket.connect(port)
            defer { client.close() }
            try client.send(sent)
            client.endOutput()
            return try client.receiveAll()
        }
        let got = try await PlainSocket.run {
            let server = try target.accept()
            defer { server.close() }
            let got = try server.receiveAll()
            // Its own direction is still open.
            try server.send(got.suffix(1_000_000).reversed())
            return got
        }
        #expect(got == sent)
        #expect(try await answer == sent.suffix(1_000_000).reversed())
        let visitor = ServiceVisitor(service: "web", device: "laptop", kind: .tcp)
        #expect(try await house.wait { house.news.withLockedValue { $0.count } == 2 })
        #expect(house.news.withLockedValue { $0.first } == .came(visitor))
        guard case .left(visitor, let figures)? = house.news.withLockedValue({ $0.last }) else {
            Issue.record("no end was told")
            return
        }
        #expect(figures.bytesIn == 3_000_000 && figures.bytesOut == 1_000_000)
        #expect(try await house.wait { house.visitNews.withLockedValue { $0.count } == 2 })
        let visited = house.visitNews.withLockedValue { $0.compactMap(\.figures) }
        #expect(visited.map(\.bytesIn) == [1_000_000] && visited.map(\.bytesOut) == [3_000_000])
        #expect(try await house.change { $0.desk.streamCount } == 0)
        try await house.close()
    }

    @Test func `a program that connects before there is a connection waits for it`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        let house = try await ServiceHouse([.at(target.port)])
        let port = try await house.listen(VisitOrder(Self.web))
        async let answer = PlainSocket.run {
            let client = try PlainSocket.connect(port)
            defer { client.close() }
            return try client.receiveAll()
        }
        while try await house.change({ $0.peers.asked.isEmpty }) {}
        try await house.connect()
        try await PlainSocket.run {
            let server = try target.accept()
            try server.send([1, 2, 3])
            server.close()
        }
        #expect(try await answer == [1, 2, 3])
        try await house.close()
    }

    @Test func `who waits too long, or too many, are let go`() async throws {
        let house = try await ServiceHouse([])
        var limits = ServiceVisits.Limits()
        limits.patience = .milliseconds(50)
        let port = try await house.listen(VisitOrder(Self.web), limits: limits)
        await #expect(throws: PlainSocket.Failure(number: ECONNRESET)) {
            try await PlainSocket.run { try PlainSocket.connect(port).receive() }
        }
        #expect(try await house.failure()?.code == .noPath)
        var few = ServiceVisits.Limits()
        few.waiting = 0
        let other = try await house.listen(VisitOrder(Self.web), limits: few)
        house.visitNews.withLockedValue { $0 = [] }
        await #expect(throws: PlainSocket.Failure(number: ECONNRESET)) {
            try await PlainSocket.run { try PlainSocket.connect(other).receive() }
        }
        #expect(try await house.failure()?.code == .limitReached)
        try await house.close()
    }

    @Test func `asks for a new connection when the one it had is over`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        let house = try await ServiceHouse([.at(target.port)])
        try await house.connect()
        let port = try await house.listen(VisitOrder(Self.web))
        for round in 0..<2 {
            async let answer = PlainSocket.run {
                let client = try PlainSocket.connect(port)
                defer { client.close() }
                return try client.receiveAll()
            }
            try await PlainSocket.run {
                let server = try target.accept()
                try server.send([UInt8(round)])
                server.close()
            }
            #expect(try await answer == [UInt8(round)])
            guard round == 0 else { break }
            try await house.disconnect()
            // That it is over is seen at the next stream.
            try await house.connect()
        }
        #expect(try await house.change { $0.peers.asked.count } == 2)
        try await house.close()
    }

    @Test func `a service that is down is told, and the program's connection is reset`() async throws {
        let free = try PlainSocket.bind(datagrams: false)
        let port = free.port
        free.close()
        let house = try await ServiceHouse([.at(port, name: "ssh")])
        try await house.connect()
        let local = try await house.listen(VisitOrder(ServicePlace(device: "desk", service: "ssh")))
        await #expect(throws: PlainSocket.Failure(number: ECONNRESET)) {
            try await PlainSocket.run { try PlainSocket.connect(local).receive() }
        }
        let error = try #require(try await house.failure())
        #expect(error.code == .serviceDown)
        #expect(error.what.english == "desk is online, but its SSH server is not running")
        #expect(error.fix?.english == "on desk:  sudo systemctl enable --now ssh")
        #expect(house.news.withLockedValue { $0 } == [.targetFailed(service: "ssh", .refused)])
        try await house.close()
    }

    @Test func `metadata services are never led to`() async throws {
        let target = TunnelTarget(scheme: .tcp, host: "169.254.169.254", port: 80)
        let house = try await ServiceHouse([ServiceOrder(kind: .tcp, target: target, name: "web")])
        try await house.connect()
        let port = try await house.listen(VisitOrder(Self.web))
        await #expect(throws: PlainSocket.Failure(number: ECONNRESET)) {
            try await PlainSocket.run { try PlainSocket.connect(port).receive() }
        }
        #expect(try await house.failure()?.code == .serviceDown)
        try await house.close()
    }
}
