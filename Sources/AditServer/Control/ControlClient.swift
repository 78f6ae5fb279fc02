// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import NIOCore
import NIOPosix

/// The side of a command: asks the server that runs on a state folder.
package struct ControlClient: Sendable {
    private let state: ServerState
    private let group: any EventLoopGroup

    /// Makes a client for the server of a state folder.
    package init(_ state: ServerState) {
        self.state = state
        group = MultiThreadedEventLoopGroup.singleton
    }

    /// Asks and waits for the answer; with `stop` also for the end of the process.
    ///
    /// Throws `AditError` 905 when no server runs, and the server's own error when it did not do it.
    package func ask(_ command: ControlRequest.Command, timeout: Duration = .seconds(10)) async throws -> ControlReply {
        let collector = LineCollector(promise: group.next().makePromise())
        let channel: any Channel
        do {
            channel = try await ClientBootstrap(group: group)
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(collector.makeHandler())
                    }
                }
                .connect(unixDomainSocketPath: state.controlSocket).get()
        } catch {
            collector.promise.fail(error)
            throw Self.notRunning(state)
        }
        let timer = channel.eventLoop.scheduleTask(in: TimeAmount(timeout)) { channel.close(promise: nil) }
        defer { timer.cancel() }
        do {
            let request = try ControlLine.encode(ControlRequest(command))
            try await channel.writeAndFlush(ByteBuffer(bytes: request)).get()
            let line = try await collector.promise.futureResult.get()
            let reply = try ControlLine.decode(ControlReply.self, from: line)
            if let fault = reply.fault { throw fault.error }
            if command == .stop { try await channel.closeFuture.get() }
            return reply
        } catch let error as AditError {
            throw error
        } catch {
            channel.close(promise: nil)
            throw AditError(
                .serverProcess,
                Text("the server did not answer", zh: "服务器没有应答"),
                why: [Text(verbatim: state.controlSocket), Text(verbatim: String(describing: error))],
                fix: Text("look at its log; stop it by its process id if it hangs", zh: "请查看日志；若已卡死，请按进程号结束")
            )
        }
    }

    /// What is told when no server runs on a state folder.
    package static func notRunning(_ state: ServerState) -> AditError {
        AditError(
            .serverProcess,
            Text("no server runs on this state folder", zh: "该状态目录上没有服务器在运行"),
            why: [Text(verbatim: state.path)],
            fix: Text("adit server      (another folder:  --state FOLDER)", zh: "adit server      （其他目录：--state 目录）")
        )
    }
}

/// Collects the one line of an answer.
private struct LineCollector: Sendable {
    let promise: EventLoopPromise<[UInt8]>

    func makeHandler() -> Handler { Handler(promise) }

    final class Handler: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let promise: EventLoopPromise<[UInt8]>
        private var line: [UInt8] = []

        init(_ promise: EventLoopPromise<[UInt8]>) {
            self.promise = promise
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            line += unwrapInboundIn(data).readableBytesView
            if let end = line.firstIndex(of: UInt8(ascii: "\n")) {
                promise.succeed(Array(line[..<end]))
            } else if line.count > ControlLine.maximumLength {
                context.close(promise: nil)
            }
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(ChannelError.eof)
            context.fireChannelInactive()
        }
    }
}
