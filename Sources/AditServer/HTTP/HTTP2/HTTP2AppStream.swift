// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2

/// The app's end of one request over HTTP/2: a client on one stream.
///
/// It reads only while fewer than `window` bytes of the response wait for the visitor, and says that it has taken bytes of
/// the request only while the stream has room for more; the app's own windows bound that room.
final class HTTP2AppStream: ChannelInboundHandler, HTTPBackendClient {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private let link: HTTPBackendLink
    private let connection: HTTP2AppConnection
    private let window: Int
    private var context: ChannelHandlerContext?
    /// What was asked for before the stream's channel was there, which takes a turn of the event loop.
    private var early = CircularBuffer<HTTPBackendCommand>()
    private var isEnded = false
    private var isCounted = true
    private var isRequestComplete = false
    private var isResponseStarted = false
    private var reset: HTTP2ErrorCode?
    private var untaken = 0
    private var undelivered = 0
    private var isReadPending = false
    private var isReading = false
    private var hasUnflushedEvents = false

    init(link: HTTPBackendLink, connection: HTTP2AppConnection, window: Int) {
        self.link = link
        self.connection = connection
        self.window = window
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        guard !isEnded else {
            context.close(promise: nil)
            return
        }
        // Taking one may bring the visitor's next, which has to wait behind the others.
        while !isEnded, let command = early.popFirst() { perform(command, context) }
        if context.channel.isActive { readIfWanted() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        lose()
        leave()
    }

    /// The stream could not be made.
    func fail() {
        lose()
        leave()
    }

    // MARK: From the visitor

    func handle(_ command: HTTPBackendCommand) {
        guard !isEnded else { return }
        if case .close = command {
            close()
        } else if let context, early.isEmpty {
            perform(command, context)
        } else {
            early.append(command)
        }
    }

    private func perform(_ command: HTTPBackendCommand, _ context: ChannelHandlerContext) {
        switch command {
        case .start(let block, _, let request): start(block, request, context)
        case .body(let bytes): write(bytes, context)
        case .end(let trailers): endRequest(trailers, context)
        case .flush:
            context.flush()
            takeIfWritable()
        case .consumed(let count):
            undelivered -= count
            readIfWanted()
        case .endOutput, .close: break
        }
    }

    private func close() {
        isEnded = true
        early.removeAll()
        link.backendClosed()
        context?.close(promise: nil)
    }

    private func start(_ block: HTTPRequestBlock, _ request: HTTPBackendRequest, _ context: ChannelHandlerContext) {
        guard case .fields(let fields) = block else {
            lose()
            return
        }
        isRequestComplete = request.isComplete
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenFailure { _ in self.lose() }
        let payload = HTTP2Frame.FramePayload.headers(.init(headers: fields, endStream: request.isComplete))
        // The head goes out at once: an app may answer before it gets a body.
        context.writeAndFlush(wrapOutboundOut(payload), promise: written)
    }

    private func write(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        let count = bytes.readableBytes
        guard count > 0, !isRequestComplete else { return }
        context.write(wrapOutboundOut(.data(.init(data: .byteBuffer(bytes)))), promise: nil)
        untaken += count
        if untaken >= window / 4 {
            context.flush()
        }
        takeIfWritable()
    }

    private func endRequest(_ trailers: HTTPHeaders?, _ context: ChannelHandlerContext) {
        guard !isRequestComplete else { return }
        isRequestComplete = true
        let fields = HPACKHeaders(trailers: trailers)
        let last: HTTP2Frame.FramePayload =
            fields.isEmpty
            ? .data(.init(data: .byteBuffer(ByteBuffer()), endStream: true))
            : .headers(.init(headers: fields, endStream: true))
        context.writeAndFlush(wrapOutboundOut(last), promise: nil)
        takeIfWritable()
    }

    /// Says that bytes of the request are taken, as far as they do not wait for anything.
    func takeIfWritable() {
        guard untaken > 0, !isEnded, let context, context.channel.isWritable else { return }
        // Nobody knows whose bytes wait for a tunnel's bandwidth; as this stream's own they are at most `window`.
        let count = untaken - min(untaken, connection.heldByteCount(for: self))
        guard count > 0 else { return }
        untaken -= count
        link.deliver(.consumed(count))
    }

    // MARK: From the app

    func channelActive(context: ChannelHandlerContext) {
        readIfWanted()
        context.fireChannelActive()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        takeIfWritable()
        context.fireChannelWritabilityChanged()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isEnded else { return }
        isReading = true
        switch unwrapInboundIn(data) {
        case .headers(let headers): receive(headers.headers, isEnd: headers.endStream)
        case .data(let content):
            guard case .byteBuffer(let bytes) = content.data else { return }
            if bytes.readableBytes > 0 {
                undelivered += bytes.readableBytes
                hasUnflushedEvents = true
                link.deliver(.body(bytes))
            }
            if content.endStream { end(nil) }
        default: break
        }
    }

    private func receive(_ fields: HPACKHeaders, isEnd: Bool) {
        if isResponseStarted {
            end(HTTPHeaders(http2: fields))
            return
        }
        guard let head = HTTPResponseHead(http2: fields) else {
            lose(.invalid)
            return
        }
        hasUnflushedEvents = true
        if head.status.code >= 200 { isResponseStarted = true }
        link.deliver(.head(head))
        if isEnd { end(nil) }
    }

    private func end(_ trailers: HTTPHeaders?) {
        guard !isEnded else { return }
        isEnded = true
        isReading = false
        hasUnflushedEvents = false
        link.backendClosed()
        link.deliver(.end(trailers, isReusable: false))
        // What the app did not want to read it need not be sent either.
        if !isRequestComplete { context?.close(promise: nil) }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        isReadPending = false
        if hasUnflushedEvents {
            hasUnflushedEvents = false
            link.deliver(.flush)
        }
        readIfWanted()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        isReading = false
        if let closed = error as? NIOHTTP2Errors.StreamClosed {
            reset = closed.errorCode
        } else {
            // The response breaks the rules; NIO resets the stream.
            lose(.invalid)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        isReading = false
        lose()
        context.fireChannelInactive()
    }

    private func readIfWanted() {
        guard let context, !isReadPending, !isReading, !isEnded, undelivered < window else { return }
        isReadPending = true
        context.read()
    }

    private func lose() {
        let fallback = connection.loss
        lose(reset.map { .reset($0) } ?? (fallback == .closed && isResponseStarted ? .cut : fallback))
    }

    private func lose(_ loss: HTTPBackendLoss) {
        guard !isEnded else { return }
        isEnded = true
        link.backendClosed()
        link.deliver(.lost(loss))
        context?.close(promise: nil)
    }

    private func leave() {
        guard isCounted else { return }
        isCounted = false
        connection.streamClosed()
    }
}
