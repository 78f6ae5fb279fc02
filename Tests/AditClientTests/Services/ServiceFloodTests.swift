// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTransport
import AditTraversal
import AditWire
import NIOConcurrencyHelpers
import NIOCore
import Testing

/// A device that may come opens thousands of streams at once.
@Suite("Floods of streams to services", .timeLimit(.minutes(2)))
struct ServiceFloodTests {
    /// What became of streams.
    private struct Ends {
        var opened = 0
        var denied = 0
        var answers: [ServiceAnswer: Int] = [:]
        var resets = 0
        /// The streams that were answered yes.
        var kept: [any Channel] = []

        var settled: Int { denied + answers.values.reduce(0, +) + resets }
    }

    /// Notes how one stream is answered.
    private final class Reader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let ends: NIOLoopBoundBox<Ends>
        private var bytes: [UInt8] = []
        private var isAnswered = false

        init(_ ends: NIOLoopBoundBox<Ends>) {
            self.ends = ends
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += Array(unwrapInboundIn(data).readableBytesView)
            guard !isAnswered, let answer = try? ServiceAnswer.decode(bytes.span.bytes) else { return }
            isAnswered = true
            ends.value.answers[answer, default: 0] += 1
            if answer.isYes { ends.value.kept.append(context.channel) } else { context.close(promise: nil) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            if !isAnswered { ends.value.resets += 1 }
            isAnswered = true
        }
    }

    /// Opens so many streams of the laptop's at once and sends the same on each.
    private static func flood(_ house: ServiceHouse, count: Int, _ bytes: [UInt8]) async throws -> NIOLoopBoundBox<Ends>
    {
        let ends = NIOLoopBoundBox.makeBoxSendingValue(Ends(), eventLoop: house.loop)
        try await house.change { parts in
            guard let connection = parts.connection else { throw ChannelError.alreadyClosed }
            for _ in 0..<count {
                let opened = connection.openStream { try $0.pipeline.syncOperations.addHandler(Reader(ends)) }
                opened.assumeIsolated().whenComplete { result in
                    switch result {
                    case .success(let channel):
                        ends.value.opened += 1
                        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
                    case .failure: ends.value.denied += 1
                    }
                }
            }
        }
        return ends
    }

    private static func look<Value: Sendable>(
        _ ends: NIOLoopBoundBox<Ends>,
        _ house: ServiceHouse,
        _ body: @escaping @Sendable (Ends) -> Value
    ) async throws -> Value {
        try await house.loop.submit { body(ends.value) }.get()
    }

    private static func settle(
        _ ends: NIOLoopBoundBox<Ends>,
        _ house: ServiceHouse,
        _ isSettled: @escaping @Sendable (Ends) -> Bool
    ) async throws {
        for _ in 0..<5000 {
            if try await look(ends, house, isSettled) { return }
            try await house.loop.scheduleTask(in: .milliseconds(2)) {}.futureResult.get()
        }
        Issue.record(
            "it is still \(try await look(ends, house) { "\($0.opened) \($0.denied) \($0.answers) \($0.resets)" })"
        )
    }

    /// Whether another device than the laptop is served.
    private static func servesOthers(_ house: ServiceHouse, _ target: PlainSocket) async throws -> Bool {
        let parts = house.parts
        let pair = try await StandInConnection.pair(on: house.loop) { stream, connection in
            let phone = PathPeerID(name: "phone", key: "SHA256:phone")
            try parts.value.desk.take(stream, from: ServicePeer(phone, connection))
        }
        let ends = NIOLoopBoundBox.makeBoxSendingValue(Ends(), eventLoop: house.loop)
        var request: [UInt8] = []
        try ServiceRequest(kind: .tcp, name: "web").encode(into: &request)
        let bytes = request
        try await house.loop.flatSubmit {
            pair.value.0.openStream { try $0.pipeline.syncOperations.addHandler(Reader(ends)) }
                .flatMap { $0.writeAndFlush(ByteBuffer(bytes: bytes)) }
        }.get()
        try await settle(ends, house) { $0.settled == 1 }
        let isServed = try await look(ends, house) { $0.answers == [.accepted: 1] }
        try await house.loop.submit {
            for channel in ends.value.kept { ChannelReset.close(channel) }
        }.get()
        return isServed
    }

    /// Whether the desk has so many streams, once those that have ended are gone.
    private static func holds(_ house: ServiceHouse, _ count: Int) async throws -> Bool {
        for _ in 0..<2500 {
            if try await house.change({ $0.desk.streamCount }) == count { return true }
            try await house.loop.scheduleTask(in: .milliseconds(2)) {}.futureResult.get()
        }
        Issue.record("it has \(try await house.change { $0.desk.streamCount }) streams")
        return false
    }

    @Test func `streams that ask for nothing are few at a time, and take no place from others`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        var limits = ServiceDesk.Limits()
        limits.requestTime = .minutes(10)
        let house = try await ServiceHouse([.at(target.port)], limits: limits)
        try await house.connect()
        // The version alone: more has to come.
        let ends = try await Self.flood(house, count: 5000, [ServiceRequest.version])
        try await Self.settle(ends, house) { $0.settled == 5000 - 64 }
        // QUIC lets so many be open at once; of those the desk keeps the first.
        #expect(try await Self.look(ends, house) { $0.opened } == 1024)
        #expect(try await Self.holds(house, 64))
        #expect(try await Self.servesOthers(house, target))
        // As many again, and again: what was cut off made room for nothing.
        for _ in 0..<3 {
            let more = try await Self.flood(house, count: 2000, [ServiceRequest.version])
            try await Self.settle(more, house) { $0.settled == 2000 }
            #expect(try await Self.holds(house, 64))
        }
        #expect(try await Self.servesOthers(house, target))
        try await house.disconnect()
        try await Self.settle(ends, house) { $0.settled == 5000 }
        #expect(try await Self.holds(house, 0))
        try await house.close()
    }

    @Test func `a device has so many streams to a service, and is told so beyond`() async throws {
        let target = try PlainSocket.bind(datagrams: false)
        var limits = ServiceDesk.Limits()
        limits.waitingOfDevice = 2000
        limits.streamsOfDevice = 40
        let house = try await ServiceHouse([.at(target.port)], limits: limits)
        try await house.connect()
        var request: [UInt8] = []
        try ServiceRequest(kind: .tcp, name: "web").encode(into: &request)
        let ends = try await Self.flood(house, count: 3000, request)
        try await Self.settle(ends, house) { $0.settled == 3000 }
        let answers = try await Self.look(ends, house) { $0.answers }
        #expect(Set(answers.keys).isSubset(of: [.accepted, .busy]))
        #expect((1...40).contains(answers[.accepted, default: 0]), "\(answers)")
        #expect(answers[.busy, default: 0] >= 900, "\(answers)")
        #expect(try await Self.servesOthers(house, target))
        // Room is there again when streams end.
        try await house.loop.submit {
            for channel in ends.value.kept { ChannelReset.close(channel) }
        }.get()
        #expect(try await Self.holds(house, 0))
        try await house.disconnect()
        try await house.close()
    }
}
