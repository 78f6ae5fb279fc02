// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import NIOCore
import NIOHTTP1

/// From a request's head to a connection that carries it.
extension HTTPRequestCarrier {
    func begin(_ head: HTTPRequestHead) {
        guard let context else { return }
        requestBegins()
        state.countRequest()
        let request: HTTPVisitorRequest
        do {
            request = try read(head)
        } catch {
            answer(.refused(error), to: head, mayKeepAlive: false)
            return
        }
        if let mayName = visitor.mayName, !mayName(request.host) {
            answer(.refused(.misdirected), to: request)
            return
        }
        guard case .found(let route) = lookUp(request) else {
            if isServerCheck(request, context.channel) {
                answerServerCheck(request)
            } else {
                answer(.unknownName(request.host), to: request)
            }
            return
        }
        let writer = HTTPRequestHeadWriter(request: request, route: route, visitor: visitor, loopName: state.loopName)
        let block: HTTPRequestBlock
        if route.speaksHTTP2 || request.isGRPC {
            block = .fields(writer.http2)
        } else {
            var buffer = context.channel.allocator.buffer(capacity: 1_024)
            writer.write(into: &buffer)
            block = .bytes(buffer)
        }
        exchange = HTTPExchange(
            request: request,
            route: route,
            begunAt: .now(),
            wallTime: state.clock.milliseconds(),
            block: block
        )
        if let page = refusal(request, route) {
            answerExchange(page, isRefusal: true)
            return
        }
        phase = .exchange
        inFlight = 0
        connect(request, route)
    }

    /// Whether somebody asks if this server itself answers; nobody's tunnel has the name.
    private func isServerCheck(_ request: HTTPVisitorRequest, _ channel: any Channel) -> Bool {
        guard let names = state.ownNames, request.path == ServerCheck.path else { return false }
        guard request.head.method == .GET || request.head.method == .HEAD else { return false }
        return names.contains(request.host) || channel.localEndpoint?.address.unmapped.description == request.host
    }

    private func refusal(_ request: HTTPVisitorRequest, _ route: HTTPRoute) -> HTTPPage? {
        if let loopName = state.loopName, request.loops.contains(where: { Self.names(loopName, in: $0) }) {
            return .refused(.loop)
        }
        if !visitor.isSecure, let authority = state.secureAuthority?(request.host) {
            return .movedToTLS(authority: authority, target: request.target)
        }
        guard !request.hasBrokenCredentials || route.auth.isEmpty else {
            route.refused(visitor.endpoint, .password)
            return .signIn(route)
        }
        switch HTTPAccess.decide(request, visitor: visitor.endpoint.address, route: route) {
        case .addressRefused:
            route.refused(visitor.endpoint, .allowList)
            return .addressRefused(route, address: visitor.address)
        case .signInNeeded:
            // A browser's first request has no password; that is no attempt.
            if request.credentials != nil { route.refused(visitor.endpoint, .password) }
            return .signIn(route)
        case .allowed: break
        }
        if case .offline(let since) = route.state {
            return .deviceOffline(route, since: since, now: state.clock.now())
        }
        if let wait = route.admitRequest(visitor.endpoint) { return .tooManyRequests(route, retryAfter: wait) }
        if tunnel != route.tunnelName {
            guard state.move(from: tunnel, to: route.tunnelName) else { return .limitReached(route) }
            tunnel = route.tunnelName
        }
        return nil
    }

    private static func names(_ loopName: String, in value: String) -> Bool {
        HTTPField.members(value).contains { member in
            HTTPField.trim(Substring(member.utf8.prefix { $0 != UInt8(ascii: ";") })) == loopName
        }
    }

    /// Takes a kept connection when one leads to the very same tunnel, else a new one.
    private func connect(_ request: HTTPVisitorRequest, _ route: HTTPRoute) {
        if case .bytes? = exchange?.block, takeKeptBackend(request, route) {
            exchange?.isReused = true
            sendHead()
        } else {
            dropBackend()
            openBackend()
        }
    }

