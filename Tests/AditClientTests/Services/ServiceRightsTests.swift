// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTransport
import AditWire
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// Who may open streams to services, and how many.
@Suite("Rights to services", .timeLimit(.minutes(2)))
struct ServiceRightsTests {
    private static let web = ServicePlace(device: "desk", service: "web")

    /// Sends bytes in a stream of its own and collects what comes back until the end of data, or nil after a reset.
    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let done: EventLoopPromise<[UInt8]?>
        private var bytes: [UInt8] = []
        private var isOver = false

        init(_ done: EventLoopPromise<[UInt8]?>) {
            self.done = done
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += Array(unwrapInboundIn(data).readableBytesView)
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard case .some(.inputClosed) = event as? ChannelEvent, !isOver else { return }
            isOver = true
            done.succeed(bytes)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            if !isOver { done.succeed(nil) }
            isOver = true
        }
    }

    private static func exchange(_ bytes: [UInt8], _ house: ServiceHouse) async throws -> [UInt8]? {
        let done = house.loop.makePromise(of: [UInt8]?.self)
        let (loop, parts) = (house.loop, house.parts)
        try await loop.flatSubmit {
            guard let end = parts.value.connection else {
                return loop.makeFailedFuture(ChannelError.alreadyClosed) as EventLoopFuture<Void>
            }
            return end.openStream { channel in
                try channel.pipeline.syncOperations.addHandler(Collector(done))
            }.flatMap { $0.writeAndFlush(ByteBuffer(bytes: bytes)) }
        }.get()
        return try await done.futureResult.get()
    }

    private static func request(_ kind: ServiceKind = .tcp, _ name: String = "web", proof: [UInt8] = []) throws
        -> [UInt8]
    {
        var bytes: [UInt8] = []
        try ServiceRequest(kind: kind, name: name, proof: proof).encode(into: &bytes)
        return bytes
    }

    private static func bytes(_ answer: ServiceAnswer) -> [UInt8] {
        var bytes: [UInt8] = []
        answer.encode(into: &bytes)
        return bytes
    }

    @Test func `no service and no right to one are answered alike`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        var order = ServiceOrder.at(target.port)
        order.allow = ["phone"]
        let house = try await ServiceHouse([order])
        try await house.connect()
        #expect(try await Self.exchange(Self.request(), house) == Self.bytes(.refused))
        #expect(try await Self.exchange(Self.request(.tcp, "other"), house) == Self.bytes(.refused))
        // Payload that came with the request changes nothing.
        let long = try Self.request(.udp) + [UInt8](repeating: 9, count: 100_000)
        #expect(try await Self.exchange(long, house) == Self.bytes(.refused))
        let port = try await house.listen(VisitOrder(Self.web))
        await #expect(throws: PlainSocket.Failure(number: ECONNRESET)) {
            try await PlainSocket.run { try PlainSocket.connect(port).receive() }
        }
        #expect(try await house.failure()?.code == .serviceUnknown)
        try await house.close()
    }

    @Test func `a name with another key is not the device on the list`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        var order = ServiceOrder.at(target.port)
        order.allow = ["laptop"]
        let house = try await ServiceHouse([order])
        try await house.connect()
        house.trusted.withLockedValue { $0 = false }
        #expect(try await Self.exchange(Self.request(), house) == Self.bytes(.refused))
        try await house.close()
    }

    @Test func `a secret is proven on this connection or not at all`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        var order = ServiceOrder.at(target.port)
        order.secret = "open sesame"
        let house = try await ServiceHouse([order])
        try await house.connect()
        #expect(try await Self.exchange(Self.request(), house) == Self.bytes(.refused))
        let wrong = [UInt8](repeating: 0, count: 32)
        #expect(try await Self.exchange(Self.request(proof: wrong), house) == Self.bytes(.refused))
        var visit = VisitOrder(Self.web)
        visit.secret = "open sesame"
        let port = try await house.listen(visit)
        async let answer = PlainSocket.run {
            let client = try PlainSocket.connect(port)
            defer { client.close() }
            return try client.receiveAll()
        }
        try await PlainSocket.run {
            let server = try target.accept()
            try server.send([7])
            server.close()
        }
        #expect(try await answer == [7])
        try await house.close()
    }

    @Test func `what is no request is cut off, and another version is told so`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        let house = try await ServiceHouse([.at(target.port)])
        try await house.connect()
        #expect(try await Self.exchange([1, 9, 1, 97, 0], house) == nil)
        #expect(try await Self.exchange(Array("GET / HTTP/1.1\r\n".utf8), house) == Self.bytes(.unsupportedVersion))
        #expect(try await Self.exchange(Self.request(.udp), house) == Self.bytes(.wrongKind))
        try await house.close()
    }

    @Test func `a request that does not come is not waited for, nor many at once`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        var limits = ServiceDesk.Limits()
        limits.requestTime = .milliseconds(50)
        limits.waitingOfDevice = 2
        let house = try await ServiceHouse([.at(target.port)], limits: limits)
        try await house.connect()
        let cut = Array(try Self.request().dropLast())
        #expect(try await Self.exchange(cut, house) == nil)
        async let first = Self.exchange(cut, house)
        async let second = Self.exchange(cut, house)
        async let third = Self.exchange(cut, house)
        #expect(try await [first, second, third] == [nil, nil, nil])
        #expect(try await house.change { $0.desk.streamCount } == 0)
        try await house.close()
    }

    @Test func `a device has so many streams and no more`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        var limits = ServiceDesk.Limits()
        limits.streamsOfDevice = 1
        let house = try await ServiceHouse([.at(target.port)], limits: limits)
        try await house.connect()
        let port = try await house.listen(VisitOrder(Self.web))
        let client = try await PlainSocket.run { try PlainSocket.connect(port) }
        let server = try await PlainSocket.run { try target.accept() }
        #expect(try await Self.exchange(Self.request(), house) == Self.bytes(.busy))
        try await PlainSocket.run {
            try client.send([1])
            client.endOutput()
            #expect(try server.receiveAll() == [1])
            server.close()
            #expect(try client.receiveAll() == [])
            client.close()
        }
        try await house.close()
    }

    @Test(arguments: ServiceHouse.Wire.allCases)
    func `streams of who lost the right end at once, others stay`(wire: ServiceHouse.Wire) async throws {
        let target = try PlainSocket.bind(datagrams: false)
        let house = try await ServiceHouse([.at(target.port), .at(target.port, name: "other")])
        try await house.connect(by: wire)
        let port = try await house.listen(VisitOrder(Self.web))
        let otherPort = try await house.listen(VisitOrder(ServicePlace(device: "desk", service: "other")))
        let client = try await PlainSocket.run { try PlainSocket.connect(port) }
        let server = try await PlainSocket.run { try target.accept() }
        let otherClient = try await PlainSocket.run { try PlainSocket.connect(otherPort) }
        let otherServer = try await PlainSocket.run { try target.accept() }
        let targetPort = target.port
        try await house.change { parts in
            var order = ServiceOrder.at(targetPort)
            order.allow = ["phone"]
            parts.desk.replace(with: [order, .at(targetPort, name: "other")])
        }
        await #expect(throws: PlainSocket.Failure(number: ECONNRESET)) {
            try await PlainSocket.run { try client.receive() }
        }
        await #expect(throws: PlainSocket.Failure(number: ECONNRESET)) {
            try await PlainSocket.run { try server.receive() }
        }
        try await PlainSocket.run {
            try otherClient.send([1, 2])
            #expect(try otherServer.receive() == [1, 2])
        }
        // A key that is not the name's any more ends the rest.
        house.trusted.withLockedValue { $0 = false }
        try await house.change { $0.desk.reconsider() }
        await #expect(throws: PlainSocket.Failure(number: ECONNRESET)) {
            try await PlainSocket.run { try otherClient.receive() }
        }
        for socket in [client, server, otherClient, otherServer] { socket.close() }
        try await house.close()
    }
}
