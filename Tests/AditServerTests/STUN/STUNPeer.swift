// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditWire
import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// A client of STUN over TCP or TLS that may listen on the port from which it connects.
final class STUNPeer: Sendable {
    /// A message that came on a connection to the peer, and from where.
    struct Back: Sendable {
        let message: STUNMessage
        let from: IPEndpoint
    }

    /// Where it connects from.
    let own: IPEndpoint
    /// What ends with its connection.
    let closed: EventLoopFuture<Void>
    private let channel: any Channel
    private let listener: (any Channel)?
    private let answers: AsyncStream<STUNMessage>
    private let backs: AsyncStream<Back>

    private init(
        _ channel: any Channel,
        _ listener: (any Channel)?,
        _ answers: AsyncStream<STUNMessage>,
        _ backs: AsyncStream<Back>
    ) throws {
        guard let own = channel.localAddress.flatMap({ IPEndpoint($0) }) else { throw ChannelError.unknownLocalAddress }
        self.own = own
        self.channel = channel
        self.listener = listener
        self.answers = answers
        self.backs = backs
        closed = channel.closeFuture
    }

    /// Connects to a port of `server`, from `address`.
    static func connect(
        to server: IPEndpoint,
        from address: String = "127.0.0.1",
        listens: Bool = true,
        isTLS: Bool = false
    ) async throws -> STUNPeer {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (answers, answer) = AsyncStream.makeStream(of: STUNMessage.self)
        let (backs, back) = AsyncStream.makeStream(of: Back.self)
        let listener =
            listens
            ? try await ServerBootstrap(group: loop)
                .serverChannelOption(.socketOption(.init(rawValue: SO_REUSEPORT)), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let reader = Messages { message, from in back.yield(Back(message: message, from: from)) }
                        try channel.pipeline.syncOperations.addHandler(reader)
                    }
                }
                .bind(host: address, port: 0).get() : nil
        let channel = try await ClientBootstrap(group: loop)
            .channelOption(.socketOption(.init(rawValue: SO_REUSEPORT)), value: 1)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if isTLS {
                        var tls = TLSConfiguration.makeClientConfiguration()
                        tls.certificateVerification = .none
                        let handler = try NIOSSLClientHandler(
                            context: NIOSSLContext(configuration: tls),
                            serverHostname: nil
                        )
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                    try channel.pipeline.syncOperations.addHandler(Messages { message, _ in answer.yield(message) })
                }
            }
            .bind(to: SocketAddress(ipAddress: address, port: listener?.localAddress?.port ?? 0))
            .connect(host: server.address.description, port: Int(server.port)).get()
        return try STUNPeer(channel, listener, answers, backs)
    }

    /// Sends a Binding request with CONNECT-BACK, when there are flags, and gives what answers it.
    func ask(_ flags: UInt8?, number: UInt64 = 1, also: [STUNAttribute] = []) async throws -> STUNMessage? {
        let asked = flags.map { [STUNAttribute.other(type: 0xFAD3, [0, 0, 0, $0])] } ?? []
        var bytes: [UInt8] = []
        STUNMessage(
            .request,
            transactionID: STUNTransactionID(high: 7, low: number),
            attributes: also + asked
        ).encode(into: &bytes)
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes)).get()
        return await answers.first { $0.transactionID.low == number }
    }

    /// The next message on a connection from the server.
    func nextBack() async -> Back? { await backs.first { _ in true } }

    func close() async throws {
        try? await channel.close()
        try await listener?.close()
    }

    /// Reads messages from a stream.
    private final class Messages: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let found: @Sendable (STUNMessage, IPEndpoint) -> Void
        private var buffer = ByteBuffer()

        init(_ found: @escaping @Sendable (STUNMessage, IPEndpoint) -> Void) {
            self.found = found
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            buffer.writeImmutableBuffer(unwrapInboundIn(data))
            guard let from = context.remoteAddress.flatMap({ IPEndpoint($0) }) else { return }
            while let length = try? STUNMessage.byteCount(inStream: buffer.readableBytesSpan),
                let bytes = buffer.readBytes(length: length),
                let message = try? STUNMessage.decode(bytes.span.bytes)
            {
                found(message, from)
            }
        }
    }
}

extension STUNMessage {
    /// The flags of CONNECT-BACK; nil without it.
    var connectBack: UInt8? {
        for case .other(0xFAD3, let value) in attributes { return value.last }
        return nil
    }
}
