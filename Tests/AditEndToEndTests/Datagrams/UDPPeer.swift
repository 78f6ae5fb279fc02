// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// A program that speaks UDP: a visitor that collects answers, or a service that sends everything back.
final class UDPPeer: Sendable {
    /// A datagram that came, and the port from which it came.
    struct Received: Sendable, Equatable {
        var port: Int
        var bytes: [UInt8]
    }

    private struct State {
        var received: [Received] = []
        var waiters: [(isDone: @Sendable ([Received]) -> Bool, promise: EventLoopPromise<[Received]>)] = []
    }

    let channel: any Channel
    private let state: NIOLockedValueBox<State>

    private init(_ channel: any Channel, _ host: String, _ state: NIOLockedValueBox<State>) {
        self.channel = channel
        self.host = host
        self.state = state
    }

    private let host: String

    /// Opens a peer on loopback.
    static func open(echoes: Bool = false, host: String = "127.0.0.1", port: Int = 0) async throws -> UDPPeer {
        let state = NIOLockedValueBox(State())
        let channel = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 65_536))
            .channelOption(.socketOption(.so_rcvbuf), value: 4 << 20)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        Collector(echoes: echoes) { datagram in
                            let done = state.withLockedValue { state in
                                state.received.append(datagram)
                                let received = state.received
                                let done = state.waiters.filter { $0.isDone(received) }.map { ($0.promise, received) }
                                state.waiters.removeAll { $0.isDone(received) }
                                return done
                            }
                            for (promise, received) in done { promise.succeed(received) }
                        }
                    )
                }
            }
            .bind(host: host, port: port).get()
        return UDPPeer(channel, host, state)
    }

    var port: UInt16 { UInt16(clamping: channel.localAddress?.port ?? 0) }

    var received: [Received] { state.withLockedValue { $0.received } }

    func send(_ bytes: [UInt8], to port: UInt16) async throws {
        let address = try SocketAddress(ipAddress: host, port: Int(port))
        try await channel.writeAndFlush(
            AddressedEnvelope(remoteAddress: address, data: ByteBuffer(bytes: bytes))
        ).get()
    }

    /// Sends many at once; what the system does not take is lost, as with any flood.
    func flood(_ bytes: [UInt8], count: Int, to port: UInt16) throws {
        let address = try SocketAddress(ipAddress: host, port: Int(port))
        let buffer = ByteBuffer(bytes: bytes)
        for _ in 0..<count {
            channel.write(AddressedEnvelope(remoteAddress: address, data: buffer), promise: nil)
        }
        channel.flush()
    }

    /// Waits until enough has come; nil when that takes longer than `time`.
    func wait(
        for time: TimeAmount = .seconds(30),
        until isDone: @escaping @Sendable ([Received]) -> Bool
    ) async throws -> [Received]? {
        let promise = channel.eventLoop.makePromise(of: [Received].self)
        let present = state.withLockedValue { state -> [Received]? in
            if isDone(state.received) { return state.received }
            state.waiters.append((isDone, promise))
            return nil
        }
        if let present { promise.succeed(present) }
        let late = channel.eventLoop.scheduleTask(in: time) { promise.fail(ChannelError.connectTimeout(time)) }
        defer { late.cancel() }
        return try? await promise.futureResult.get()
    }

    /// Sends a datagram until it is answered, a few times.
    func ask(_ bytes: [UInt8], of port: UInt16, tries: Int = 20) async throws -> Bool {
        for _ in 0..<tries {
            try await send(bytes, to: port)
            let answer = try await wait(for: .milliseconds(500)) { $0.contains { $0.bytes == bytes } }
            if answer != nil { return true }
        }
        return false
    }

    func close() async {
        try? await channel.close().get()
    }
}

private final class Collector: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let echoes: Bool
    private let tell: (UDPPeer.Received) -> Void

    init(echoes: Bool, tell: @escaping (UDPPeer.Received) -> Void) {
        self.echoes = echoes
        self.tell = tell
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let envelope = unwrapInboundIn(data)
        tell(UDPPeer.Received(port: envelope.remoteAddress.port ?? 0, bytes: Array(envelope.data.readableBytesView)))
        if echoes { context.write(data, promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.flush()
    }
}
