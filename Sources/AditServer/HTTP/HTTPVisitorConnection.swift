// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore
import NIOHTTP1
import NIOHTTP2

/// A visitor's connection of HTTP/1.1 or HTTP/1.0: takes its requests one at a time and answers each.
final class HTTPVisitorConnection: HTTPRequestCarrier, ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    /// Parts of bodies up to this size are copied next to their framing; larger ones are written on their own.
    static let copiedBytes = 4_096

    private let decoding: HTTPDecodingHandler<HTTPRequestHead, HTTPResponseHead>
    private var outgoing = ByteBuffer()
    private var isOutputClosed = false
    private var isEndOutputSent = false
    /// Since the last end of a read, a part came.
    private var sawPart = false
    private var isRegistered = false
    /// Bytes of a request came that are no whole head yet.
    private var hasPartialHead = false
    /// The visitor turned out to speak HTTP/2, and another handler has this one's place.
    private var isHandedOver = false
    /// Which opening of which tunnel `backend` leads to.
    private var backendRoute: (name: String, id: UInt64)?
    private var backendIdleSince = NIODeadline.distantPast
    private var shared: HTTPBackendPool?
    private var place: HTTPPlace

    init(
        _ visitor: HTTPVisitor,
        decoding: HTTPDecodingHandler<HTTPRequestHead, HTTPResponseHead>,
        state: HTTPFrontEndState,
        place: HTTPPlace
    ) {
        self.decoding = decoding
        self.place = place
        super.init(visitor, state: state)
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isRegistered = true
        let bound = NIOLoopBound<any HTTPFrontEndConnection>(self, eventLoop: context.eventLoop)
        state.add(.init(loop: context.eventLoop, connection: bound), id: ObjectIdentifier(self))
        arm(.requestHead, state.limits.requestHead)
        if context.channel.isActive { pump() }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish()
        self.context = nil
    }

    func channelActive(context: ChannelHandlerContext) {
        pump()
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    /// Gives the connection's place back when its pipeline could not be made.
    func releaseWithoutPipeline() {
        finish()
    }

    private func finish() {
        guard !isFinished else { return }
        isFinished = true
        if phase == .upgraded { state.countUpgrade(-1) }
        finishExchange()
        shared?.close()
        shared = nil
        if !isHandedOver { state.release(place) }
        if isRegistered { state.remove(id: ObjectIdentifier(self)) }
    }

    // MARK: What arrives

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        sawPart = true
        take(.part(unwrapInboundIn(data)))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReadPending = false
        if phase == .idle, !sawPart {
            // A read without a part is the beginning of a head.
            hasPartialHead = true
            timers.cancel(.idle)
            if timers[.requestHead] == nil { arm(.requestHead, state.limits.requestHead) }
        }
        sawPart = false
        if phase == .exchange || phase == .upgraded { backend?.send(.flush) }
        pump()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if let failure = error as? HTTPParseFailure {
            take(.failure(Self.refusal(failure)))
        } else if let error = error as? HTTPParserError {
            take(.failure(Self.refusal(HTTPParseFailure(reason: error, isTargetTooLong: false))))
        } else {
            close()
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent {
            isInputClosed = true
            if phase == .exchange { arm(.halfClosed, state.limits.halfClosed) }
            pump()
        } else if let preface = event as? HTTP2Preface {
            becomeHTTP2(preface, context)
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            timers.cancel(.visitorStall)
            acknowledge(0)
            pump()
        }
        context.fireChannelWritabilityChanged()
    }

    /// Leaves the connection to HTTP/2, which the visitor speaks without having asked (RFC 9113 section 3.3).
    private func becomeHTTP2(_ preface: HTTP2Preface, _ context: ChannelHandlerContext) {
        guard phase == .idle, !isFinished else { return }
        let channel = context.channel
        do {
            let connection = try HTTP2VisitorConnection.install(
                on: channel,
                visitor: visitor,
                state: state,
                place: place
            )
            isHandedOver = true
            let pipeline = channel.pipeline.syncOperations
            pipeline.removeHandler(self, promise: nil)
            pipeline.removeHandler(decoding, promise: nil)
            connection.begin(with: preface.bytes)
        } catch {
            close()
        }
    }

    override func requestBegins() {
        state.settle(&place)
        timers.cancel(.requestHead)
        timers.cancel(.idle)
        hasPartialHead = false
    }

    override func handleEndOfInput() {
        switch phase {
        case .idle, .lingering: close()
        case .upgraded where !isEndOutputSent:
            isEndOutputSent = true
            backend?.send(.endOutput)
        case .upgraded, .exchange, .closed: break
        }
    }

    override func fire(_ timer: HTTPTimer) {
        switch timer {
        case .requestHead where phase == .idle && hasPartialHead:
            answer(.refused(.timeout), to: nil, mayKeepAlive: false)
        // A browser opens connections that it may need; it is told nothing about those that it does not.
        case .requestHead where phase == .idle: close()
        case .requestHead: break
        default: close()
        }
    }

    // MARK: Connections to apps

    override func sharedBackends(on loop: any EventLoop) -> HTTPBackendPool {
        if let shared { return shared }
        let pool = HTTPBackendPool(limits: state.limits, loop: loop)
        shared = pool
        return pool
    }

    override func takeKeptBackend(_ request: HTTPVisitorRequest, _ route: HTTPRoute) -> Bool {
        guard backend != nil, let kept = backendRoute, kept.name == route.tunnelName, kept.id == route.id else {
            return false
        }
        return request.isRepeatable || backendIdleSince + state.limits.reuseForUnsafe > .now()
    }

    override func keepBackend(_ route: HTTPRoute) {
        backendRoute = (route.tunnelName, route.id)
        backendIdleSince = .now()
    }

    // MARK: Writing

    override func writeHead(_ plan: HTTPResponsePlan) {
        makeRoom(1_024)
        plan.write(into: &outgoing)
    }

    override func writeInformational(_ head: HTTPResponseHead) throws(HTTPResponsePlan.Invalid) {
        makeRoom(256)
        do {
            try HTTPResponsePlan.writeInformational(head, into: &outgoing)
        } catch {
            outgoing.clear()
            throw error
        }
    }

    override func writeBody(_ bytes: ByteBuffer, _ framing: HTTPResponsePlan.Framing) {
        if framing == .chunked { outgoing.writeChunkSize(bytes.readableBytes) }
        if bytes.readableBytes <= Self.copiedBytes {
            outgoing.writeImmutableBuffer(bytes)
        } else {
            writeOutgoing()
            context?.write(wrapOutboundOut(bytes), promise: nil)
        }
        if framing == .chunked { outgoing.writeStaticString("\r\n") }
    }

    override func writeEnd(_ trailers: HTTPHeaders?, _ framing: HTTPResponsePlan.Framing) {
        guard framing == .chunked else { return }
        outgoing.writeStaticString("0\r\n")
        outgoing.writeTrailers(trailers)
        outgoing.writeStaticString("\r\n")
    }

    override func writePage(_ page: HTTPPage, to head: HTTPRequestHead?, keepAlive: Bool) {
        guard let context else { return }
        outgoing = context.channel.allocator.buffer(capacity: 4_096)
        let writer = HTTPPageWriter(
            page,
            for: head,
            keepAlive: keepAlive,
            now: state.clock.now(),
            replacement: page.isReplaceable ? state.unknownNamePage : nil
        )
        writer.write(into: &outgoing)
    }

    override func writeNoContent(to head: HTTPRequestHead, keepAlive: Bool) {
        makeRoom(256)
        outgoing.writeStatusLine(.noContent)
        outgoing.writeField("Date", HTTPDate(state.clock.now()).field)
        outgoing.writeField("Cache-Control", "no-store")
        outgoing.writeConnection(keepAlive: keepAlive, isHTTP10: head.version.minor == 0)
        outgoing.writeStaticString("\r\n")
    }

    override func responseEnds(keepAlive: Bool) {
        guard keepAlive else {
            closeGracefully()
            return
        }
        flush()
        phase = .idle
        arm(.idle, state.limits.idle)
        pump()
    }

    override func flush() {
        guard let context else { return }
        writeOutgoing()
        context.flush()
        if !context.channel.isWritable, timers[.visitorStall] == nil { arm(.visitorStall, state.limits.visitorStall) }
    }

    private func makeRoom(_ capacity: Int) {
        if outgoing.readableBytes == 0, let context { outgoing = context.channel.allocator.buffer(capacity: capacity) }
    }

    private func writeOutgoing() {
        guard let context, outgoing.readableBytes > 0 else { return }
        context.write(wrapOutboundOut(outgoing), promise: nil)
        outgoing = ByteBuffer()
    }

    // MARK: Leaving HTTP

    override func upgrade(_ head: HTTPResponseHead) {
        guard let exchange, exchange.isRequestComplete, let context else {
            close()
            return
        }
        outgoing = context.channel.allocator.buffer(capacity: 512)
        do {
            try HTTPResponsePlan.writeInformational(head, into: &outgoing)
        } catch {
            outgoing.clear()
            failExchange(.invalidResponse(exchange.route))
            return
        }
        state.appAnswered(exchange.route)
        report(101, isUpgraded: true)
        state.countUpgrade(1)
        timers.cancel(.responseHead)
        self.exchange = nil
        phase = .upgraded
        flush()
        decoding.switchToRaw()
        pump()
    }

    override func endOutput() {
        guard phase == .upgraded, !isOutputClosed, let context else { return }
        flush()
        let ended = context.eventLoop.makePromise(of: Void.self)
        ended.futureResult.assumeIsolated().whenComplete { _ in
            self.isOutputClosed = true
            if self.isInputClosed { self.close() }
        }
        context.close(mode: .output, promise: ended)
    }

    override func endUpgraded() {
        dropBackend()
        closeGracefully()
    }

    // MARK: The end

    override func cutOff(_ code: HTTP2ErrorCode) {
        guard let context else { return }
        flush()
        phase = .closed
        ChannelReset.close(context.channel)
    }

    /// Lets the visitor read the last response before the connection goes: a socket closed with unread bytes is reset.
    private func closeGracefully() {
        guard let context else { return }
        if phase == .upgraded { state.countUpgrade(-1) }
        phase = .lingering
        timers.cancelAll()
        arm(.visitorStall, state.limits.visitorStall)
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenComplete { _ in self.linger() }
        let last = outgoing
        outgoing = ByteBuffer()
        context.writeAndFlush(wrapOutboundOut(last), promise: written)
        pump()
    }

    private func linger() {
        guard phase == .lingering, let context else { return }
        guard !isInputClosed else {
            close()
            return
        }
        arm(.linger, state.limits.linger)
        let ended = context.eventLoop.makePromise(of: Void.self)
        ended.futureResult.assumeIsolated().whenFailure { _ in self.close() }
        context.close(mode: .output, promise: ended)
    }

    private static func refusal(_ failure: HTTPParseFailure) -> HTTPRefusal {
        switch failure.reason {
        case .headerOverflow: failure.isTargetTooLong ? .targetTooLong : .headerTooLarge
        case .invalidVersion: .versionUnknown
        default: .malformed(Text("The request is not valid HTTP.", zh: "请求不是有效的 HTTP。"))
        }
    }
}

extension HTTPVisitorConnection: HTTPFrontEndConnection {
    func drain() {
        if phase == .idle { close() }
    }
}
