// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import AditTransport
import AditWire
import Glibc
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// Secrets are proven in both directions, before anything of the visitor's is sent.
@Suite("Secrets of services", .timeLimit(.minutes(2)))
struct ServiceSecretTests {
    private static let secret = "open sesame"
    private static let web = ServicePlace(device: "desk", service: "web")

    /// Answers each request as it likes, and keeps what comes behind it.
    private final class Impostor: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let came: NIOLockedValueBox<[UInt8]>
        private let answer: @Sendable (ServiceRequest) -> [UInt8]
        private var hasAnswered = false

        init(_ came: NIOLockedValueBox<[UInt8]>, answer: @escaping @Sendable (ServiceRequest) -> [UInt8]) {
            self.came = came
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = Array(unwrapInboundIn(data).readableBytesView)
            came.withLockedValue { $0 += bytes }
            let all = came.withLockedValue { $0 }
            guard !hasAnswered, let request = (try? ServiceRequest.decode(all.span.bytes)).flatMap({ $0 }) else {
                return
            }
            hasAnswered = true
            context.writeAndFlush(NIOAny(ByteBuffer(bytes: answer(request))), promise: nil)
        }
    }

    private static func bytes(_ answer: ServiceAnswer) -> [UInt8] {
        var bytes: [UInt8] = []
        answer.encode(into: &bytes)
        return bytes
    }

    /// What somebody without the secret could answer.
    enum Lie: CaseIterable, Sendable {
        case yes
        case reflection
        case guess

        func answer(_ request: ServiceRequest) -> ServiceAnswer {
            switch self {
            case .yes: .accepted
            case .reflection: .proven(request.proof)
            case .guess:
                .proven(
                    ServiceProof(keyingMaterial: [UInt8](repeating: 5, count: 32), visitor: ServiceHouse.key)
                        .answer(secret: "guess", kind: request.kind.rawValue, name: request.name)
                )
            }
        }
    }

    @Test("Whoever cannot prove the secret gets nothing but the request", arguments: Lie.allCases)
    func impostor(lie: Lie) async throws {
        let house = try await ServiceHouse([])
        let came = NIOLockedValueBox<[UInt8]>([])
        try await house.connectImpostor { stream, _ in
            try stream.pipeline.syncOperations.addHandler(Impostor(came) { Self.bytes(lie.answer($0)) })
        }
        var visit = VisitOrder(Self.web)
        visit.secret = Self.secret
        let port = try await house.listen(visit)
        await #expect(throws: PlainSocket.Failure(number: ECONNRESET)) {
            try await PlainSocket.run {
                let client = try PlainSocket.connect(port)
                try client.send([1, 2, 3])
                _ = try client.receive()
            }
        }
        #expect(try await house.failure()?.code == .serviceUnproven)
        let request = came.withLockedValue { $0 }
        #expect(try ServiceRequest.decode(request.span.bytes)?.byteCount == request.count)
        try await house.close()
    }

    @Test("Who stands between two ends and passes on what they say is let in by neither")
    func between() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        var order = ServiceOrder.at(target.port)
        order.secret = Self.secret
        let house = try await ServiceHouse([order])
        // The request that the visitor made for its connection, with other keying material than the desk's.
        let code = ServiceProof(keyingMaterial: [UInt8](repeating: 9, count: 32), visitor: ServiceHouse.key)
            .bytes(secret: Self.secret, kind: 1, name: "web")
        try await house.connect(by: .standIn)
        var request: [UInt8] = []
        try ServiceRequest(kind: .tcp, name: "web", proof: code).encode(into: &request)
        let bytes = request
        let came = NIOLockedValueBox<[UInt8]>([])
        let (loop, parts) = (house.loop, house.parts)
        try await loop.flatSubmit {
            guard let end = parts.value.connection else {
                return loop.makeFailedFuture(ChannelError.alreadyClosed) as EventLoopFuture<Void>
            }
            return end.openStream { channel in
                try channel.pipeline.syncOperations.addHandler(Impostor(came) { _ in [] })
            }.flatMap { $0.writeAndFlush(ByteBuffer(bytes: bytes)) }
        }.get()
        #expect(try await house.wait { came.withLockedValue { $0.count } >= ServiceAnswer.byteCount })
        #expect(came.withLockedValue { $0 } == Self.bytes(.refused))
        try await house.close()
    }

    @Test("Both ends that know it serve connections and datagrams")
    func both() async throws {
        let target = try PlainSocket.bind(datagrams: true)
        var order = ServiceOrder.at(target.port, .udp)
        order.secret = Self.secret
        let house = try await ServiceHouse([order])
        try await house.connect()
        var visit = VisitOrder(Self.web, kind: .udp)
        visit.secret = Self.secret
        let port = try await house.listen(visit)
        try await PlainSocket.run {
            let client = try PlainSocket.connect(port, datagrams: true)
            try client.send([1, 2, 3])
            #expect(try target.receive() == [1, 2, 3])
            client.close()
        }
        visit.secret = "another"
        let other = try await house.listen(visit)
        try await PlainSocket.run {
            let client = try PlainSocket.connect(other, datagrams: true)
            try client.send([9])
            client.close()
        }
        #expect(try await house.failure()?.code == .serviceUnknown)
        try await house.close()
    }

    @Test("Users of frp clients are on the list by the user in a guest's name, and devices are not")
    func users() throws {
        let guest = try #require(FRPGuestName(user: "mei", fingerprint: ServiceHouse.key.description))
        #expect(FRPGuestName(guest.description) == guest && guest.description.utf8.count > 40)
        var order = ServiceOrder.at(1)
        #expect(order.names("desk"))
        order.users = ["mei", "ben"]
        #expect(order.names(guest.description))
        #expect(!order.names("mei") && !order.names("desk") && !order.names("mei@desk"))
        order.users = ["ben"]
        #expect(!order.names(guest.description))
        order.users = ["*"]
        #expect(order.names(guest.description))
        order.users = [""]
        #expect(order.names("@" + ServiceHouse.key.description))
        #expect(FRPGuestName(user: "a\u{1B}b", fingerprint: ServiceHouse.key.description) == nil)
        #expect(
            FRPGuestName(user: String(repeating: "a", count: 129), fingerprint: ServiceHouse.key.description) == nil
        )
    }

    @Test("A visit that wants a direct path waits for it, and is given to others where there is none")
    func direct() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        let house = try await ServiceHouse([.at(target.port), .at(target.port, name: "relayed")])
        try await house.connect()
        var visit = VisitOrder(Self.web)
        visit.directTime = .seconds(60)
        let port = try await house.listen(visit)
        _ = try await house.listen(VisitOrder(ServicePlace(device: "desk", service: "relayed")))
        // No direct path, and nobody who takes over.
        async let lost: [UInt8]? = PlainSocket.run {
            let client = try PlainSocket.connect(port)
            defer { client.close() }
            return try? client.receive()
        }
        #expect(try await Self.tell(false, house))
        #expect(try await lost == nil)
        #expect(try await house.failure()?.code == .noPath)
        try await house.change { parts in parts.visits[0].fallback = parts.visits[1] }
        // Now the other visit takes over, with what the client has sent already.
        for isDirect in [false, true] {
            async let answer = PlainSocket.run {
                let client = try PlainSocket.connect(port)
                defer { client.close() }
                try client.send([7])
                return try client.receive()
            }
            #expect(try await Self.tell(isDirect, house))
            try await PlainSocket.run {
                let server = try target.accept()
                #expect(try server.receive() == [7])
                try server.send([isDirect ? 1 : 0])
                server.close()
            }
            #expect(try await answer == [isDirect ? 1 : 0])
        }
        let names = house.news.withLockedValue { all in
            all.compactMap { if case .came(let visitor) = $0 { visitor.service } else { nil } }
        }
        #expect(names == ["relayed", "web"])
        #expect(house.visitNews.withLockedValue { $0.contains(.fellBack(Self.web)) })
        try await house.close()
    }

    /// Waits until somebody wants to know of a direct path, and says so.
    private static func tell(_ isDirect: Bool, _ house: ServiceHouse) async throws -> Bool {
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            let told = try await house.change { parts in
                guard !parts.peers.directWaits.isEmpty else { return false }
                parts.peers.tellDirect(isDirect)
                parts.peers.isDirect = false
                return true
            }
            if told { return true }
            try await house.loop.scheduleTask(in: .milliseconds(2)) {}.futureResult.get()
        }
        return false
    }
}
