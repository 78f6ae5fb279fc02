// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import AditServer
import AditTransport
import AditTunnel
import NIOCore
import NIOPosix
import Testing

@Suite("Tunnels of UDP from end to end")
struct UDPTunnelTests {
    private func order(_ kind: TunnelOrder.Kind, _ port: UInt16) -> TunnelOrder {
        TunnelOrder(kind: kind, target: TunnelTarget(scheme: .tcp, host: "localhost", port: port), name: "t")
    }

    private func pattern(_ size: Int, _ seed: Int = 1) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ seed) }
    }

    @Test("a datagram of any size crosses whole, both ways")
    func sizes() async throws {
        let house = try await DatagramHouse.open()
        let service = try await UDPPeer.open(echoes: true)
        _ = try house.device([order(.udp, service.port)])
        let port = try await house.port(of: "t")
        let visitor = try await UDPPeer.open()
        for (index, size) in [0, 1, 1200, 1500, 9000, 65_507].enumerated() {
            try await visitor.send(pattern(size), to: port)
            let answers = try #require(try await visitor.wait { $0.count == index + 1 }, "no answer of \(size) bytes")
            #expect(answers.last?.bytes == pattern(size))
            #expect(answers.last?.port == Int(port))
        }
        #expect(service.received.map(\.bytes.count) == [0, 1, 1200, 1500, 9000, 65_507])
        let figures = try #require(try await house.status(of: "t"))
        #expect(figures.datagramsIn == 6 && figures.datagramsOut == 6 && figures.droppedDatagrams == 0)
        #expect(figures.openVisitors == 1 && figures.visitors == 1)
        await visitor.close()
        await service.close()
        try await house.close()
    }

    @Test("ten thousand datagrams of 1400 bytes come back")
    func many() async throws {
        let house = try await DatagramHouse.open()
        let service = try await UDPPeer.open(echoes: true)
        let device = try house.device([order(.udp, service.port)])
        let port = try await house.port(of: "t")
        let visitor = try await UDPPeer.open()
        // A round fits what the device's window always lets be under way, so that none waits, however slow this machine is.
        for round in 1...250 {
            try visitor.flood(pattern(1400, round), count: 40, to: port)
            guard let answers = try await visitor.wait(until: { $0.count >= round * 40 }) else {
                let server = try #require(try await house.status(of: "t"))
                let client = try #require(device.status.tunnels.first)
                Issue.record(
                    """
                    lost in round \(round): the service got \(service.received.count), \
                    the visitor \(visitor.received.count), the server dropped \(server.droppedDatagrams), \
                    the device \(client.droppedDatagrams ?? 0)
                    """
                )
                break
            }
            #expect(answers.last?.bytes == pattern(1400, round))
        }
        #expect(visitor.received.count == 10_000)
        #expect(device.status.tunnels.first?.datagramsIn == 10_000)
        #expect(device.status.tunnels.first?.datagramsOut == 10_000)
        await visitor.close()
        await service.close()
        try await house.close()
    }

    @Test("each visitor has a way of its own, and gets what is for it")
    func visitors() async throws {
        let house = try await DatagramHouse.open()
        let service = try await UDPPeer.open(echoes: true)
        _ = try house.device([order(.udp, service.port)])
        let port = try await house.port(of: "t")
        var visitors: [UDPPeer] = []
        for _ in 0..<20 { visitors.append(try await UDPPeer.open()) }
        for (index, visitor) in visitors.enumerated() { try await visitor.send([UInt8(index)], to: port) }
        for (index, visitor) in visitors.enumerated() {
            #expect(try await visitor.wait { $0.count == 1 }?.map(\.bytes) == [[UInt8(index)]])
        }
        #expect(Set(service.received.map(\.port)).count == 20)
        for visitor in visitors { await visitor.close() }
        await service.close()
        try await house.close()
    }

    @Test("a visitor that floods does not silence another")
    func flood() async throws {
        let house = try await DatagramHouse.open()
        let service = try await UDPPeer.open(echoes: true)
        _ = try house.device([order(.udp, service.port)])
        let port = try await house.port(of: "t")
        let loud = try await UDPPeer.open()
        let quiet = try await UDPPeer.open()
        for round in 0..<5 {
            try loud.flood(pattern(1200), count: 1000, to: port)
            #expect(try await quiet.ask([UInt8(round), 1, 2], of: port), "silenced in round \(round)")
        }
        await loud.close()
        await quiet.close()
        await service.close()
        try await house.close()
    }

    @Test("a service that is down ends nobody's session: it is reached as soon as it is there")
    func serviceDown() async throws {
        let house = try await DatagramHouse.open()
        let place = try await UDPPeer.open()
        let target = place.port
        await place.close()
        _ = try house.device([order(.udp, target)])
        let port = try await house.port(of: "t")
        let error = try await house.event { event -> AditError? in
            if case .health("t", .fails(let error)) = event { error } else { nil }
        }
        #expect(error.code == .nothingListens)
        let visitor = try await UDPPeer.open()
        for _ in 0..<5 { try await visitor.send([1], to: port) }
        _ = try await house.event { if case .datagramVisitorCame("t", _) = $0 { true } else { nil } }
        let service = try await UDPPeer.open(echoes: true, port: Int(target))
        #expect(try await visitor.ask([7, 7], of: port))
        await visitor.close()
        await service.close()
        try await house.close()
    }

    @Test("a silent visitor is forgotten on both sides, and may come again")
    func idle() async throws {
        let house = try await DatagramHouse.open()
        let service = try await UDPPeer.open(echoes: true)
        var order = order(.udp, service.port)
        order.idleTimeout = .seconds(1)
        let device = try house.device([order])
        let port = try await house.port(of: "t")
        let visitor = try await UDPPeer.open()
        #expect(try await visitor.ask([1], of: port))
        let visit = try await house.event { event -> DatagramVisit? in
            if case .datagramVisitorLeft("t", let visit) = event { visit } else { nil }
        }
        #expect(visit.visitor.port == visitor.port && visit.datagramsIn >= 1 && visit.datagramsOut >= 1)
        #expect(device.status.tunnels.first?.visitorsNow == 0)
        #expect(try await visitor.ask([2], of: port))
        await visitor.close()
        await service.close()
        try await house.close()
    }

    @Test("who is not on the allow list gets no answer, and is counted")
    func allowList() async throws {
        let house = try await DatagramHouse.open()
        let service = try await UDPPeer.open(echoes: true)
        var order = order(.udp, service.port)
        order.allow = [try #require(CIDR("192.0.2.0/24"))]
        _ = try house.device([order])
        let port = try await house.port(of: "t")
        let visitor = try await UDPPeer.open()
        #expect(try await !visitor.ask([1], of: port, tries: 2))
        let figures = try #require(try await house.status(of: "t"))
        #expect(figures.refusedVisitors >= 2 && figures.visitors == 0 && figures.datagramsIn == 0)
        #expect(service.received.isEmpty)
        await visitor.close()
        await service.close()
        try await house.close()
    }

    @Test("a game has TCP and UDP on one port, and keeps it")
    func game() async throws {
        let house = try await DatagramHouse.open()
        let key = try DeviceKey(seed: RandomBytes.system(32))
        let listener = try await ServerBootstrap(group: house.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(SendBack()) }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let target = try #require(listener.localAddress?.port)
        let service = try await UDPPeer.open(echoes: true, port: target)
        let device = try house.device([order(.game, UInt16(target))], key: key)
        let port = try await house.port(of: "t")
        let visitor = try await UDPPeer.open()
        #expect(try await visitor.ask([1, 2, 3], of: port))
        let answer = house.group.any().makePromise(of: ByteBuffer.self)
        let connection = try await ClientBootstrap(group: house.group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FirstAnswer(answer))
                }
            }
            .connect(host: "127.0.0.1", port: Int(port)).get()
        try await connection.writeAndFlush(ByteBuffer(string: "tcp")).get()
        #expect(try await answer.futureResult.get() == ByteBuffer(string: "tcp"))
        try await connection.close().get()
        // Nobody else gets either half.
        let table = house.server.table.tunnels
        #expect(table.count == 1 && table.first?.port == port)
        await device.stop()
        let leases = try await house.store.portLeases(on: house.group.any()).get()
        #expect(leases.map(\.port) == [port, port])
        #expect(Set(leases.map(\.kind)) == [.tcp, .udp])
        await visitor.close()
        await service.close()
        try await listener.close().get()
        try await house.close()
    }
}

private final class SendBack: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(data, promise: nil)
    }
}

private final class FirstAnswer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let promise: EventLoopPromise<ByteBuffer>

    init(_ promise: EventLoopPromise<ByteBuffer>) {
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        promise.succeed(unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(ChannelError.eof)
    }
}
