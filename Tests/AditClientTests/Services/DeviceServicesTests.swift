// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import AditTraversal
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

/// The services of a whole process, as commands use them.
@Suite("Services of a process", .timeLimit(.minutes(2)))
struct DeviceServicesTests {
    /// Knows one connection.
    private final class OnePeer: ServicePeers {
        private let peer: ServicePeer

        init(_ peer: ServicePeer) {
            self.peer = peer
        }

        func connect(_ device: String, service: String, hear: @escaping (Result<ServicePeer, AditError>) -> Void) {
            hear(.success(peer))
        }

        func announce(_ services: [String]) {}
    }

    /// Hears what is announced, and knows nobody.
    private final class Crier: ServicePeers {
        let announced = NIOLockedValueBox<[[String]]>([])

        func connect(_ device: String, service: String, hear: @escaping (Result<ServicePeer, AditError>) -> Void) {}

        func announce(_ services: [String]) { announced.withLockedValue { $0.append(services) } }
    }

    @Test func `other devices hear of each change`() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let services = DeviceServices(on: loop, ownKey: nil, home: nil) { _ in }
        let target = TunnelTarget(scheme: .tcp, host: "127.0.0.1", port: 9)
        services.offer([ServiceOrder(kind: .tcp, target: target, name: "one")])
        let announced = try await loop.submit {
            let crier = Crier()
            services.use(crier)
            return (crier.announced, NIOLoopBound(crier, eventLoop: loop))
        }.get()
        services.offer([
            ServiceOrder(kind: .tcp, target: target, name: "two"),
            ServiceOrder(kind: .tcp, target: target, name: "one"),
        ])
        services.offer([])
        try await loop.submit {}.get()
        #expect(announced.0.withLockedValue { $0 } == [["one"], ["one", "two"], []])
        try await services.stop().get()
        withExtendedLifetime(announced.1) {}
    }

    @Test func `another key for a name ends what the former one has open, and status tells`() async throws {
        let folder = TemporaryFolder()
        defer { withExtendedLifetime(folder) {} }
        let home = DeviceHome(path: folder.path)
        let server = "SHA256:server"
        let key = KeyFingerprint(of: try QUICDevices.key(1).publicKey.bytes)
        try home.changeKnownDevices { $0.set(key, of: "laptop", at: server, now: 1) }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let target = try PlainSocket.bind(datagrams: false)
        let (desk, laptop) = try await loop.submit {
            (
                DeviceServices(on: loop, ownKey: nil, home: home) { _ in },
                DeviceServices(on: loop, ownKey: key, home: nil) { _ in }
            )
        }.get()
        var order = ServiceOrder.at(target.port)
        order.allow = ["laptop"]
        desk.offer([order])
        let devices = try await QUICDevices.make(on: loop) { stream, connection in
            try desk.take(stream, from: ServicePeer(PathPeerID(name: "laptop", key: key.description), connection))
        }
        try await loop.submit {
            desk.use(server: server)
            guard let connection = devices.value.visitor else { return }
            laptop.use(OnePeer(ServicePeer(PathPeerID(name: "desk", key: ""), connection)))
        }.get()
        var visit = VisitOrder(ServicePlace(device: "desk", service: "web"))
        visit.address = .v4(0x7F00_0001)
        let local = try await laptop.listen(visit).get()
        let client = try await PlainSocket.run { try PlainSocket.connect(local.port) }
        try await PlainSocket.run {
            let accepted = try target.accept()
            try client.send([1])
            #expect(try accepted.receive() == [1])
            try accepted.send([2])
            #expect(try client.receive() == [2])
        }
        #expect(desk.status.services.map(\.streamsNow) == [1])
        #expect(desk.status.services.map(\.devices) == [["laptop": 1]])
        #expect(laptop.status.visits.map(\.streamsNow) == [1])
        #expect(laptop.status.visits.map(\.local) == [local.description])
        let other = KeyFingerprint(of: [9])
        try home.changeKnownDevices { $0.set(other, of: "laptop", at: server, now: 2) }
        await #expect(throws: PlainSocket.Failure(number: ECONNRESET)) {
            try await PlainSocket.run { try client.receive() }
        }
        try await desk.stop().get()
        try await laptop.stop().get()
        try await loop.submit { devices.value.close() }.get()
        #expect(desk.status.services.map(\.streamsNow) == [0])
        #expect(desk.status.services.map(\.streamsTotal) == [1])
    }

    @Test func `without a way to others a visit says so`() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let services = try await loop.submit { DeviceServices(on: loop, ownKey: nil, home: nil) { _ in } }.get()
        await #expect(throws: AditError.self) {
            try await services.listen(VisitOrder(ServicePlace(device: "desk", service: "web"))).get()
        }
        try await services.stop().get()
    }
}