    private func openBackend() {
        guard let context, let route = exchange?.route else { return }
        openings += 1
        let opening = openings
        arm(.open, state.limits.open)
        let carrier = NIOLoopBound(self, eventLoop: context.eventLoop)
        if case .fields? = exchange?.block {
            let shared = sharedBackends(on: context.eventLoop)
            let app = shared.app(route) { route.open(visitor.endpoint, context.eventLoop) }
            exchange?.isReused = app.isReused
            app.connection.whenComplete { carrier.value.opened($0, opening) }
            return
        }
        route.open(visitor.endpoint, context.eventLoop).hop(to: context.eventLoop).whenComplete { result in
            carrier.value.opened(result, opening)
        }
    }

    private func opened(_ result: Result<HTTP2AppConnection, any Error>, _ opening: Int) {
        guard opening == openings, phase == .exchange, let context, let exchange, !exchange.isSent else { return }
        timers.cancel(.open)
        switch result {
        case .success(let connection):
            if !exchange.isReused { state.countBackendConnection() }
            let link = HTTPBackendLink(to: connection.eventLoop, visitor: self, on: context.eventLoop)
            backend = link
            connection.open(link)
            if backend === link { sendHead() }
        case .failure(let error):
            failExchange(page(for: error, exchange))
        }
    }

    private func opened(_ result: Result<any Channel, any Error>, _ opening: Int) {
        guard opening == openings, phase == .exchange, let context, let exchange, !exchange.isSent else {
            if case .success(let channel) = result { channel.close(promise: nil) }
            return
        }
        timers.cancel(.open)
        switch result {
        case .success(let channel):
            state.countBackendConnection()
            let link = HTTPBackendLink(to: channel.eventLoop, visitor: self, on: context.eventLoop)
            backend = link
            link.begin(on: channel, state.limits)
            if backend === link { sendHead() }
        case .failure(let error):
            failExchange(page(for: error, exchange))
        }
    }

    private func page(for error: any Error, _ exchange: HTTPExchange) -> HTTPPage {
        switch error as? TunnelFault {
        case .full?: return .limitReached(exchange.route)
        case .tooOften(let wait)?: return .tooManyRequests(exchange.route, retryAfter: wait)
        case .refused?: return .addressRefused(exchange.route, address: visitor.address)
        case .closed?, nil: break
        }
        return switch (error as? AditError)?.code {
        case .deviceOffline?: .deviceOffline(exchange.route, since: nil, now: state.clock.now())
        case .limitReached?: .limitReached(exchange.route)
        default: notAnswering(exchange)
        }
    }

    /// The page for an app that gave no answer, or for a device that has left meanwhile: then that is why.
    func notAnswering(_ exchange: HTTPExchange) -> HTTPPage {
        let now = state.clock.now()
        if case .found(let route) = lookUp(exchange.request), case .offline(let since) = route.state {
            return .deviceOffline(route, since: since, now: now)
        }
        return .appNotAnswering(exchange.route, since: state.appFailed(exchange.route), now: now)
    }

    private func lookUp(_ request: HTTPVisitorRequest) -> HTTPRouteLookup {
        state.routes.route(host: request.host, path: String(request.path), user: request.credentials?.user)
    }

    private func sendHead() {
        guard let exchange, let link = backend else { return }
        let request = exchange.request
        self.exchange?.isSent = true
        self.exchange?.isRequestComplete = !request.hasBody
        if request.hasBody {
            awaitRequestBody()
        } else {
            awaitResponseHead()
        }
        let start = HTTPBackendRequest(
            isChunked: request.framing == .chunked,
            isComplete: !request.hasBody,
            mayUpgrade: request.upgrade != nil
        )
        link.send(.start(exchange.block, request.head, start))
        guard request.hasBody, backend === link else { return }
        pump()
        if backend === link { link.send(.flush) }
    }

    /// Tries once more on a fresh connection, when the kept one died before it said anything.
    func retry() -> Bool {
        guard let exchange, exchange.isReused, !exchange.isRetried, exchange.plan == nil,
            exchange.informationalResponses == 0, exchange.request.isRepeatable
        else { return false }
        self.exchange?.isRetried = true
        self.exchange?.isReused = false
        self.exchange?.isSent = false
        timers.cancel(.responseHead)
        dropBackend()
        openBackend()
        return true
    }

    func dropBackend() {
        let link = backend
        backend = nil
        link?.abandon()
    }
}
