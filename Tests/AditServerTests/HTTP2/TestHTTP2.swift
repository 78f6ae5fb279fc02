// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2
import NIOPosix

/// One stream of HTTP/2, read and written by hand, of a visitor or of an app.
final class TestStream: ChannelInboundHandler, Sendable {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    /// What has come so far.
    struct Received: Sendable {
        /// Informational heads, the head and the trailers, in their order.
        var sections: [HPACKHeaders] = []
        var body: [UInt8] = []
        var isEnded = false
        var reset: HTTP2ErrorCode?
        var isClosed = false

        var text: String { String(decoding: body, as: UTF8.self) }
        var head: HPACKHeaders { sections.first { !($0.first(name: ":status") ?? "").hasPrefix("1") } ?? [:] }
        var status: String { head.first(name: ":status") ?? "" }
        /// What came behind the head.
        var trailers: HPACKHeaders { sections.count > 1 ? sections.last ?? [:] : [:] }

        /// Whether nothing more can come.
        var isDone: Bool { isEnded || isClosed }
    }

    struct Timeout: Error {
        let what: String
        let received: Received
    }

    private struct Waiter {
        var condition: @Sendable (Received) -> Bool
        var continuation: CheckedContinuation<Received, any Error>
        /// Cancelled with the wait, or it would end a later one.
        var timer: Scheduled<Void>
    }

    private struct State {
        var received = Received()
        var waiter: Waiter?
    }

    private let state = NIOLockedValueBox(State())
    private let box = NIOLockedValueBox<(any Channel)?>(nil)

    var channel: any Channel {
        get throws {
            guard let channel = box.withLockedValue({ $0 }) else { throw ChannelError.ioOnClosedChannel }
            return channel
        }
    }

    /// What has come so far.
    var received: Received { state.withLockedValue { $0.received } }

    func install(_ channel: any Channel) throws {
        box.withLockedValue { $0 = channel }
        try channel.pipeline.syncOperations.addHandler(self)
    }

    // MARK: Sending

    func send(_ fields: HPACKHeaders, end: Bool = false) async throws {
        try await channel.writeAndFlush(
            HTTP2Frame.FramePayload.headers(.init(headers: fields, endStream: end))
        ).get()
    }

    func send(_ text: String, end: Bool = false) async throws {
        try await send(bytes: Array(text.utf8), end: end)
    }

    func send(bytes: [UInt8], end: Bool = false) async throws {
        let content = HTTP2Frame.FramePayload.Data(data: .byteBuffer(ByteBuffer(bytes: bytes)), endStream: end)
        try await channel.writeAndFlush(HTTP2Frame.FramePayload.data(content)).get()
    }

    func reset(_ code: HTTP2ErrorCode) async throws {
        try await channel.writeAndFlush(HTTP2Frame.FramePayload.rstStream(code)).get()
    }

    func setReading(_ isReading: Bool) async throws {
        try await channel.setOption(.autoRead, value: isReading).get()
    }

    // MARK: Receiving

    func wait(_ what: String, until condition: @escaping @Sendable (Received) -> Bool) async throws -> Received {
        let channel = try channel
        return try await withCheckedThrowingContinuation { continuation in
            channel.eventLoop.execute {
                let timer = channel.eventLoop.scheduleTask(in: .seconds(20)) {
                    let (waiter, received) = self.state.withLockedValue { state in
                        defer { state.waiter = nil }
                        return (state.waiter, state.received)
                    }
                    waiter?.continuation.resume(throwing: Timeout(what: what, received: received))
                }
                self.state.withLockedValue { state in
                    state.waiter = Waiter(condition: condition, continuation: continuation, timer: timer)
                }
                self.serve()
            }
        }
    }

    /// Waits for the other side's end.
    func end() async throws -> Received {
        try await wait("the end") { $0.isDone }
    }

    /// Waits for the head of the other side's message.
    func head() async throws -> HPACKHeaders {
        try await wait("the head") { !$0.head.isEmpty || $0.isDone }.head
    }

    private func change(_ body: (inout Received) -> Void) {
        state.withLockedValue { body(&$0.received) }
        serve()
    }

    private func serve() {
        let served = state.withLockedValue { state -> (Waiter, Received)? in
            guard let waiter = state.waiter, waiter.condition(state.received) else { return nil }
            state.waiter = nil
            return (waiter, state.received)
        }
        guard let (waiter, received) = served else { return }
        waiter.timer.cancel()
        waiter.continuation.resume(returning: received)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let headers):
            change { received in
                received.sections.append(headers.headers)
                if headers.endStream { received.isEnded = true }
            }
        case .data(let content):
            guard case .byteBuffer(let bytes) = content.data else { return }
            change { received in
                received.body += Array(bytes.readableBytesView)
                if content.endStream { received.isEnded = true }
            }
        default: break
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let closed = error as? NIOHTTP2Errors.StreamClosed { change { $0.reset = closed.errorCode } }
    }

    func channelInactive(context: ChannelHandlerContext) {
        change { $0.isClosed = true }
    }
}

