// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import Glibc
import NIOCore
import NIOPosix
import Testing

@Suite struct RelayTests {
    private static let replySize = 8 * 1024 * 1024

    private struct Target {
        let listener: any Channel
        /// What the first connection received.
        let received: EventLoopFuture<Int>
        /// Yields for each connection that is accepted.
        let connections: AsyncStream<Void>
        var port: Int { listener.localAddress?.port ?? 0 }
    }

    /// Starts a target that treats its first connection by `plan` and all later ones by `others`.
    private func target(_ plan: RelayEndpoint.Plan, others: RelayEndpoint.Plan? = nil) async throws -> Target {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let received = loop.makePromise(of: Int.self)
        let isFirst = NIOLoopBoundBox.makeBoxSendingValue(true, eventLoop: loop)
        let (connections, continuation) = AsyncStream.makeStream(of: Void.self)
        let listener = try await ServerBootstrap(group: loop)
            .childChannelOption(.socketOption(.so_rcvbuf), value: 65_536)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try RelayEndpoint.options(channel)
                    let endpoint =
                        isFirst.value
                        ? RelayEndpoint(plan, received: received)
                        : RelayEndpoint(others ?? plan, received: loop.makePromise())
                    isFirst.value = false
                    try channel.pipeline.syncOperations.addHandler(endpoint)
                    continuation.yield()
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return Target(listener: listener, received: received.futureResult, connections: connections)
    }

    private func visit(
        _ port: Int,
        _ plan: RelayEndpoint.Plan
    ) async throws -> (channel: any Channel, received: EventLoopFuture<Int>) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let received = loop.makePromise(of: Int.self)
        let channel = try await ClientBootstrap(group: loop)
            .channelOption(.socketOption(.so_rcvbuf), value: 65_536)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try RelayEndpoint.options(channel)
                    try channel.pipeline.syncOperations.addHandler(RelayEndpoint(plan, received: received))
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return (channel, received.futureResult)
    }

    private static let ends: [RelayEndpoint.End] = [.withData, .later(.milliseconds(20))]

    @Test(arguments: RelayTopology.allCases, [0, 1])
    func aReplyAfterAnEarlyEndArrivesWholeAtASlowReader(_ topology: RelayTopology, _ end: Int) async throws {
        let target = try await target(.init(sends: Self.replySize, sendsAfterPeersEnd: true))
        let chain = try await RelayChain.make(topology, to: target.port)
        let (_, visitorReceived) = try await visit(
            chain.port,
            .init(sends: 1000, end: Self.ends[end], readPause: .microseconds(200))
        )
        #expect(try await target.received.get() == 1000)
        #expect(try await visitorReceived.get() == Self.replySize)
        let outcome = await chain.outcomes.first { _ in true }
        #expect(
            outcome
                == RelayOutcome(
                    bytesFromFirst: 1000,
                    bytesFromSecond: Int64(Self.replySize),
                    endedBy: .first,
                    end: .finished
                )
        )
        try await chain.close()
        try await target.listener.close()
    }

    @Test(arguments: RelayTopology.allCases, [0, 1])
    func anUploadAfterTheTargetsEarlyEndArrivesWholeAtASlowReader(_ topology: RelayTopology, _ end: Int) async throws {
        let target = try await target(
            .init(sends: 1000, end: Self.ends[end], readPause: .microseconds(200))
        )
        let chain = try await RelayChain.make(topology, to: target.port)
        let (_, visitorReceived) = try await visit(chain.port, .init(sends: Self.replySize, sendsAfterPeersEnd: true))
        #expect(try await visitorReceived.get() == 1000)
        #expect(try await target.received.get() == Self.replySize)
        let outcome = await chain.outcomes.first { _ in true }
        #expect(outcome?.end == .finished && outcome?.endedBy == .second)
        #expect(outcome?.bytesFromFirst == Int64(Self.replySize) && outcome?.bytesFromSecond == 1000)
        try await chain.close()
        try await target.listener.close()
    }

    @Test(arguments: RelayTopology.allCases)
    func bothDirectionsRunAtOnce(_ topology: RelayTopology) async throws {
        let plan = RelayEndpoint.Plan(sends: Self.replySize)
        let target = try await target(plan)
        let chain = try await RelayChain.make(topology, to: target.port)
        let (_, visitorReceived) = try await visit(chain.port, plan)
        #expect(try await target.received.get() == Self.replySize)
        #expect(try await visitorReceived.get() == Self.replySize)
        try await chain.close()
        try await target.listener.close()
    }

    @Test(arguments: RelayTopology.allCases)
    func aResetOnOneSideIsAResetOnTheOther(_ topology: RelayTopology) async throws {
        let target = try await target(.init(sends: 10, end: .never))
        let chain = try await RelayChain.make(topology, to: target.port)
        // Once something has come through, both sides are joined, and it is known which one ended it.
        _ = try await visit(chain.port, .init(sends: 500, end: .never, resetsAfter: 10))
        await #expect(throws: RelayEndpoint.Failure.self) { try await target.received.get() }
        let outcome = await chain.outcomes.first { _ in true }
        #expect(outcome?.end == .reset)
        #expect(outcome?.endedBy == .first)
        try await chain.close()
        try await target.listener.close()
    }

    @Test(arguments: RelayTopology.allCases)
    func aReaderThatStopsHoldsTheWriterBackAndNobodyElse(_ topology: RelayTopology) async throws {
        let target = try await target(.init(end: .never, reads: false), others: .init(sends: 200_000))
        let chain = try await RelayChain.make(topology, to: target.port)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let accepted = NIOLoopBoundBox.makeBoxSendingValue(0, eventLoop: loop)
        let writer = try await ClientBootstrap(group: loop)
            .channelOption(.socketOption(.so_sndbuf), value: 65_536)
            .connect(host: "127.0.0.1", port: chain.port).get()
        _ = await target.connections.first { _ in true }
        let total = 128 * 1024 * 1024
        let someBytesTaken = loop.makePromise(of: Void.self)
        try await loop.submit {
            let chunk = RelayPattern.prefix(64 * 1024)
            for _ in 0..<total / chunk.readableBytes {
                writer.write(chunk).assumeIsolated().whenComplete { result in
                    if case .success = result { accepted.value += chunk.readableBytes }
                    someBytesTaken.completeWith(result)
                }
            }
            writer.flush()
        }.get()
        try await someBytesTaken.futureResult.get()
        // While the writer is stuck, others come and go the same way.
        for _ in 0..<40 {
            let (_, received) = try await visit(chain.port, .init(sends: 100))
            #expect(try await received.get() == 200_000)
        }
        let taken = try await loop.submit { accepted.value }.get()
        #expect(taken > 0 && taken < 32 * 1024 * 1024)
        writer.close(promise: nil)
        try await chain.close()
        try await target.listener.close()
    }
}
