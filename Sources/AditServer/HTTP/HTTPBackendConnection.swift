// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import NIOCore
import NIOHTTP1

/// The app's end of a visitor connection: an HTTP/1.1 client that carries one request at a time.
///
/// It reads only while fewer than `window` bytes of the response wait for the visitor, and says that it has taken bytes
/// of the request only while its own channel is writable.
final class HTTPBackendConnection: ChannelInboundHandler, HTTPBackendClient {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = ByteBuffer

    private enum State {
        case idle
        /// A request is on the connection.
        case busy
        /// The app agreed to change the protocol.
        case upgrading
        case raw
        case closed
    }

    private let link: HTTPBackendLink
    private let decoding: HTTPDecodingHandler<HTTPResponseHead, HTTPRequestHead>
    private let window: Int
    private var context: ChannelHandlerContext?
    private var state = State.idle
    private var isChunked = false
    private var mayUpgrade = false
    private var isRequestComplete = false
    private var isResponseStarted = false
    private var mayReuse = false
    /// The response's trailers, once its end has been seen.
    private var end: HTTPHeaders??
    private var hasUnflushedEvents = false
    private var isEndOfInput = false
    private var isOutputEnded = false
    private var outgoing = ByteBuffer()
    private var untaken = 0
    private var uploadGate: BandwidthWriteHandler?
    private var undelivered = 0
    private var isReadPending = false
    private var isReading = false

    init(
        link: HTTPBackendLink,
        decoding: HTTPDecodingHandler<HTTPResponseHead, HTTPRequestHead>,
        window: Int
    ) {
        self.link = link
        self.decoding = decoding
        self.window = window
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        lose(.closed)
    }

    /// Begins to listen to the connection.
    func begin() {
        uploadGate = try? context?.pipeline.syncOperations.handler(type: BandwidthWriteHandler.self)
        readIfWanted()
    }

    // MARK: From the visitor

    func handle(_ command: HTTPBackendCommand) {
        guard let context, state != .closed else { return }
        switch command {
        case .start(.bytes(let bytes), let head, let request): start(bytes, head, request)
        case .start(.fields, _, _): lose(.closed)
        case .body(let bytes): write(bytes)
        case .end(let trailers): endRequest(trailers)
        case .flush: flush()
        case .consumed(let count):
            undelivered -= count
            readIfWanted()
        case .endOutput:
            flush()
            let ended = context.eventLoop.makePromise(of: Void.self)
            ended.futureResult.assumeIsolated().whenComplete { _ in
                self.isOutputEnded = true
                self.closeIfBothEnded()
            }
            context.close(mode: .output, promise: ended)
        case .close:
            state = .closed
            link.backendClosed()
            context.close(promise: nil)
        }
    }

    private func start(_ bytes: ByteBuffer, _ head: HTTPRequestHead, _ request: HTTPBackendRequest) {
        guard state == .idle, !isEndOfInput else {
            lose(.closed)
            return
        }
        state = .busy
        isChunked = request.isChunked
        mayUpgrade = request.mayUpgrade
        isRequestComplete = request.isComplete
        isResponseStarted = false
        mayReuse = false
        decoding.expectResponse(to: head)
        outgoing = bytes
        if isRequestComplete { flush() }
    }

    private func write(_ bytes: ByteBuffer) {
        guard let context, bytes.readableBytes > 0 else { return }
        let count = bytes.readableBytes
        if isChunked, state != .raw { outgoing.writeChunkSize(count) }
        if count <= HTTPVisitorConnection.copiedBytes, state != .raw {
            outgoing.writeImmutableBuffer(bytes)
        } else {
            writeOutgoing()
            context.write(wrapOutboundOut(bytes), promise: nil)
        }
        if isChunked, state != .raw { outgoing.writeStaticString("\r\n") }
        untaken += count
        // A large body is written out as it comes; otherwise nothing would make the channel unwritable.
        if untaken >= window / 4 { flush() } else { takeIfWritable() }
    }

