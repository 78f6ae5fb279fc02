// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore
import NIOHTTP2

/// A visitor's connection of HTTP/2: its streams' common ground, and its own beginning, silences and end.
///
/// Each request is a stream with a `HTTP2VisitorStream` on a channel of its own. The connection leaves in order
/// (RFC 9113 section 6.8): a GOAWAY that names no stream and a ping; when the answer is there, the visitor knows, and a
/// second GOAWAY names the last stream; when that has ended, so does the connection.
final class HTTP2VisitorConnection: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundOut = HTTP2Frame

    private enum Timer: Hashable, Sendable {
        /// Until the first request.
        case first
        /// Without a request.
        case idle
        /// From the beginning of a frame that is not data to its end.
        case header
        /// Between two looks at whether the visitor is still there.
        case presence
        /// From this side's GOAWAY to the answer of its ping.
        case leaving
    }

    private enum Departure {
        case none
        case announced
        case final
    }

    let visitor: HTTPVisitor
    let state: HTTPFrontEndState
    let backends: HTTPBackendPool
    private let frames: HTTP2FrameGuard
    private let leavePing = HTTP2PingData(withInteger: 0x6164_6974_6C65_6176)
    private let presencePing = HTTP2PingData(withInteger: 0x6164_6974_7069_6E67)
    private var place: HTTPPlace
    private var context: ChannelHandlerContext?
    private var openStreams = 0
    private var lastStream = HTTP2StreamID.rootStream
    private var departure = Departure.none
    private var awaitsPresence = false
    private var isClosing = false
    private var isFinished = false
    private var timers = TimerTable<Timer>()
    private var scheduled: (at: Instant, task: Scheduled<Void>)?

    private init(_ visitor: HTTPVisitor, state: HTTPFrontEndState, place: HTTPPlace, loop: any EventLoop) {
        self.visitor = visitor
        self.state = state
        self.place = place
        backends = HTTPBackendPool(limits: state.limits, loop: loop)
        frames = HTTP2FrameGuard(of: .visitor, limits: state.limits)
    }

    /// Puts HTTP/2 at the end of a channel's pipeline; the place for the connection has been taken.
    static func install(
        on channel: any Channel,
        visitor: HTTPVisitor,
        state: HTTPFrontEndState,
        place: HTTPPlace
    ) throws -> HTTP2VisitorConnection {
        let connection = HTTP2VisitorConnection(visitor, state: state, place: place, loop: channel.eventLoop)
        let bound = NIOLoopBound(connection, eventLoop: channel.eventLoop)
        let handler = NIOHTTP2Handler(
            mode: .server,
            eventLoop: channel.eventLoop,
            connectionConfiguration: HTTP2Configuration.visitorConnection(state.limits),
            streamConfiguration: HTTP2Configuration.visitorStream(state.limits),
            inboundStreamInitializer: { stream in
                stream.eventLoop.makeCompletedFuture { try bound.value.accept(stream) }
            }
        )
        try channel.pipeline.syncOperations.addHandlers([connection.frames, handler, connection])
        return connection
    }

    /// Begins to read, with what was read before the connection was known to be of HTTP/2.
    func begin(with bytes: ByteBuffer? = nil) {
        guard let context else { return }
        do {
            try context.channel.syncOptions?.setOption(.autoRead, value: true)
            if let bytes {
                let place = try context.pipeline.syncOperations.context(handler: frames)
                frames.feed(bytes, context: place)
            }
            context.channel.read()
        } catch {
            close()
        }
    }

    // MARK: Life

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        let bound = NIOLoopBound<any HTTPFrontEndConnection>(self, eventLoop: context.eventLoop)
        state.add(.init(loop: context.eventLoop, connection: bound), id: ObjectIdentifier(self))
        arm(.first, state.limits.requestHead)
        arm(.presence, state.limits.presence)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    private func finish() {
        guard !isFinished else { return }
        isFinished = true
        timers.cancelAll()
        scheduled?.task.cancel()
        scheduled = nil
        backends.close()
        state.release(place)
        state.remove(id: ObjectIdentifier(self))
    }

    // MARK: Streams

    private func accept(_ stream: any Channel) throws {
        try stream.syncOptions?.setOption(.autoRead, value: false)
        if let id = try stream.syncOptions?.getOption(HTTP2StreamChannelOptions.streamID) {
            lastStream = max(lastStream, id)
        }
        let carrier = HTTP2VisitorStream(self, isRefused: !state.reserveStream())
        try stream.pipeline.syncOperations.addHandler(carrier)
    }

    func streamBegan() {
        openStreams += 1
        state.settle(&place)
        timers.cancel(.first)
        timers.cancel(.idle)
    }

    func streamEnded(wasRefused: Bool) {
        openStreams -= 1
        if !wasRefused { state.releaseStream() }
        guard openStreams == 0, !isFinished else { return }
        if isClosing || departure == .final {
            closeSoon()
        } else if departure == .none {
            arm(.idle, state.limits.idle)
        }
    }

    // MARK: What arrives

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .ping(leavePing, ack: true) = unwrapInboundIn(data).payload, departure == .announced else { return }
        leave()
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if frames.isInsideHeader {
            if timers[.header] == nil { arm(.header, state.limits.requestHead) }
        } else if timers[.header] != nil {
            timers.cancel(.header)
        }
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent {
            // Responses that are under way may still reach the visitor.
            isClosing = true
            if openStreams == 0 { close() }
            return
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if error is HTTP2Flood {
            let leave = HTTP2Frame.FramePayload.goAway(
                lastStreamID: lastStream,
                errorCode: .enhanceYourCalm,
                opaqueData: nil
            )
            context.writeAndFlush(wrapOutboundOut(HTTP2Frame(streamID: .rootStream, payload: leave)), promise: nil)
            close()
        } else if frames.endsConnection(error) {
            close()
        }
    }

    // MARK: The end

    /// Announces the end, or makes it final when it has been announced.
    private func announce() {
        guard departure == .none, !isFinished else { return }
        departure = .announced
        timers.cancel(.idle)
        goAway(.maxID)
        write(.ping(leavePing, ack: false))
        context?.flush()
        arm(.leaving, state.limits.linger)
    }

    private func leave() {
        departure = .final
        timers.cancel(.leaving)
        goAway(lastStream)
        context?.flush()
        if openStreams == 0 { closeSoon() }
    }

    private func goAway(_ last: HTTP2StreamID) {
        frames.isLeaving = true
        write(.goAway(lastStreamID: last, errorCode: .noError, opaqueData: nil))
        frames.isLeaving = false
    }

    private func write(_ payload: HTTP2Frame.FramePayload) {
        context?.write(wrapOutboundOut(HTTP2Frame(streamID: .rootStream, payload: payload)), promise: nil)
    }

    /// The end of the last stream is written, but its flush comes behind what called this.
    private func closeSoon() {
        guard let context else { return }
        let bound = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { bound.value.close() }
    }

    // MARK: Timers

    private func arm(_ timer: Timer, _ after: TimeAmount) {
        guard let context, !isFinished else { return }
        let deadline = Instant(context.eventLoop.now + after)
        timers.set(timer, at: deadline)
        if let scheduled {
            guard deadline < scheduled.at else { return }
            scheduled.task.cancel()
        }
        schedule(deadline, context)
    }

    private func schedule(_ deadline: Instant, _ context: ChannelHandlerContext) {
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline.deadline) { self.timersDue() }
        scheduled = (deadline, task)
    }

    private func timersDue() {
        scheduled = nil
        while let context, !isFinished, let timer = timers.expire(at: Instant(context.eventLoop.now)) { due(timer) }
        guard let context, !isFinished, scheduled == nil, let next = timers.nextDeadline else { return }
        schedule(next, context)
    }

    private func due(_ timer: Timer) {
        switch timer {
        case .first, .header: close()
        case .idle: announce()
        case .leaving: leave()
        case .presence: lookForVisitor()
        }
    }

    /// Finds visitors who vanished while nothing is sent, as during a long call.
    private func lookForVisitor() {
        if frames.sawInput {
            awaitsPresence = false
        } else if awaitsPresence {
            close()
            return
        } else if openStreams > 0 {
            awaitsPresence = true
            write(.ping(presencePing, ack: false))
            context?.flush()
        }
        frames.sawInput = false
        arm(.presence, awaitsPresence ? state.limits.presenceAnswer : state.limits.presence)
    }
}

extension HTTP2VisitorConnection: HTTPFrontEndConnection {
    /// Ends the connection after the requests that are on it.
    func drain() {
        announce()
    }

    /// Closes the connection at once.
    func close() {
        context?.close(promise: nil)
    }
}
