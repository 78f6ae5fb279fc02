// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import NIOCore
import NIOHTTP1
import NIOHTTP2

/// From what the app's end tells to what the visitor gets.
extension HTTPRequestCarrier {
    func handle(_ event: HTTPBackendEvent, from link: HTTPBackendLink) {
        guard link === backend, phase != .closed else { return }
        switch event {
        case .head(let head): receive(head)
        case .upgraded(let head): upgrade(head)
        case .body(let bytes): forward(bytes)
        case .end(let trailers, let isReusable): endResponse(trailers, isReusable: isReusable)
        case .flush: flush()
        case .consumed(let count):
            inFlight -= count
            if phase == .exchange, timers[.requestBody] != nil { arm(.requestBody, state.limits.requestBody) }
            pump()
        case .inputEnded: endOutput()
        case .lost(let loss): lost(loss)
        }
    }

    // MARK: A response

    private func receive(_ head: HTTPResponseHead) {
        guard let exchange, exchange.plan == nil, context != nil else { return }
        if head.status.code < 200 {
            informational(head)
            return
        }
        do {
            let plan = try HTTPResponsePlan(
                head,
                to: exchange.request,
                route: exchange.route,
                mayKeepAlive: exchange.isRequestComplete && !isInputClosed && !state.isDraining
            )
            self.exchange?.plan = plan
            timers.cancel(.responseHead)
            timers.cancel(.requestBody)
            state.appAnswered(exchange.route)
            writeHead(plan)
        } catch {
            failExchange(.invalidResponse(exchange.route))
        }
    }

    private func informational(_ head: HTTPResponseHead) {
        guard let exchange else { return }
        self.exchange?.informationalResponses += 1
        guard exchange.informationalResponses < state.limits.informationalResponses else {
            failExchange(.invalidResponse(exchange.route))
            return
        }
        guard !exchange.request.isHTTP10 else { return }
        do {
            try writeInformational(head)
        } catch {
            failExchange(.invalidResponse(exchange.route))
        }
    }

    private func forward(_ bytes: ByteBuffer) {
        let count = bytes.readableBytes
        let framing = phase == .upgraded ? .untilClose : exchange?.plan?.framing ?? .none
        if framing != .none, count > 0 { writeBody(bytes, framing) }
        if isInputClosed, phase == .exchange { arm(.halfClosed, state.limits.halfClosed) }
        acknowledge(count)
    }

    private func endResponse(_ trailers: HTTPHeaders?, isReusable: Bool) {
        guard let exchange, let plan = exchange.plan else { return }
        writeEnd(trailers, plan.framing)
        report(Int(plan.head.status.code))
        let keepAlive = plan.keepAlive && exchange.isRequestComplete && !isInputClosed && !state.isDraining
        if keepAlive, isReusable {
            keepBackend(exchange.route)
        } else {
            dropBackend()
        }
        self.exchange = nil
        responseEnds(keepAlive: keepAlive)
    }

    /// The bytes are as good as with the visitor, unless its connection is congested.
    func acknowledge(_ count: Int) {
        unacknowledged += count
        guard unacknowledged > 0, let context, context.channel.isWritable else { return }
        let taken = unacknowledged
        unacknowledged = 0
        backend?.send(.consumed(taken))
    }

    // MARK: Failures

    private func lost(_ loss: HTTPBackendLoss) {
        switch phase {
        case .upgraded: endUpgraded()
        case .exchange:
            guard let exchange else { return }
            if loss == .closed || loss == .reset(.refusedStream), retry() { return }
            switch loss {
            case .reset(let code) where exchange.plan != nil: cutOff(code)
            case .reset(let code) where passReset(code): break
            case .closed: failExchange(notAnswering(exchange))
            case .cut, .invalid, .reset: failExchange(.invalidResponse(exchange.route))
            }
        case .idle, .lingering, .closed: dropBackend()
        }
    }

    /// Answers the exchange with a page; when its response has begun, all that is left is to cut it off.
    func failExchange(_ page: HTTPPage) {
        guard let exchange else { return }
        guard exchange.plan == nil else {
            cutOff(.internalError)
            return
        }
        answerExchange(page, isRefusal: false)
    }

    func answerExchange(_ page: HTTPPage, isRefusal: Bool) {
        guard let exchange else { return }
        if isRefusal { state.countRefusal() } else { state.countFailure() }
        report(Int(page.status.code))
        // A kept connection on which nothing was sent yet stays good.
        if phase == .exchange { dropBackend() }
        self.exchange = nil
        timers.cancel(.open)
        timers.cancel(.responseHead)
        timers.cancel(.requestBody)
        let mayKeepAlive = exchange.request.keepAlive && !exchange.request.hasBody
        finishPage(page, to: exchange.request.head, mayKeepAlive: mayKeepAlive)
    }

    func answer(_ page: HTTPPage, to request: HTTPVisitorRequest) {
        state.countRefusal()
        finishPage(page, to: request.head, mayKeepAlive: request.keepAlive && !request.hasBody)
    }

    func answer(_ page: HTTPPage, to head: HTTPRequestHead?, mayKeepAlive: Bool) {
        state.countRefusal()
        finishPage(page, to: head, mayKeepAlive: mayKeepAlive)
    }

    /// Answers that the server itself is there, and nothing else.
    func answerServerCheck(_ request: HTTPVisitorRequest) {
        let keepAlive = request.keepAlive && !request.hasBody && !isInputClosed && !state.isDraining
        writeNoContent(to: request.head, keepAlive: keepAlive)
        responseEnds(keepAlive: keepAlive)
    }

    private func finishPage(_ page: HTTPPage, to head: HTTPRequestHead?, mayKeepAlive: Bool) {
        let keepAlive = mayKeepAlive && !isInputClosed && !state.isDraining
        writePage(page, to: head, keepAlive: keepAlive)
        responseEnds(keepAlive: keepAlive)
    }

    // MARK: Reports

    func report(_ status: Int, isUpgraded: Bool = false) {
        guard let exchange else { return }
        let duration = NIODeadline.now() - exchange.begunAt
        exchange.route.report(
            AditRequestReport(
                proxyName: exchange.route.proxyName,
                time: exchange.wallTime,
                method: Self.reported(exchange.request.head.method.rawValue, bytes: 32),
                path: Self.reported(exchange.request.path, bytes: 256),
                status: status,
                durationMs: duration.nanoseconds / 1_000_000,
                visitor: visitor.address,
                upgraded: isUpgraded
            )
        )
    }

    /// Text for somebody's terminal: no control characters, at most so many bytes.
    static func reported(_ text: some StringProtocol, bytes: Int) -> String {
        if text.utf8.count <= bytes, text.utf8.allSatisfy({ $0 >= 32 && $0 < 127 }) { return String(text) }
        var reported = ""
        for scalar in text.unicodeScalars {
            let category = scalar.properties.generalCategory
            guard category != .control, category != .format else { continue }
            guard reported.utf8.count + UTF8.width(scalar) <= bytes else { break }
            reported.unicodeScalars.append(scalar)
        }
        return reported
    }
}
