// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import NIOCore
import NIOHTTP1
import NIOHTTP2

/// Carries a visitor's requests to apps, one at a time, and the responses back: what HTTP/1.1 and HTTP/2 have in common.
///
/// A subclass reads requests and writes responses in its own version of HTTP, for a whole connection or for one stream.
/// The next request is not looked at before the response to the present one is written. Bodies stream: the visitor is read
/// only while fewer than `HTTPLimits.bytesInFlight` bytes wait for the app, and the app only while fewer wait for the
/// visitor. All of it happens on the visitor's event loop.
class HTTPRequestCarrier: HTTPBackendSink {
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

    /// A visitor who pipelines more parts than one read can bring is not a visitor.
    private static let pendingParts = 16_384

    let visitor: HTTPVisitor
    let state: HTTPFrontEndState
    var context: ChannelHandlerContext?
    var phase = Phase.idle
    var exchange: HTTPExchange?
    /// The connection to the app: of the exchange, or kept for the next one.
    var backend: HTTPBackendLink?
    /// Counts openings, so that one that comes too late is recognised.
    var openings = 0
    /// The tunnel among whose visitors this one counts.
    var tunnel: String?
    /// Bytes of the request that the app has not taken yet.
    var inFlight = 0
    /// Bytes of the response that wait for the visitor.
    var unacknowledged = 0
    var isInputClosed = false
    var isFinished = false
    var isReadPending = false
    var timers = TimerTable<HTTPTimer>()
    var scheduled: (at: Instant, task: Scheduled<Void>)?

    var pending = CircularBuffer<HTTPPendingPart>()
    private var isPumping = false

    init(_ visitor: HTTPVisitor, state: HTTPFrontEndState) {
        self.visitor = visitor
        self.state = state
    }

    // MARK: What a version of HTTP adds

    /// Reads a request from its head.
    func read(_ head: HTTPRequestHead) throws(HTTPRefusal) -> HTTPVisitorRequest {
        try HTTPVisitorRequest(head, limits: state.limits)
    }

    /// A request's head is there.
    func requestBegins() {}

    /// The connections to apps that outlive a request.
    func sharedBackends(on loop: any EventLoop) -> HTTPBackendPool {
        HTTPBackendPool(limits: state.limits, loop: loop)
    }

    /// Makes a kept connection to the very same tunnel this request's own; false when there is none.
    func takeKeptBackend(_ request: HTTPVisitorRequest, _ route: HTTPRoute) -> Bool { false }

    /// Keeps the exchange's connection to the app for another request.
    func keepBackend(_ route: HTTPRoute) { dropBackend() }

    func writeHead(_ plan: HTTPResponsePlan) {}

    func writeInformational(_ head: HTTPResponseHead) throws(HTTPResponsePlan.Invalid) {}

    func writeBody(_ bytes: ByteBuffer, _ framing: HTTPResponsePlan.Framing) {}

    func writeEnd(_ trailers: HTTPHeaders?, _ framing: HTTPResponsePlan.Framing) {}

    func writePage(_ page: HTTPPage, to head: HTTPRequestHead?, keepAlive: Bool) {}

    /// Writes 204, which no cache keeps.
    func writeNoContent(to head: HTTPRequestHead, keepAlive: Bool) {}

    func flush() {}

    /// A whole response is written, with nothing flushed yet.
    func responseEnds(keepAlive: Bool) {}

    /// Breaks the response off: an orderly end could pass for the end of one that is not whole.
    func cutOff(_ code: HTTP2ErrorCode) {}

    /// Tells the visitor that the app took the request back, when the version has a word for it; else false.
    func passReset(_ code: HTTP2ErrorCode) -> Bool { false }

    /// The app agreed to leave HTTP.
    func upgrade(_ head: HTTPResponseHead) { close() }

    /// The app ended its direction of an upgraded connection.
    func endOutput() {}

    /// The connection to the app is gone while raw bytes were on it.
    func endUpgraded() { close() }

    /// The visitor has ended its direction and nothing of it waits.
    func handleEndOfInput() {}

    /// A timer that only this version has is due.
    func fire(_ timer: HTTPTimer) { close() }

    /// Closes at once.
    func close() {
        phase = .closed
        context?.close(promise: nil)
    }

    // MARK: One thing after the other

    func take(_ part: HTTPPendingPart) {
        guard phase != .closed else { return }
        guard pending.count < Self.pendingParts else {
            close()
            return
        }
        pending.append(part)
        pump()
    }

    /// Handles what waits, as far as the present phase allows, and reads more when nothing waits.
    func pump() {
        guard !isPumping, let context else { return }
        isPumping = true
        while let next = pending.first, canHandle(next, context) {
            pending.removeFirst()
            handle(next)
        }
        isPumping = false
        if isInputClosed, pending.isEmpty { handleEndOfInput() }
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
            if phase == .exchange { awaitRequestBody() }
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
        awaitResponseHead()
        backend?.send(.end(trailers))
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

    /// Ends what the subclass's channel carried: reports a request without a response, and lets go of everything.
    func finishExchange() {
        if exchange != nil { report(exchange?.plan.map { Int($0.head.status.code) } ?? 499) }
        phase = .closed
        exchange = nil
        dropBackend()
        pending.removeAll()
        timers.cancelAll()
        scheduled?.task.cancel()
        scheduled = nil
        if let tunnel { state.leave(tunnel) }
        tunnel = nil
    }
}
