// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2

/// One request of a visitor who speaks HTTP/2, and its response.
final class HTTP2VisitorStream: HTTPRequestCarrier, ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private let connection: HTTP2VisitorConnection
    /// The request came when there were too many, and is refused without being read.
    private let isRefused: Bool
    private var fields: HTTP2RequestFields?
    private var isRequestEnded = false
    /// The response's head, until it is known whether anything follows it.
    private var heldHead: HPACKHeaders?
    /// The latest part of the body, until it is known whether it is the last.
    private var heldBody: ByteBuffer?

    init(_ connection: HTTP2VisitorConnection, isRefused: Bool) {
        self.connection = connection
        self.isRefused = isRefused
        super.init(connection.visitor, state: connection.state)
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connection.streamBegan()
        if context.channel.isActive { begin() }
    }

    func channelActive(context: ChannelHandlerContext) {
        begin()
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    private func begin() {
        if isRefused {
            reset(.refusedStream)
        } else {
            pump()
        }
    }

    private func finish() {
        guard !isFinished else { return }
        isFinished = true
        heldHead = nil
        heldBody = nil
        finishExchange()
        connection.streamEnded(wasRefused: isRefused)
    }

    // MARK: What arrives

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRefused, phase != .closed else { return }
        switch unwrapInboundIn(data) {
        case .headers(let headers): receive(headers)
        case .data(let content):
            guard case .byteBuffer(let bytes) = content.data else { return }
            if content.endStream { isRequestEnded = true }
            if bytes.readableBytes > 0 { take(.part(.body(bytes))) }
            if content.endStream { take(.part(.end(nil))) }
        default: break
        }
    }

    private func receive(_ headers: HTTP2Frame.FramePayload.Headers) {
        if headers.endStream { isRequestEnded = true }
        guard fields == nil else {
            take(.part(.end(HTTPHeaders(http2: headers.headers))))
            return
        }
        do {
            let fields = try HTTP2RequestFields(headers.headers, limits: state.limits)
            self.fields = fields
            let head = HTTPRequestHead(
                version: .http2,
                method: HTTPMethod(rawValue: fields.method),
                uri: fields.path,
                headers: fields.headers
            )
            take(.part(.head(head)))
        } catch {
            take(.failure(error))
        }
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReadPending = false
        if phase == .exchange { backend?.send(.flush) }
        pump()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            timers.cancel(.visitorStall)
            acknowledge(0)
            pump()
        }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // NIO resets the stream, or the visitor has: the stream's end follows by itself.
    }

    override func read(_ head: HTTPRequestHead) throws(HTTPRefusal) -> HTTPVisitorRequest {
        guard let fields else { throw HTTP2RequestFields.malformed }
        return try HTTPVisitorRequest(head, fields, hasEnded: isRequestEnded, limits: state.limits)
    }

    // MARK: Connections to apps

    override func sharedBackends(on loop: any EventLoop) -> HTTPBackendPool { connection.backends }

    override func takeKeptBackend(_ request: HTTPVisitorRequest, _ route: HTTPRoute) -> Bool {
        guard let link = connection.backends.take(route, isRepeatable: request.isRepeatable) else { return false }
        dropBackend()
        link.attach(self)
        backend = link
        return true
    }

    override func keepBackend(_ route: HTTPRoute) {
        guard let link = backend else { return }
        backend = nil
        connection.backends.keep(link, route)
    }

    // MARK: Writing

    override func writeHead(_ plan: HTTPResponsePlan) {
        heldHead = plan.http2Fields
    }

    override func writeInformational(_ head: HTTPResponseHead) throws(HTTPResponsePlan.Invalid) {
        write(try HTTPResponsePlan.http2Informational(head), isEnd: false)
    }

    override func writeBody(_ bytes: ByteBuffer, _ framing: HTTPResponsePlan.Framing) {
        writeHeld()
        heldBody = bytes
    }

    override func writeEnd(_ trailers: HTTPHeaders?, _ framing: HTTPResponsePlan.Framing) {
        let last = framing == .none ? HPACKHeaders() : HPACKHeaders(trailers: trailers)
        if !last.isEmpty {
            writeHeld()
            write(last, isEnd: true)
        } else if let body = heldBody {
            heldBody = nil
            write(body, isEnd: true)
        } else if let head = heldHead {
            heldHead = nil
            write(head, isEnd: true)
        } else {
            write(ByteBuffer(), isEnd: true)
        }
    }

    override func writePage(_ page: HTTPPage, to head: HTTPRequestHead?, keepAlive: Bool) {
        let writer = HTTPPageWriter(
            page,
            for: head,
            keepAlive: true,
            now: state.clock.now(),
            replacement: page.isReplaceable ? state.unknownNamePage : nil
        )
        let content = writer.http2
        guard let body = content.body else {
            write(content.fields, isEnd: true)
            return
        }
        write(content.fields, isEnd: false)
        write(body, isEnd: true)
    }

    override func writeNoContent(to head: HTTPRequestHead, keepAlive: Bool) {
        var fields = HPACKHeaders()
        fields.add(name: ":status", value: "204")
        fields.add(name: "date", value: HTTPDate(state.clock.now()).field)
        fields.add(name: "cache-control", value: "no-store")
        write(fields, isEnd: true)
    }

    override func flush() {
        guard let context else { return }
        writeHeld()
        context.flush()
        if !context.channel.isWritable, timers[.visitorStall] == nil { arm(.visitorStall, state.limits.visitorStall) }
    }

    private func writeHeld() {
        if let head = heldHead {
            heldHead = nil
            write(head, isEnd: false)
        }
        if let body = heldBody {
            heldBody = nil
            write(body, isEnd: false)
        }
    }

    private func write(_ fields: HPACKHeaders, isEnd: Bool) {
        guard let context else { return }
        let promise = context.eventLoop.makePromise(of: Void.self)
        // The app sent fields that HTTP/2 cannot have.
        promise.futureResult.assumeIsolated().whenFailure { _ in self.reset(.internalError) }
        if isEnd { endsWith(promise.futureResult) }
        context.write(wrapOutboundOut(.headers(.init(headers: fields, endStream: isEnd))), promise: promise)
    }

    private func write(_ body: ByteBuffer, isEnd: Bool) {
        guard let context else { return }
        var promise: EventLoopPromise<Void>?
        if isEnd {
            let last = context.eventLoop.makePromise(of: Void.self)
            endsWith(last.futureResult)
            promise = last
        }
        let content = HTTP2Frame.FramePayload.Data(data: .byteBuffer(body), endStream: isEnd)
        context.write(wrapOutboundOut(.data(content)), promise: promise)
    }

    /// Once the response is out, the rest of its request is not wanted (RFC 9113 section 8.1).
    private func endsWith(_ written: EventLoopFuture<Void>) {
        guard !isRequestEnded else { return }
        written.assumeIsolated().whenSuccess { self.reset(.noError) }
    }

    override func responseEnds(keepAlive: Bool) {
        phase = .lingering
        timers.cancelAll()
        // A visitor who takes nothing of it does not keep it for ever.
        arm(.visitorStall, state.limits.visitorStall)
        context?.flush()
        pump()
    }

    // MARK: The end

    override func cutOff(_ code: HTTP2ErrorCode) {
        flush()
        reset(code == .noError ? .internalError : code)
    }

    override func passReset(_ code: HTTP2ErrorCode) -> Bool {
        state.countFailure()
        report(502)
        exchange = nil
        reset(code == .noError ? .internalError : code)
        return true
    }

    private func reset(_ code: HTTP2ErrorCode) {
        guard let context, !isFinished else { return }
        phase = .closed
        context.writeAndFlush(wrapOutboundOut(.rstStream(code)), promise: nil)
    }
}
