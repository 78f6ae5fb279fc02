// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
import NIOSSL

/// Where one leg of a relay puts what it reads: the other leg, or the way to it on another event loop.
protocol RelayOutlet: AnyObject {
    /// Whether more may be put in now; a leg whose outlet is not ready does not read.
    var isReady: Bool { get }
    /// Puts bytes in.
    func put(_ buffer: ByteBuffer)
    /// Sends what was put in.
    func putFlush()
    /// Ends the direction once everything put in is sent.
    func putEnd()
    /// Breaks the other leg off, because this one is broken.
    func putAbort(_ cause: RelayLegResult.Cause)
}

/// How one leg of a relay went.
struct RelayLegResult: Sendable {
    enum Cause: Sendable, Equatable {
        case finished
        case reset
        case failed(String)
        case idle
        case otherLeg
    }

    var bytes: Int64
    var endedAt: NIODeadline
    var cause: Cause
}

/// One leg of a relay: the last handler of a channel that carries raw bytes.
///
/// It reads only while its outlet is ready. An end of data is passed on when everything before it was written, because
/// NIO throws away queued writes when a socket whose input has ended is closed for output.
final class RelayHandler: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let idleTimeout: TimeAmount?
    private let resultPromise: EventLoopPromise<RelayLegResult>
    private var context: ChannelHandlerContext?
    private var outlet: (any RelayOutlet)?
    private weak var partner: RelayHandler?
    private var waitingForReady: [() -> Void] = []

    private var isReadHeld = false
    private var isInputEnded = false
    private var isOutputEnding = false
    private var isOutputEnded = false
    /// Whether the channel itself knows of everything that was written to it and not sent.
    private var knowsItsWrites = false
    private var isOver = false
    private var byteCount: Int64 = 0
    private var error: (any Error)?
    private var cause: RelayLegResult.Cause?
    private var endedAt: NIODeadline?
    private var lastActivity: NIODeadline = .distantPast
    private var idleTimer: Scheduled<Void>?

    init(eventLoop: any EventLoop, configuration: RelayConfiguration) {
        idleTimeout = configuration.idleTimeout
        resultPromise = eventLoop.makePromise()
    }

    /// Succeeds when the leg's channel is closed.
    var result: EventLoopFuture<RelayLegResult> { resultPromise.futureResult }

    /// Joins the leg with the way to the other, which is `partner` itself when it is on the same event loop.
    func connect(to outlet: any RelayOutlet, partner: RelayHandler? = nil) {
        guard !isOver else {
            outlet.putAbort(.otherLeg)
            return
        }
        self.outlet = outlet
        self.partner = partner
    }

    /// Calls back once the leg's channel can take more, or will never take anything again.
    func whenReady(_ body: @escaping () -> Void) {
        if isReady || isOver {
            body()
        } else {
            waitingForReady.append(body)
        }
    }

    /// Begins: takes over what arrived early and reads on.
    func start() {
        guard let context, !isOver else { return }
        lastActivity = context.eventLoop.now
        scheduleIdleCheck()
        let operations = context.pipeline.syncOperations
        if !(context.channel is StreamChannel) {
            try? context.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
            if let tls = try? operations.context(handlerType: NIOSSLHandler.self) {
                try? operations.addHandler(OrderlyCloseHandler(), position: .before(tls.handler))
            } else {
                knowsItsWrites = (try? operations.context(handlerType: BandwidthWriteHandler.self)) == nil
            }
        }
        try? operations.handler(type: EarlyDataHandler.self).handOver()
        try? context.channel.syncOptions?.setOption(.autoRead, value: true)
        resumeReading()
    }

    /// Ends a leg whose channel was closed before the relay began.
    func endUnstarted() {
        complete(.reset, at: resultPromise.futureResult.eventLoop.now)
    }

    /// Reads again when a read was held and the outlet has become ready.
    func resumeReading() {
        guard isReadHeld, let context, let outlet, outlet.isReady else { return }
        isReadHeld = false
        context.read()
    }

    // MARK: ChannelHandler

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        if !isOver {
            // The channel had already been closed when the leg was added, or somebody took the leg out.
            note(.reset)
            outlet?.putAbort(.otherLeg)
            complete(.reset, at: context.eventLoop.now)
        }
        self.context = nil
    }

    func read(context: ChannelHandlerContext) {
        if let outlet, outlet.isReady {
            context.read()
        } else {
            isReadHeld = true
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        byteCount += Int64(buffer.readableBytes)
        outlet?.put(buffer)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        if idleTimeout != nil { lastActivity = context.eventLoop.now }
        outlet?.putFlush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        guard context.channel.isWritable else { return }
        partner?.resumeReading()
        callWaiting()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event as? ChannelEvent {
        case .inputClosed:
            endInput(context)
            return
        case .outputClosed where context.channel is StreamChannel:
            isOutputEnded = true
        default: break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if self.error == nil { self.error = error }
        // NIO closes a socket after an error by itself; handlers in between only report theirs.
        ChannelReset.close(context.channel)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isInputEnded, isOutputEnded, error == nil {
            // The end of data of a channel whose output has ended closes it at once, without an event of its own.
            isInputEnded = true
            note(.finished)
            outlet?.putEnd()
        }
        if isInputEnded, isOutputEnded, error == nil {
            complete(.finished, at: context.eventLoop.now)
        } else {
            let cause = Self.cause(of: error)
            if self.cause == nil || self.cause == .finished {
                self.cause = cause
                endedAt = context.eventLoop.now
            }
            outlet?.putAbort(.otherLeg)
            complete(cause, at: context.eventLoop.now)
        }
        context.fireChannelInactive()
    }

    // MARK: Ends

    private func endInput(_ context: ChannelHandlerContext) {
        guard !isInputEnded else { return }
        isInputEnded = true
        note(.finished)
        outlet?.putFlush()
        outlet?.putEnd()
        if isOutputEnded { context.close(promise: nil) }
    }

    private func endOutput() {
        guard let context, !isOver else { return }
        isOutputEnded = true
        context.close(mode: isInputEnded ? .all : .output, promise: nil)
    }

    private func callWaiting() {
        guard !waitingForReady.isEmpty else { return }
        let waiting = waitingForReady
        waitingForReady = []
        for body in waiting { body() }
    }

    private func note(_ cause: RelayLegResult.Cause) {
        guard self.cause == nil else { return }
        self.cause = cause
        endedAt = context?.eventLoop.now
    }

    private func complete(_ cause: RelayLegResult.Cause, at now: NIODeadline) {
        guard !isOver else { return }
        isOver = true
        idleTimer?.cancel()
        idleTimer = nil
        outlet = nil
        partner = nil
        callWaiting()
        resultPromise.succeed(
            RelayLegResult(bytes: byteCount, endedAt: endedAt ?? now, cause: self.cause ?? cause)
        )
    }

    private static func cause(of error: (any Error)?) -> RelayLegResult.Cause {
        switch error {
        case nil: .reset
        case let error as IOError where error.errnoCode == ECONNRESET || error.errnoCode == EPIPE: .reset
        case is YamuxStreamError: .reset
        case .some(let error): .failed("\(error)")
        }
    }

    private func scheduleIdleCheck() {
        guard let idleTimeout, let context, !isOver else { return }
        idleTimer = context.eventLoop.assumeIsolated().scheduleTask(deadline: lastActivity + idleTimeout) {
            guard let context = self.context, !self.isOver else { return }
            if context.eventLoop.now >= self.lastActivity + idleTimeout {
                self.outlet?.putAbort(.idle)
                self.putAbort(.idle)
            } else {
                self.scheduleIdleCheck()
            }
        }
    }
}

// A leg on the same event loop is given what its partner reads without a detour.
extension RelayHandler: RelayOutlet {
    var isReady: Bool {
        guard let context, !isOver else { return false }
        return context.channel.isWritable
    }

    func put(_ buffer: ByteBuffer) {
        guard let context, !isOver else { return }
        context.write(wrapOutboundOut(buffer), promise: nil)
    }

    func putFlush() {
        guard let context, !isOver else { return }
        if idleTimeout != nil { lastActivity = context.eventLoop.now }
        context.flush()
    }

    func putEnd() {
        guard let context, !isOver, !isOutputEnding else { return }
        isOutputEnding = true
        if context.channel is StreamChannel {
            // A stream sends its end of data behind everything else by itself, and says when it has.
            context.close(mode: .output, promise: nil)
            return
        }
        if knowsItsWrites, (try? context.channel.syncOptions?.getOption(.bufferedWritableBytes)) == 0 {
            endOutput()
            return
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        written.futureResult.assumeIsolated().whenSuccess { self.endOutput() }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer()), promise: written)
    }

    func putAbort(_ cause: RelayLegResult.Cause) {
        guard let context, !isOver else { return }
        note(cause)
        ChannelReset.close(context.channel)
    }
}