    private func endRequest(_ trailers: HTTPHeaders?) {
        if isChunked {
            outgoing.writeStaticString("0\r\n")
            outgoing.writeTrailers(trailers)
            outgoing.writeStaticString("\r\n")
        }
        isRequestComplete = true
        flush()
    }

    private func writeOutgoing() {
        guard let context, outgoing.readableBytes > 0 else { return }
        context.write(wrapOutboundOut(outgoing), promise: nil)
        outgoing = context.channel.allocator.buffer(capacity: 0)
    }

    private func flush() {
        writeOutgoing()
        context?.flush()
        takeIfWritable()
    }

    private func takeIfWritable() {
        guard untaken > 0, let context, context.channel.isWritable else { return }
        // What waits for a tunnel's bandwidth is not taken yet.
        let count = untaken - min(untaken, uploadGate?.heldByteCount ?? 0)
        guard count > 0 else { return }
        untaken -= count
        link.deliver(.consumed(count))
    }

    // MARK: From the app

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        takeIfWritable()
        context.fireChannelWritabilityChanged()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .busy): receiveHead(head)
        case (.body(let bytes), .busy), (.body(let bytes), .raw):
            undelivered += bytes.readableBytes
            hasUnflushedEvents = true
            link.deliver(.body(bytes))
        case (.end(let trailers), .busy): end = .some(trailers)
        case (.end, .upgrading):
            state = .raw
            decoding.switchToRaw()
        default: break
        }
    }

    private func receiveHead(_ head: HTTPResponseHead) {
        guard !isResponseStarted, end == nil else {
            lose(.invalid)
            return
        }
        hasUnflushedEvents = true
        if head.status.code == 101 {
            let hasUpgrade = head.headers.contains(name: "upgrade")
            let options = head.headers["connection"].flatMap(HTTPField.members)
            guard mayUpgrade, hasUpgrade, options.contains(where: { HTTPField.isEqual($0, "upgrade") }) else {
                lose(.invalid)
                return
            }
            state = .upgrading
            link.deliver(.upgraded(head))
        } else if head.status.code < 200 {
            link.deliver(.head(head))
        } else {
            isResponseStarted = true
            mayReuse = head.isKeepAlive
            link.deliver(.head(head))
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        isReadPending = false
        deliverEnd()
        deliverFlush()
        readIfWanted()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { endInput() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        endInput()
        lose(isResponseStarted ? .cut : .closed)
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        isReading = false
        // A complete response stands, whatever follows it; the connection is not used again.
        if end != nil {
            isEndOfInput = true
            deliverEnd()
        }
        if error is HTTPParseFailure || error is HTTPParserError || error is NIOHTTPDecoderError {
            lose(.invalid)
        } else {
            lose(isResponseStarted ? .cut : .closed)
        }
    }

    private func endInput() {
        guard !isEndOfInput else { return }
        isEndOfInput = true
        isReading = false
        switch state {
        case .raw:
            link.deliver(.inputEnded)
            closeIfBothEnded()
        case .busy where end != nil: deliverEnd()
        case .busy, .upgrading: lose(isResponseStarted ? .cut : .closed)
        case .idle: lose(.closed)
        case .closed: break
        }
    }

    private func deliverEnd() {
        guard let trailers = end, state == .busy else { return }
        end = nil
        let isReusable = mayReuse && isRequestComplete && !isEndOfInput
        state = .idle
        isResponseStarted = false
        hasUnflushedEvents = false
        link.deliver(.end(trailers, isReusable: isReusable))
    }

    private func deliverFlush() {
        guard hasUnflushedEvents else { return }
        hasUnflushedEvents = false
        link.deliver(.flush)
    }

    private func readIfWanted() {
        guard let context, !isReadPending, !isReading, !isEndOfInput, state != .closed, undelivered < window else {
            return
        }
        isReadPending = true
        context.read()
    }

    private func closeIfBothEnded() {
        guard isOutputEnded, isEndOfInput else { return }
        lose(.closed)
    }

    private func lose(_ loss: HTTPBackendLoss) {
        guard state != .closed else { return }
        state = .closed
        link.backendClosed()
        link.deliver(.lost(loss))
        context?.close(promise: nil)
    }
}
