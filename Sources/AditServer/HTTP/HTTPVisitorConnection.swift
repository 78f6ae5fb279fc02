// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOCore
import NIOHTTP1

/// A visitor's connection: takes its requests one at a time and answers each from an app or with a page.
///
/// The next request is not looked at before the response to the present one is written. Bodies stream: the visitor is read
/// only while fewer than `HTTPLimits.bytesInFlight` bytes wait for the app, and the app only while fewer wait for the
/// visitor. All of it happens on the visitor's event loop.
final class HTTPVisitorConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = ByteBuffer

    enum Phase {
        /// Between two requests.
        case idle
        /// A request is on its way to an app.
        case exchange
        /// The connection left HTTP.
        case upgraded
        /// The last response is written; what still comes is dropped until the visitor closes.
        case lingering
        case closed
    }

    /// Parts of bodies up to this size are copied next to their framing; larger ones are written on their own.
    static let copiedBytes = 4_096
    /// A visitor who pipelines more parts than one read can bring is not a visitor.
    private static let pendingParts = 16_384

    let visitor: HTTPVisitor
    let state: HTTPFrontEndState
    let decoding: HTTPDecodingHandler<HTTPRequestHead, HTTPResponseHead>
    var context: ChannelHandlerContext?
    var phase = Phase.idle
    var exchange: HTTPExchange?
    /// The connection to the app: of the exchange, or kept for the next one.
    var backend: HTTPBackendLink?
    /// Which opening of which tunnel `backend` leads to.
    var backendRoute: (name: String, id: UInt64)?
    var backendIdleSince = NIODeadline.distantPast
    /// Counts openings, so that one that comes too late is recognised.
    var openings = 0
    /// The tunnel among whose visitors this connection counts.
    var tunnel: String?
    /// Bytes of the request that the app has not taken yet.
    var inFlight = 0
    /// Bytes of the response that wait for the visitor.
    var unacknowledged = 0
    var outgoing = ByteBuffer()
    var isInputClosed = false
    var isOutputClosed = false
    var isFinished = false
    var timers = TimerTable<HTTPTimer>()
    var scheduled: (at: Instant, task: Scheduled<Void>)?

    private var pending = CircularBuffer<HTTPPendingPart>()
    private var isPumping = false
    private var isReadPending = false
    private var isEndOutputSent = false
    /// Since the last end of a read, a part came.
    private var sawPart = false
    private var isRegistered = false
    /// Bytes of a request came that are no whole head yet.
    var hasPartialHead = false

    init(
        _ visitor: HTTPVisitor,
        decoding: HTTPDecodingHandler<HTTPRequestHead, HTTPResponseHead>,
        state: HTTPFrontEndState
    ) {
        self.visitor = visitor
        self.decoding = decoding
        self.state = state
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        isRegistered = true
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
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

    /// Ends the connection after the present response.
    func drain() {
        if phase == .idle { close() }
    }

    /// Closes the connection at once.
    func close() {
        phase = .closed
        context?.close(promise: nil)
    }

    private func finish() {
        guard !isFinished else { return }
        isFinished = true
        if exchange != nil { report(exchange?.plan.map { Int($0.head.status.code) } ?? 499) }
        if phase == .upgraded { state.countUpgrade(-1) }
        phase = .closed
        exchange = nil
        dropBackend()
        pending.removeAll()
        timers.cancelAll()
        scheduled?.task.cancel()
        scheduled = nil
        if let tunnel { state.leave(tunnel) }
        tunnel = nil
        state.release()
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

    private func take(_ part: HTTPPendingPart) {
        guard phase != .closed else { return }
        guard pending.count < Self.pendingParts else {
            close()
            return
        }
        pending.append(part)
        pump()
    }

    // MARK: One thing after the other

    /// Handles what waits, as far as the present phase allows, and reads more when nothing waits.
    func pump() {
        guard !isPumping, let context else { return }
        isPumping = true
        while let next = pending.first, canHandle(next, context) {
            pending.removeFirst()
            handle(next)
        }
        isPumping = false
        if isInputClosed, pending.isEmpty { handleEndOfInput(context) }
        readIfWanted(context)
    }

    private func canHandle(_ part: HTTPPendingPart, _ context: ChannelHandlerContext) -> Bool {
        switch phase {
        case .lingering, .closed: return true
        case .idle: return context.channel.isWritable
        case .upgraded: return inFlight < state.limits.bytesInFlight
        case .exchange:
            guard let exchange, !exchange.isRequestComplete else { return false }
            if case .failure = part { return true }
            return exchange.isSent && inFlight < state.limits.bytesInFlight
        }
    }

    private func handle(_ part: HTTPPendingPart) {
        switch (part, phase) {
        case (.part(.head(let head)), .idle): begin(head)
        case (.part(.body(let bytes)), .exchange), (.part(.body(let bytes)), .upgraded):
            inFlight += bytes.readableBytes
            backend?.send(.body(bytes))
            if phase == .exchange, exchange?.plan == nil { arm(.requestBody, state.limits.requestBody) }
        case (.part(.end(let trailers)), .exchange): endRequest(trailers)
        case (.failure(let refusal), .idle): answer(.refused(refusal), to: nil, mayKeepAlive: false)
        case (.failure(let refusal), .exchange): failExchange(.refused(refusal))
        case (.failure, .upgraded): close()
        default: break
        }
    }

    private func endRequest(_ trailers: HTTPHeaders?) {
        exchange?.isRequestComplete = true
        timers.cancel(.requestBody)
        if exchange?.plan == nil { arm(.responseHead, state.limits.responseHead) }
        backend?.send(.end(trailers))
    }

    private func handleEndOfInput(_ context: ChannelHandlerContext) {
        switch phase {
        case .idle, .lingering: close()
        case .upgraded where !isEndOutputSent:
            isEndOutputSent = true
            backend?.send(.endOutput)
        case .upgraded, .exchange, .closed: break
        }
    }

    private func readIfWanted(_ context: ChannelHandlerContext) {
        guard !isReadPending, !isInputClosed, pending.isEmpty else { return }
        switch phase {
        case .closed: return
        case .lingering: break
        case .idle: guard context.channel.isWritable else { return }
        case .upgraded: guard inFlight < state.limits.bytesInFlight else { return }
        case .exchange:
            guard let exchange, exchange.isSent, !exchange.isRequestComplete, inFlight < state.limits.bytesInFlight
            else { return }
        }
        isReadPending = true
        context.read()
    }

    private static func refusal(_ failure: HTTPParseFailure) -> HTTPRefusal {
        switch failure.reason {
        case .headerOverflow: failure.isTargetTooLong ? .targetTooLong : .headerTooLarge
        case .invalidVersion: .versionUnknown
        default: .malformed(Text("The request is not valid HTTP.", zh: "请求不是有效的 HTTP。"))
        }
    }
}
