// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import Glibc
import NIOCore
import NIOPosix
import Synchronization
import Testing

/// What the relay tests, which run through the forwarder too, leave open.
@Suite struct SpliceTests {
    /// Two connections whose near ends are held as those of a visitor and of a target are.
    private struct Ends {
        let first: any Channel
        let second: any Channel
        /// The far ends.
        let visitor: any Channel
        let target: any Channel
    }

    private final class Count: Sendable {
        private let bytes = Mutex((first: 0, second: 0))
        func add(_ first: Int, _ second: Int) {
            bytes.withLock { bytes in
                bytes.first += first
                bytes.second += second
            }
        }
        var current: (first: Int, second: Int) { bytes.withLock { $0 } }
    }

    private static func pair(
        on loop: any EventLoop,
        far: @escaping @Sendable (any Channel) throws -> Void
    ) async throws -> (near: any Channel, far: any Channel) {
        let accepted = loop.makePromise(of: (any Channel).self)
        let listener = try await ServerBootstrap(group: loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EarlyDataHandler())
                    accepted.succeed(channel)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let farEnd = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton.next())
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try RelayEndpoint.options(channel)
                    try far(channel)
                }
            }
            .connect(host: "127.0.0.1", port: listener.localAddress?.port ?? 0).get()
        let near = try await accepted.futureResult.get()
        try await listener.close()
        return (near, farEnd)
    }

    private static func endpoint(
        _ plan: RelayEndpoint.Plan,
        _ received: EventLoopPromise<Int>
    ) -> @Sendable (any Channel) throws -> Void {
        { channel in try channel.pipeline.syncOperations.addHandler(RelayEndpoint(plan, received: received)) }
    }

    private let loop = MultiThreadedEventLoopGroup.singleton.next()
    private let otherLoop = MultiThreadedEventLoopGroup.singleton.next()

    private func ends(
        _ visitorPlan: RelayEndpoint.Plan,
        _ visitorReceived: EventLoopPromise<Int>,
        _ targetPlan: RelayEndpoint.Plan,
        _ targetReceived: EventLoopPromise<Int>
    ) async throws -> Ends {
        let (first, visitor) = try await Self.pair(on: loop, far: Self.endpoint(visitorPlan, visitorReceived))
        let (second, target) = try await Self.pair(on: otherLoop, far: Self.endpoint(targetPlan, targetReceived))
        return Ends(first: first, second: second, visitor: visitor, target: target)
    }

    @Test func twoHundredConnectionsAtOnceKeepTheirBytesApart() async throws {
        let target = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(EchoEndpoint())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        for topology in [RelayTopology.splicedFromTwoLoops, .splicedWithoutPipes] {
            let chain = try await RelayChain.make(topology, to: target.localAddress?.port ?? 0)
            var results: [EventLoopFuture<Int>] = []
            for seed in 0..<200 {
                let visitorLoop = MultiThreadedEventLoopGroup.singleton.next()
                let received = visitorLoop.makePromise(of: Int.self)
                results.append(received.futureResult)
                ClientBootstrap(group: visitorLoop)
                    .channelOption(.allowRemoteHalfClosure, value: true)
                    .channelInitializer { channel in
                        channel.eventLoop.makeCompletedFuture {
                            let visitor = ChunkedVisitor(seed: UInt64(seed), received: received)
                            try channel.pipeline.syncOperations.addHandler(visitor)
                        }
                    }
                    .connect(host: "127.0.0.1", port: chain.port)
                    .whenFailure { received.fail($0) }
            }
            var total = 0
            for result in results { total += try await result.get() }
            var outcomes = chain.outcomes.makeAsyncIterator()
            var counted: Int64 = 0
            for _ in 0..<200 {
                let outcome = await outcomes.next()
                #expect(outcome?.end == .finished)
                #expect(outcome?.bytesFromFirst == outcome?.bytesFromSecond)
                counted += outcome?.bytesFromFirst ?? 0
            }
            #expect(counted == Int64(total))
            try await chain.close()
        }
        try await target.close()
    }

    @Test func whatCameBeforeTheHandoverGoesFirst() async throws {
        let visitorReceived = loop.makePromise(of: Int.self)
        let targetReceived = loop.makePromise(of: Int.self)
        let ends = try await ends(
            .init(sends: 30_000),
            visitorReceived,
            .init(sends: 20_000, end: .later(.milliseconds(20))),
            targetReceived
        )
        // NIO reads a connection whose peer has ended to its end.
        while true {
            let held = try await loop.submit {
                try ends.first.pipeline.syncOperations.handler(type: EarlyDataHandler.self).heldByteCount
            }.get()
            if held == 30_000 { break }
            try await loop.scheduleTask(in: .milliseconds(1)) {}.futureResult.get()
        }
        let count = Count()
        let forwarder = SpliceForwarder()
        let outcome = try await SplicePath.join(ends.first, ends.second, through: forwarder, onBytes: count.add)
            .get()?.get()
        #expect(
            outcome
                == RelayOutcome(bytesFromFirst: 30_000, bytesFromSecond: 20_000, endedBy: .first, end: .finished)
        )
        #expect(count.current == (30_000, 20_000))
        #expect(try await targetReceived.futureResult.get() == 30_000)
        #expect(try await visitorReceived.futureResult.get() == 20_000)
    }

    @Test func anAbortIsAResetOnBothSides() async throws {
        let visitorReceived = loop.makePromise(of: Int.self)
        let targetReceived = loop.makePromise(of: Int.self)
        let plan = RelayEndpoint.Plan(sends: 1000, end: .never)
        let ends = try await ends(plan, visitorReceived, plan, targetReceived)
        let forwarder = SpliceForwarder()
        let taken = Mutex<SplicedPair?>(nil)
        let (counts, continuation) = AsyncStream.makeStream(of: (Int, Int).self)
        let outcome = SplicePath.join(
            ends.first,
            ends.second,
            through: forwarder,
            adopt: { pair in
                taken.withLock { $0 = pair }
                return true
            },
            onBytes: { continuation.yield(($0, $1)) }
        )
        var sum = (0, 0)
        for await count in counts {
            sum = (sum.0 + count.0, sum.1 + count.1)
            if sum == (1000, 1000) { break }
        }
        taken.withLock { $0 }?.abort()
        let expected = RelayOutcome(bytesFromFirst: 1000, bytesFromSecond: 1000, endedBy: nil, end: .reset)
        #expect(try await outcome.get()?.get() == expected)
        await #expect(throws: RelayEndpoint.Failure.self) { try await visitorReceived.futureResult.get() }
        await #expect(throws: RelayEndpoint.Failure.self) { try await targetReceived.futureResult.get() }
        #expect(!ends.first.isActive && !ends.second.isActive)
    }

    @Test func aPairThatNobodyAdoptsIsBrokenOff() async throws {
        let received = (loop.makePromise(of: Int.self), loop.makePromise(of: Int.self))
        let plan = RelayEndpoint.Plan(sends: 10, end: .never)
        let ends = try await ends(plan, received.0, plan, received.1)
        let forwarder = SpliceForwarder()
        let outcome = try await SplicePath.join(ends.first, ends.second, through: forwarder, adopt: { _ in false })
            .get()?.get()
        #expect(outcome?.end == .reset)
        await #expect(throws: RelayEndpoint.Failure.self) { try await received.0.futureResult.get() }
        await #expect(throws: RelayEndpoint.Failure.self) { try await received.1.futureResult.get() }
    }

    @Test func aConnectionThatBreaksDuringTheHandoverEndsTheOther() async throws {
        let received = (loop.makePromise(of: Int.self), loop.makePromise(of: Int.self))
        let plan = RelayEndpoint.Plan(sends: 10, end: .never)
        let ends = try await ends(plan, received.0, plan, received.1)
        let forwarder = SpliceForwarder()
        let outcome = try await SplicePath.join(
            ends.first,
            ends.second,
            through: forwarder,
            adopt: { _ in
                ends.first.close(promise: nil)
                return true
            }
        ).get()?.get()
        #expect(outcome?.end == .reset)
        await #expect(throws: RelayEndpoint.Failure.self) { try await received.1.futureResult.get() }
    }

    @Test func theThreadEndsWithItsForwarder() async throws {
        let received = (loop.makePromise(of: Int.self), loop.makePromise(of: Int.self))
        let plan = RelayEndpoint.Plan(sends: 10, end: .never)
        let ends = try await ends(plan, received.0, plan, received.1)
        var forwarder: SpliceForwarder? = SpliceForwarder(SpliceLimits(threadCount: 1))
        weak let lane = forwarder?.lane()
        let outcome = try #require(forwarder.map { SplicePath.join(ends.first, ends.second, through: $0) })
        forwarder = nil
        #expect(try await outcome.get()?.get().end == .reset)
        await #expect(throws: RelayEndpoint.Failure.self) { try await received.0.futureResult.get() }
        while lane != nil { try await loop.scheduleTask(in: .milliseconds(1)) {}.futureResult.get() }
    }

    @Test func channelsWithOtherHandlersStayAsTheyAre() async throws {
        final class Other: ChannelInboundHandler { typealias InboundIn = ByteBuffer }
        let visitorReceived = loop.makePromise(of: Int.self)
        let targetReceived = loop.makePromise(of: Int.self)
        let plan = RelayEndpoint.Plan(sends: 100_000)
        let ends = try await ends(plan, visitorReceived, plan, targetReceived)
        try await otherLoop.submit {
            try ends.second.pipeline.syncOperations.addHandler(Other(), position: .first)
        }.get()
        let forwarder = SpliceForwarder()
        #expect(try await SplicePath.join(ends.first, ends.second, through: forwarder).get() == nil)
        let outcome = try await Relay.join(ends.first, ends.second).get()
        #expect(outcome.end == .finished)
        #expect(try await targetReceived.futureResult.get() == 100_000)
        #expect(try await visitorReceived.futureResult.get() == 100_000)
    }
}
