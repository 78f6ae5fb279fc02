// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import AditTunnel
import NIOCore
import NIOPosix
import Testing

@Suite struct YamuxConnectionTests {
    /// Sends back what it receives, and ends when the peer does.
    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.write(data, promise: nil)
        }

        func channelReadComplete(context: ChannelHandlerContext) {
            context.flush()
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .some(.inputClosed) = event as? ChannelEvent { context.close(mode: .output, promise: nil) }
        }
    }

    @Sendable private static func echo(_ stream: any Channel) -> EventLoopFuture<Void> {
        stream.eventLoop.makeCompletedFuture { try stream.pipeline.syncOperations.addHandler(Echo()) }
    }

    private func exchange(_ multiplexer: YamuxMultiplexer, _ count: Int) -> EventLoopFuture<Int> {
        let received = multiplexer.eventLoop.makePromise(of: Int.self)
        multiplexer.openStream { stream in
            stream.eventLoop.makeCompletedFuture {
                try stream.pipeline.syncOperations.addHandler(RelayEndpoint(.init(sends: count), received: received))
                try RelayEndpoint.options(stream)
            }
        }.cascadeFailure(to: received)
        return received.futureResult
    }

    @Test(arguments: [false, true])
    func bothEndsOpenStreams(_ isSecure: Bool) async throws {
        let pair = try await YamuxConnectionPair.make(
            isSecure: isSecure,
            clientStreams: Self.echo,
            serverStreams: Self.echo
        )
        for multiplexer in [pair.client, pair.server] {
            #expect(try await exchange(multiplexer, 1_000_000).get() == 1_000_000)
        }
        try await pair.client.connection.close()
    }

    @Test(arguments: [false, true])
    func twoThousandStreamsRunAtOnce(_ isSecure: Bool) async throws {
        let pair = try await YamuxConnectionPair.make(isSecure: isSecure, serverStreams: Self.echo)
        let results = try await EventLoopFuture.whenAllSucceed(
            (0..<2000).map { exchange(pair.client, 1000 + $0) },
            on: pair.client.eventLoop
        ).get()
        #expect(results == (0..<2000).map { 1000 + $0 })
        try await pair.client.connection.close()
        try await pair.server.connection.closeFuture.get()
    }

    @Test func aShutdownLetsStreamsEndAndThenClosesTheConnection() async throws {
        let pair = try await YamuxConnectionPair.make(serverStreams: Self.echo)
        let large = exchange(pair.client, 4_000_000)
        #expect(try await exchange(pair.client, 1).get() == 1)
        pair.server.shutdown()
        #expect(try await large.get() == 4_000_000)
        try await pair.client.connection.closeFuture.get()
        await #expect(throws: YamuxStreamError.self) { try await pair.client.openStream().get() }
    }
}
