// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS

/// A TCP connection of a traversal machine, dialled or accepted; everything happens on its event loop.
///
/// It does not hold its local port alone: a listener and other connections may have the same (SO_REUSEADDR, SO_REUSEPORT).
final class ProbeConnection {
    /// What a connection tells.
    enum Event {
        case connected(local: IPEndpoint, remote: IPEndpoint)
        case bytes([UInt8])
        case closed(SocketEnd)
    }

    /// How many bytes may wait to be sent.
    private static let writeLimit = 1024 * 1024
    /// How many may wait when packets that may be lost are offered: as much as a fast way takes in a moment, since all that is
    /// written later waits behind it.
    private static let offerLimit = 256 * 1024

    private var channel: (any Channel)?
    private var writer = PacketFrameWriter()
    private var tell: ((Event) -> Void)?
    private let tls: ClientTLS?

    /// With `tls`, it is connected once the other side has proved who it is.
    init(tls: ClientTLS? = nil, _ tell: @escaping (Event) -> Void) {
        self.tls = tls
        self.tell = tell
    }

    /// Dials; it waits as long as the system's TCP does.
    func connect(
        from local: IPEndpoint,
        to remote: IPEndpoint,
        scope: UInt32,
        device: UInt32,
        on eventLoop: any EventLoop
    ) {
        guard let source = try? local.socketAddress(scope: scope),
            let destination = try? remote.socketAddress(scope: scope)
        else { return ended(.addressUnavailable) }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ClientBootstrap(group: eventLoop)
            .channelOption(.socketOption(.so_reuseaddr), value: 1)
            .channelOption(.socketOption(.sharedPort), value: 1)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .through(device)
            .connectTimeout(.hours(1))
            .bind(to: source)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    bound.value.channel = channel
                    try bound.value.install(on: channel)
                }
            }
            .connect(to: destination)
            .assumeIsolated()
            .whenFailure { bound.value.ended(SocketEnd($0)) }
    }

    /// Takes a connection that a listener accepted.
    func adopt(_ channel: any Channel) throws {
        self.channel = channel
        try install(on: channel)
    }

    private func install(on channel: any Channel) throws {
        let operations = channel.pipeline.syncOperations
        try? channel.syncOptions?.setOption(.recvAllocator, value: RelaySocket.receiveBuffers)
        if let tls { try operations.addHandler(tls.makeHandler().handler) }
        try operations.addHandler(ProbeConnectionHandler(self))
    }

    func write(_ bytes: [UInt8]) {
        guard let channel, tell != nil else { return }
        guard waitingCount + bytes.count <= Self.writeLimit else {
            ended(.denied)
            return close(isAbrupt: true)
        }
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    /// Writes all of the bytes, or none when too many wait.
    func offer(_ bytes: [UInt8]) {
        guard let channel, tell != nil, waitingCount + bytes.count <= Self.offerLimit else { return }
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    /// Writes all of the packets, each behind its length, or none when too many bytes wait.
    func offer(_ batch: PacketBatch) {
        let count = PacketFrames.byteCount(batch)
        guard let channel, tell != nil, waitingCount + count <= Self.offerLimit else { return }
        channel.writeAndFlush(writer.frames(of: batch), promise: nil)
    }

    private var waitingCount: Int { (try? channel?.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0 }

    /// Closes it, with a reset when `isAbrupt`; nothing is told any more.
    func close(isAbrupt: Bool) {
        tell = nil
        guard let channel else { return }
        self.channel = nil
        if isAbrupt { ChannelReset.close(channel) } else { channel.close(promise: nil) }
    }

    /// There is TCP, and `isProved` when TLS is, too.
    fileprivate func opened(_ channel: any Channel, isProved: Bool) {
        guard isProved || tls == nil else { return }
        guard let local = channel.localAddress.flatMap({ IPEndpoint($0) }),
            let remote = channel.remoteAddress.flatMap({ IPEndpoint($0) })
        else { return ended(.reset) }
        tell?(.connected(local: local, remote: remote))
    }

    fileprivate func received(_ buffer: ByteBuffer) {
        tell?(.bytes([UInt8](buffer.readableBytesView)))
    }

    fileprivate func ended(_ end: SocketEnd) {
        let tell = self.tell
        self.tell = nil
        tell?(.closed(end))
    }
}

/// A TCP listener of a traversal machine, whose port the machine's connections may share.
final class ProbeListener {
    private var channel: (any Channel)?
    /// Whether it listens no more, or never did.
    private(set) var isClosed = false

    /// Listens; `opened` hears where, or why not, and `accepted` of each connection.
    init(
        _ local: IPEndpoint,
        scope: UInt32,
        device: UInt32,
        on eventLoop: any EventLoop,
        opened: @escaping (Result<IPEndpoint, any Error>) -> Void,
        accepted: @escaping (any Channel) throws -> Void
    ) {
        let told = NIOLoopBound((opened: opened, accepted: accepted), eventLoop: eventLoop)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        guard let place = try? local.socketAddress(scope: scope) else {
            let error = IOError(errnoCode: EADDRNOTAVAIL, reason: "bind")
            eventLoop.execute { if !bound.value.isClosed { told.value.opened(.failure(error)) } }
            return
        }
        ServerBootstrap(group: eventLoop, childGroup: eventLoop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(.socketOption(.sharedPort), value: 1)
            .serverChannelOption(.backlog, value: 64)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .through(device)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { bound.value.channel = channel }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try told.value.accepted(channel) }
            }
            .bind(to: place)
            .assumeIsolated()
            .whenComplete { result in
                guard !bound.value.isClosed else { return }
                if case .failure = result { bound.value.isClosed = true }
                told.value.opened(
                    result.flatMap { channel in
                        let endpoint = channel.localAddress.flatMap { IPEndpoint($0) }
                        return endpoint.map { .success(IPEndpoint(local.address, $0.port)) }
                            ?? .failure(ChannelError.unknownLocalAddress)
                    }
                )
            }
    }

    /// Stops listening; accepted connections stay.
    func close() {
        isClosed = true
        channel?.close(promise: nil)
    }
}

private final class ProbeConnectionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let connection: ProbeConnection

    init(_ connection: ProbeConnection) {
        self.connection = connection
    }

    func channelActive(context: ChannelHandlerContext) {
        connection.opened(context.channel, isProved: false)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent { connection.opened(context.channel, isProved: true) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        connection.received(unwrapInboundIn(data))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        connection.ended(SocketEnd(error))
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        connection.ended(.finished)
    }
}