/// A connection of HTTP/2 in a test, of either role.
final class TestHTTP2: Sendable {
    private struct State {
        var waiting: [TestStream] = []
        var takers: [CheckedContinuation<TestStream, Never>] = []
        var goAways: [HTTP2ErrorCode] = []
        var connections = 0
    }

    private let state = NIOLockedValueBox(State())
    private let boxes = NIOLockedValueBox<(channel: (any Channel)?, multiplexer: NIOHTTP2Handler.StreamMultiplexer?)>(
        (nil, nil)
    )

    /// The codes of the GOAWAY frames that came.
    var goAways: [HTTP2ErrorCode] { state.withLockedValue { $0.goAways } }
    /// Connections taken so far.
    var connections: Int { state.withLockedValue { $0.connections } }
    var port: Int { boxes.withLockedValue { $0.channel?.localAddress?.port ?? 0 } }
    var channel: any Channel {
        get throws {
            guard let channel = boxes.withLockedValue({ $0.channel }) else { throw ChannelError.ioOnClosedChannel }
            return channel
        }
    }

    /// A visitor with prior knowledge.
    static func connect(
        port: Int,
        settings: HTTP2Settings = nioDefaultSettings
    ) async throws -> TestHTTP2 {
        let peer = TestHTTP2()
        let channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = peer.handler(.client, channel, settings)
                    try channel.pipeline.syncOperations.addHandlers([handler, Watch(peer)])
                    let multiplexer = try handler.syncMultiplexer()
                    peer.boxes.withLockedValue { $0.multiplexer = multiplexer }
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        peer.boxes.withLockedValue { $0.channel = channel }
        return peer
    }

    /// An app that speaks nothing but HTTP/2.
    static func listen(settings: HTTP2Settings = nioDefaultSettings) async throws -> TestHTTP2 {
        let peer = TestHTTP2()
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    peer.state.withLockedValue { $0.connections += 1 }
                    try channel.pipeline.syncOperations.addHandlers([
                        peer.handler(.server, channel, settings), Watch(peer),
                    ])
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        peer.boxes.withLockedValue { $0.channel = channel }
        return peer
    }

    private func handler(
        _ mode: NIOHTTP2Handler.ParserMode,
        _ channel: any Channel,
        _ settings: HTTP2Settings
    ) -> NIOHTTP2Handler {
        var connection = NIOHTTP2Handler.ConnectionConfiguration()
        connection.initialSettings = settings
        // The tests send what must not be sent.
        connection.headerBlockValidation = .disabled
        connection.contentLengthValidation = .disabled
        return NIOHTTP2Handler(mode: mode, eventLoop: channel.eventLoop, connectionConfiguration: connection) {
            stream in
            stream.eventLoop.makeCompletedFuture {
                let taken = TestStream()
                try taken.install(stream)
                self.take(taken)
            }
        }
    }

    /// Opens a stream.
    func open() async throws -> TestStream {
        guard let multiplexer = boxes.withLockedValue({ $0.multiplexer }) else { throw ChannelError.ioOnClosedChannel }
        let stream = TestStream()
        let channel = try channel
        _ = try await channel.eventLoop.flatSubmit {
            multiplexer.createStreamChannel { child in
                child.eventLoop.makeCompletedFuture { try stream.install(child) }
            }
        }.get()
        return stream
    }

    /// Sends a request on a stream of its own.
    func request(
        _ method: String = "GET",
        _ path: String = "/",
        host: String = "blog.example",
        fields: HPACKHeaders = [:],
        body: String? = nil
    ) async throws -> TestStream {
        let stream = try await open()
        var head: HPACKHeaders = [":method": method, ":scheme": "http", ":authority": host, ":path": path]
        head.add(contentsOf: fields.map { ($0.name, $0.value) })
        try await stream.send(head, end: body == nil)
        // A page may be there, and the stream gone, before the body is sent.
        if let body { try? await stream.send(body, end: true) }
        return stream
    }

    /// The next stream that the other side opens.
    func accept() async -> TestStream {
        await withCheckedContinuation { continuation in
            let stream = state.withLockedValue { state -> TestStream? in
                if !state.waiting.isEmpty { return state.waiting.removeFirst() }
                state.takers.append(continuation)
                return nil
            }
            if let stream { continuation.resume(returning: stream) }
        }
    }

    func close() async throws {
        try await channel.close().get()
    }

    /// Waits for the connection's end.
    func closed() async throws {
        try await channel.closeFuture.get()
    }

    private func take(_ stream: TestStream) {
        let taker = state.withLockedValue { state -> CheckedContinuation<TestStream, Never>? in
            if !state.takers.isEmpty { return state.takers.removeFirst() }
            state.waiting.append(stream)
            return nil
        }
        taker?.resume(returning: stream)
    }

    private final class Watch: ChannelInboundHandler {
        typealias InboundIn = HTTP2Frame

        private let peer: TestHTTP2

        init(_ peer: TestHTTP2) {
            self.peer = peer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard case .goAway(_, let code, _) = unwrapInboundIn(data).payload else { return }
            peer.state.withLockedValue { $0.goAways.append(code) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {}
    }
}
