// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import NIOCore
import NIOHTTP2
import Synchronization

/// One connection to an app that speaks cleartext HTTP/2 with prior knowledge (RFC 9113 section 3.3).
///
/// It carries the requests of one visitor's connection, each as a stream. When the app says that it goes away, or takes no
/// more streams, the connection is retired: no request is put on it any more, and it closes after the last one.
final class HTTP2AppConnection: Sendable {
    /// What lives on the channel's event loop.
    private struct State {
        var multiplexer: NIOHTTP2Handler.StreamMultiplexer?
        var openStreams = 0
        /// Makes the requests' bodies wait for a tunnel's bandwidth; nil without one.
        var uploadGate: BandwidthWriteHandler?
        /// Streams that want to know when fewer bytes wait there.
        var waiting: [ObjectIdentifier: HTTP2AppStream] = [:]
        var isRetired = false
        var isGone = false
        /// What streams are told when the connection is gone.
        var loss = HTTPBackendLoss.closed
    }

    /// Streams on one connection; their numbers would run out at 2^30 (RFC 9113 section 5.1.1).
    private static let streamsPerConnection = 1_000_000

    private let channel: any Channel
    private let limits: HTTPLimits
    private let state: NIOLoopBoundBox<State>
    private let streams = Atomic<Int>(0)
    private let whenRetired: @Sendable (HTTP2AppConnection) -> Void

    /// `whenRetired` is called, on any loop and perhaps more than once, when no further request may be put on it.
    init(
        _ channel: any Channel,
        limits: HTTPLimits,
        whenRetired: @escaping @Sendable (HTTP2AppConnection) -> Void
    ) {
        self.channel = channel
        self.limits = limits
        self.whenRetired = whenRetired
        state = NIOLoopBoundBox.makeBoxSendingValue(State(), eventLoop: channel.eventLoop)
    }

    var eventLoop: any EventLoop { channel.eventLoop }

    /// Puts the HTTP/2 client on the channel.
    func begin() {
        onLoop { self.install() }
    }

    /// Makes a stream the app's end of a link; called on the visitor's loop.
    func open(_ link: HTTPBackendLink) {
        if streams.wrappingAdd(1, ordering: .relaxed).newValue >= Self.streamsPerConnection {
            onLoop { self.retire() }
            whenRetired(self)
        }
        link.begin { self.openStream($0) }
    }

    /// Closes the connection with all that is on it.
    func close() {
        onLoop { self.channel.close(promise: nil) }
    }

    private func onLoop(_ work: @escaping @Sendable () -> Void) {
        if channel.eventLoop.inEventLoop { work() } else { channel.eventLoop.execute(work) }
    }

    // MARK: On the channel's loop

    private func install() {
        do {
            guard channel.isActive else { throw ChannelError.ioOnClosedChannel }
            let pipeline = channel.pipeline.syncOperations
            let handler = NIOHTTP2Handler(
                mode: .client,
                eventLoop: channel.eventLoop,
                connectionConfiguration: HTTP2Configuration.appConnection(limits),
                streamConfiguration: HTTP2Configuration.appStream(limits),
                // Nothing is pushed to a client that says so (RFC 9113 section 8.4).
                inboundStreamInitializer: { stream in stream.close() }
            )
            let frames = HTTP2FrameGuard(of: .app, limits: limits)
            try pipeline.addHandlers([frames, handler, Watch(self, frames)])
            state.value.multiplexer = try handler.syncMultiplexer()
            state.value.uploadGate = try? pipeline.handler(type: BandwidthWriteHandler.self)
            try channel.syncOptions?.setOption(.autoRead, value: true)
            if let early = try? pipeline.handler(type: EarlyDataHandler.self) { early.handOver() }
            channel.read()
        } catch {
            gone(.closed)
            channel.close(promise: nil)
        }
    }

    private func openStream(_ link: HTTPBackendLink) {
        guard !state.value.isGone, let multiplexer = state.value.multiplexer else {
            link.deliver(.lost(state.value.loss))
            return
        }
        state.value.openStreams += 1
        let stream = HTTP2AppStream(link: link, connection: self, window: limits.bytesInFlight)
        link.connect(stream)
        let bound = NIOLoopBound(stream, eventLoop: channel.eventLoop)
        let made = channel.eventLoop.makePromise(of: (any Channel).self)
        made.futureResult.whenFailure { _ in bound.value.fail() }
        multiplexer.createStreamChannel(promise: made) { child in
            child.eventLoop.makeCompletedFuture {
                try child.syncOptions?.setOption(.autoRead, value: false)
                try child.pipeline.syncOperations.addHandler(bound.value)
            }
        }
    }

    /// What a stream that ended without a word of its own is to say; called on the channel's loop.
    var loss: HTTPBackendLoss { state.value.loss }

    /// How many bytes of all streams wait for a tunnel's bandwidth; a stream that asks is told when they are fewer. Called
    /// on the channel's loop.
    func heldByteCount(for stream: HTTP2AppStream) -> Int {
        guard let gate = state.value.uploadGate, gate.heldByteCount > 0 else { return 0 }
        state.value.waiting[ObjectIdentifier(stream)] = stream
        return gate.heldByteCount
    }

    private func tellWaiting() {
        guard !state.value.waiting.isEmpty else { return }
        let streams = state.value.waiting.values
        state.value.waiting = [:]
        for stream in streams { stream.takeIfWritable() }
    }

    func streamClosed() {
        state.value.openStreams -= 1
        closeIfDone()
    }

    private func retire() {
        guard !state.value.isRetired else { return }
        state.value.isRetired = true
        whenRetired(self)
        closeIfDone()
    }

    private func gone(_ loss: HTTPBackendLoss) {
        guard !state.value.isGone else { return }
        state.value.isGone = true
        state.value.waiting = [:]
        state.value.loss = loss
        state.value.isRetired = true
        whenRetired(self)
    }

    private func closeIfDone() {
        guard state.value.isRetired, !state.value.isGone, state.value.openStreams == 0 else { return }
        let channel = channel
        // The last stream's end may still wait for its flush.
        channel.eventLoop.execute { channel.close(promise: nil) }
    }

    /// Watches the connection for its end.
    private final class Watch: ChannelInboundHandler {
        typealias InboundIn = HTTP2Frame

        private let connection: HTTP2AppConnection
        private let frames: HTTP2FrameGuard

        init(_ connection: HTTP2AppConnection, _ frames: HTTP2FrameGuard) {
            self.connection = connection
            self.frames = frames
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if case .goAway = unwrapInboundIn(data).payload { connection.retire() }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            if case .some(.inputClosed) = event as? ChannelEvent {
                connection.gone(.closed)
                context.close(promise: nil)
                return
            }
            context.fireUserInboundEventTriggered(event)
        }

        func channelWritabilityChanged(context: ChannelHandlerContext) {
            connection.tellWaiting()
            context.fireChannelWritabilityChanged()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            // A fault of one stream ends that stream; it has been told.
            guard frames.endsConnection(error) else { return }
            connection.gone(.invalid)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            connection.gone(.closed)
            context.fireChannelInactive()
        }
    }
}
