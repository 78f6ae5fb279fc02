// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditWire
import NIOCore
import NIOHTTP1

/// From what the app's end tells to what the visitor gets.
extension HTTPVisitorConnection {
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
        guard let exchange, exchange.plan == nil, let context else { return }
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
            if outgoing.readableBytes == 0 { outgoing = context.channel.allocator.buffer(capacity: 1_024) }
            plan.write(into: &outgoing)
        } catch {
            failExchange(.invalidResponse(exchange.route))
        }
    }

    private func informational(_ head: HTTPResponseHead) {
        guard let exchange, let context else { return }
        self.exchange?.informationalResponses += 1
        guard exchange.informationalResponses < state.limits.informationalResponses else {
            failExchange(.invalidResponse(exchange.route))
            return
        }
        guard !exchange.request.isHTTP10 else { return }
        do {
            if outgoing.readableBytes == 0 { outgoing = context.channel.allocator.buffer(capacity: 256) }
            try HTTPResponsePlan.writeInformational(head, into: &outgoing)
        } catch {
            outgoing.clear()
            failExchange(.invalidResponse(exchange.route))
        }
    }

    private func forward(_ bytes: ByteBuffer) {
        let count = bytes.readableBytes
        let framing = phase == .upgraded ? .untilClose : exchange?.plan?.framing ?? .none
        if framing != .none, count > 0 {
            if framing == .chunked { outgoing.writeChunkSize(count) }
            write(bytes)
            if framing == .chunked { outgoing.writeStaticString("\r\n") }
        }
        if isInputClosed, phase == .exchange { arm(.halfClosed, state.limits.halfClosed) }
        acknowledge(count)
    }

    private func write(_ bytes: ByteBuffer) {
        if bytes.readableBytes <= Self.copiedBytes {
            outgoing.writeImmutableBuffer(bytes)
        } else {
            writeOutgoing()
            context?.write(wrapOutboundOut(bytes), promise: nil)
        }
    }

    private func endResponse(_ trailers: HTTPHeaders?, isReusable: Bool) {
        guard let exchange, let plan = exchange.plan else { return }
        if plan.framing == .chunked {
            outgoing.writeStaticString("0\r\n")
            outgoing.writeTrailers(trailers)
            outgoing.writeStaticString("\r\n")
        }
        report(Int(plan.head.status.code))
        let keepAlive = plan.keepAlive && exchange.isRequestComplete && !isInputClosed && !state.isDraining
        if keepAlive, isReusable {
            backendIdleSince = .now()
        } else {
            dropBackend()
        }
        self.exchange = nil
        if keepAlive {
            flush()
            becomeIdle()
        } else {
            closeGracefully()
        }
    }

    /// The bytes are as good as with the visitor, unless its connection is congested.
    func acknowledge(_ count: Int) {
        unacknowledged += count
        guard unacknowledged > 0, let context, context.channel.isWritable else { return }
        let taken = unacknowledged
        unacknowledged = 0
        backend?.send(.consumed(taken))
    }

    private func becomeIdle() {
        phase = .idle
        arm(.idle, state.limits.idle)
        pump()
    }

    // MARK: Leaving HTTP

    private func upgrade(_ head: HTTPResponseHead) {
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

    private func endOutput() {
        guard phase == .upgraded, !isOutputClosed, let context else { return }
        flush()
        let ended = context.eventLoop.makePromise(of: Void.self)
        ended.futureResult.assumeIsolated().whenComplete { _ in
            self.isOutputClosed = true
            if self.isInputClosed { self.close() }
        }
        context.close(mode: .output, promise: ended)
    }

    // MARK: Failures

    private func lost(_ loss: HTTPBackendLoss) {
        switch phase {
        case .upgraded:
            dropBackend()
            closeGracefully()
        case .exchange:
            guard let exchange, exchange.isSent else { return }
            if loss == .closed, retry() { return }
            failExchange(loss == .closed ? notAnswering(exchange) : .invalidResponse(exchange.route))
        case .idle, .lingering, .closed: dropBackend()
        }
    }

    /// Answers the exchange with a page; when its response has begun, all that is left is to cut it off.
    func failExchange(_ page: HTTPPage) {
        guard let exchange else { return }
        guard exchange.plan == nil else {
            cutOff()
            return
        }
        answerExchange(page, isRefusal: false)
    }

    /// Breaks the connection: an orderly end could pass for the end of a response that is not whole.
    private func cutOff() {
        guard let context else { return }
        flush()
        phase = .closed
        ChannelReset.close(context.channel)
    }

    func answerExchange(_ page: HTTPPage, isRefusal: Bool) {
        guard let exchange else { return }
        if isRefusal { state.countRefusal() } else { state.countFailure() }
        report(Int(page.status.code))
        dropBackendUnlessIdle()
        self.exchange = nil
        timers.cancel(.open)
        timers.cancel(.responseHead)
        timers.cancel(.requestBody)
        let mayKeepAlive = exchange.request.keepAlive && !exchange.request.hasBody
        finishPage(page, to: exchange.request.head, mayKeepAlive: mayKeepAlive)
    }

    /// A kept connection on which nothing was sent yet stays good.
    private func dropBackendUnlessIdle() {
        if phase == .exchange { dropBackend() }
    }

    func answer(_ page: HTTPPage, to request: HTTPVisitorRequest) {
        state.countRefusal()
        finishPage(page, to: request.head, mayKeepAlive: request.keepAlive && !request.hasBody)
    }

    func answer(_ page: HTTPPage, to head: HTTPRequestHead?, mayKeepAlive: Bool) {
        state.countRefusal()
        finishPage(page, to: head, mayKeepAlive: mayKeepAlive)
    }

    private func finishPage(_ page: HTTPPage, to head: HTTPRequestHead?, mayKeepAlive: Bool) {
        guard let context else { return }
        let keepAlive = mayKeepAlive && !isInputClosed && !state.isDraining
        outgoing = context.channel.allocator.buffer(capacity: 4_096)
        let writer = HTTPPageWriter(
            page,
            for: head,
            keepAlive: keepAlive,
            now: state.clock.now(),
            replacement: page.isReplaceable ? state.unknownNamePage : nil
        )
        writer.write(into: &outgoing)
        if keepAlive {
            flush()
            becomeIdle()
        } else {
            closeGracefully()
        }
    }

    // MARK: Writing

    private func writeOutgoing() {
        guard let context, outgoing.readableBytes > 0 else { return }
        context.write(wrapOutboundOut(outgoing), promise: nil)
        outgoing = ByteBuffer()
    }

    private func flush() {
        guard let context else { return }
        writeOutgoing()
        context.flush()
        if !context.channel.isWritable, timers[.visitorStall] == nil { arm(.visitorStall, state.limits.visitorStall) }
    }

    /// Lets the visitor read the last response before the connection goes: a socket closed with unread bytes is reset.
    func closeGracefully() {
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
