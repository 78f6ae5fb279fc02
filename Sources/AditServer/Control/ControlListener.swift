// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOCore
import NIOPosix

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The Unix socket on which a running server takes commands of its own user.
///
/// The folder around it is closed to others (mode 0700), and so is the socket itself (0600).
enum ControlListener {
    typealias Answer = @Sendable (ControlRequest, any EventLoop) -> EventLoopFuture<ControlReply>

    static func bind(path: String, group: any EventLoopGroup, answer: @escaping Answer) -> EventLoopFuture<any Channel>
    {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 16)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ControlHandler(answer: answer))
                }
            }
            .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true)
            .flatMapThrowing { channel in
                guard chmod(path, 0o600) == 0 else { throw IOError(errnoCode: errno, reason: "chmod") }
                return channel
            }
    }
}

/// One connection: a line in, a line out.
private final class ControlHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// A command that says nothing for this long is disconnected.
    private static let patience: TimeAmount = .seconds(10)

    private let answer: ControlListener.Answer
    private var line: [UInt8] = []
    private var isAnswered = false
    private var timer: Scheduled<Void>?

    init(answer: @escaping ControlListener.Answer) {
        self.answer = answer
    }

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        timer = context.eventLoop.scheduleTask(in: Self.patience) { channel.close(promise: nil) }
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswered else { return }
        line += unwrapInboundIn(data).readableBytesView
        guard let end = line.firstIndex(of: UInt8(ascii: "\n")) else {
            if line.count > ControlLine.maximumRequestLength { context.close(promise: nil) }
            return
        }
        isAnswered = true
        timer?.cancel()
        let channel = context.channel
        let reply: EventLoopFuture<ControlReply>
        var isStop = false
        do {
            let request = try ControlLine.decode(ControlRequest.self, from: Array(line[..<end]))
            isStop = request.command == .stop
            reply = answer(request, context.eventLoop)
        } catch {
            let fault = AditError(.usage, Text("the server does not know this command", zh: "服务器不认识该命令"))
            reply = context.eventLoop.makeSucceededFuture(ControlReply(fault))
        }
        let staysOpen = isStop
        reply.hop(to: context.eventLoop).whenComplete { result in
            guard case .success(let reply) = result, let bytes = try? ControlLine.encode(reply) else {
                channel.close(promise: nil)
                return
            }
            channel.writeAndFlush(ByteBuffer(bytes: bytes)).whenComplete { _ in
                // Whoever asked for a stop waits for the end of the connection, which is the end of the process.
                if !staysOpen { channel.close(promise: nil) }
            }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
