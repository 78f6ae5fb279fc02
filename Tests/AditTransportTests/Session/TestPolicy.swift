// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTunnel
import AditWire
import NIOConcurrencyHelpers
import NIOCore

/// A policy that takes one token, one set of device keys, and opens every tunnel.
final class TestPolicy: ServerSessionPolicy {
    struct State: Sendable {
        var sessions: [ServerSession] = []
        var opened: [String] = []
        var closed: [String] = []
        var ended: [SessionEnd] = []
        var requests: [LoginRequest] = []
        var waiting: [(condition: @Sendable (State) -> Bool, promise: EventLoopPromise<Void>)] = []
    }

    private let token: String
    private let deviceKeys: Set<DevicePublicKey>
    private let state = NIOLockedValueBox(State())

    init(token: String = "secret", deviceKeys: Set<DevicePublicKey> = []) {
        self.token = token
        self.deviceKeys = deviceKeys
    }

    var snapshot: State { state.withLockedValue { $0 } }

    /// Succeeds as soon as the condition holds.
    func wait(on eventLoop: any EventLoop, until condition: @escaping @Sendable (State) -> Bool) -> EventLoopFuture<
        Void
    > {
        let promise = eventLoop.makePromise(of: Void.self)
        update { $0.waiting.append((condition, promise)) }
        return promise.futureResult
    }

    private func update(_ change: (inout State) -> Void) {
        let due = state.withLockedValue { state in
            change(&state)
            let snapshot = state
            let due = state.waiting.filter { $0.condition(snapshot) }.map(\.promise)
            state.waiting.removeAll { $0.condition(snapshot) }
            return due
        }
        for promise in due { promise.succeed() }
    }

    func authorize(_ request: LoginRequest, on eventLoop: any EventLoop) -> EventLoopFuture<LoginDecision> {
        update { $0.requests.append(request) }
        let refusal = LoginDecision.refuse(
            AditError(.tokenRefused, "The token is wrong"),
            frpText: "token in login doesn't match token from configuration"
        )
        if let device = request.device {
            guard deviceKeys.contains(device.key) || request.tokenProofMatches(token: token) else {
                return eventLoop.makeSucceededFuture(refusal)
            }
            let response = AditLoginResponse(deviceName: device.name, serverName: "test")
            return eventLoop.makeSucceededFuture(
                .accept(LoginAcceptance(identity: .device(device.key, name: device.name), response: response))
            )
        }
        guard request.privilegeKeyMatches(token: token) else { return eventLoop.makeSucceededFuture(refusal) }
        let identity = DeviceIdentity.frp(user: request.login.user, clientID: request.login.clientID)
        return eventLoop.makeSucceededFuture(.accept(LoginAcceptance(identity: identity, token: token)))
    }

    func sessionOpened(_ session: ServerSession) {
        update { $0.sessions.append(session) }
    }

    func openTunnel(_ request: FRPNewProxy, for session: ServerSession) -> EventLoopFuture<FRPNewProxyResponse> {
        update { $0.opened.append(request.proxyName) }
        return session.eventLoop.makeSucceededFuture(
            FRPNewProxyResponse(proxyName: request.proxyName, remoteAddress: ":20000")
        )
    }

    func closeTunnel(named name: String, for session: ServerSession) {
        update { $0.closed.append(name) }
    }

    func sessionClosed(_ session: ServerSession, reason: SessionEnd) {
        update { state in
            state.ended.append(reason)
            state.sessions.removeAll { $0 === session }
        }
    }
}

/// A delegate that records events and answers every visitor with his own bytes.
final class EchoDelegate: DeviceSessionDelegate {
    private struct State: Sendable {
        var events: [DeviceSessionEvent] = []
        var starts: [FRPStartWorkConnection] = []
        var waiting: [(condition: @Sendable ([DeviceSessionEvent]) -> Bool, promise: EventLoopPromise<Void>)] = []
    }

    private let state = NIOLockedValueBox(State())

    var events: [DeviceSessionEvent] { state.withLockedValue { $0.events } }
    var starts: [FRPStartWorkConnection] { state.withLockedValue { $0.starts } }

    /// Succeeds as soon as the events so far fulfil the condition.
    func wait(
        on eventLoop: any EventLoop,
        until condition: @escaping @Sendable ([DeviceSessionEvent]) -> Bool
    ) -> EventLoopFuture<Void> {
        let promise = eventLoop.makePromise(of: Void.self)
        let isDue = state.withLockedValue { state in
            if condition(state.events) { return true }
            state.waiting.append((condition, promise))
            return false
        }
        if isDue { promise.succeed() }
        return promise.futureResult
    }

    func sessionEvent(_ event: DeviceSessionEvent) {
        let due = state.withLockedValue { state in
            state.events.append(event)
            let events = state.events
            let due = state.waiting.filter { $0.condition(events) }.map(\.promise)
            state.waiting.removeAll { $0.condition(events) }
            return due
        }
        for promise in due { promise.succeed() }
    }

    func workConnection(_ start: FRPStartWorkConnection, channel: any Channel) {
        state.withLockedValue { $0.starts.append(start) }
        let pipeline = channel.pipeline.syncOperations
        do {
            if start.proxyName.hasPrefix("udp") {
                let recorder = DatagramRecorder()
                let link = DatagramLink(channel, framing: .adit, on: channel.eventLoop, delegate: recorder)
                recorder.echo = link
                link.start()
                return
            } else {
                try pipeline.addHandler(EchoHandler())
            }
            try pipeline.handler(type: EarlyDataHandler.self).handOver()
        } catch {
            channel.close(promise: nil)
        }
    }
}

/// Sends back what it gets, and ends when the other side has ended.
private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        context.writeAndFlush(data, promise: nil)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { context.close(promise: nil) }
    }
}

/// Collects a known number of bytes.
final class CollectHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let count: Int
    private var bytes: [UInt8] = []
    private let promise: EventLoopPromise<[UInt8]>

    init(count: Int, promise: EventLoopPromise<[UInt8]>) {
        self.count = count
        self.promise = promise
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes.append(contentsOf: unwrapInboundIn(data).readableBytesView)
        if bytes.count >= count { promise.succeed(bytes) }
    }

    func channelInactive(context: ChannelHandlerContext) {
        promise.fail(ChannelError.eof)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        promise.fail(error)
    }
}
