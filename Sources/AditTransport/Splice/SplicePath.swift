// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditPlatform
package import NIOCore

/// Hands two plain TCP connections over from their event loops to a ``SpliceForwarder``.
package enum SplicePath {
    /// Joins two channels in the kernel as `Relay.join` does in user space, or leaves them as they are and gives nil.
    ///
    /// They have to be sockets with an `EarlyDataHandler` and nothing that changes bytes. After the handover both
    /// channels are closed although the connections live: what counts connections by `closeFuture` must not do so then,
    /// and whoever waits for the inner future, which never fails, should not hold them.
    ///
    /// - Parameters:
    ///   - passing: how many handlers of `second` only look at its bytes; `release` takes them out.
    ///   - adopt: is told of the pair before the channels are closed; false breaks the connections off.
    ///   - release: called on the event loop of `second` right before it is closed.
    ///   - onBytes: what was received from each since the last time; on a thread of the forwarder.
    package static func join(
        _ first: any Channel,
        _ second: any Channel,
        through forwarder: SpliceForwarder,
        passing: Int = 0,
        adopt: @escaping @Sendable (SplicedPair) -> Bool = { _ in true },
        release: @escaping @Sendable (any Channel) -> Void = { _ in },
        onBytes: @escaping @Sendable (_ fromFirst: Int, _ fromSecond: Int) -> Void = { _, _ in }
    ) -> EventLoopFuture<EventLoopFuture<RelayOutcome>?> {
        let loop = first.eventLoop
        // Most relays have a yamux stream on one side.
        guard !(first is StreamChannel), !(second is StreamChannel) else {
            return loop.makeSucceededFuture(nil)
        }
        let copies = copy(of: first, handlers: 1).and(copy(of: second, handlers: 1 + passing))
        return copies.flatMap { firstCopy, secondCopy in
            guard let firstCopy, let secondCopy, let lane = forwarder.lane() else {
                for copy in [firstCopy, secondCopy] { copy.map(adit_close) }
                return loop.makeSucceededFuture(nil)
            }
            let pair = SplicedPair(on: lane)
            let isAdopted = adopt(pair)
            if !isAdopted { pair.abort() }
            let early = run(on: first) { detach(first) {} }
                .and(run(on: second) { detach(second) { release(second) } })
            return early.flatMap { firstEarly, secondEarly in
                // A channel that broke in the meantime has taken the socket's error with it.
                if firstEarly == nil || secondEarly == nil { pair.abort() }
                let promise = loop.makePromise(of: RelayOutcome.self)
                pair.start(
                    SpliceSocket(descriptor: firstCopy, early: firstEarly ?? []),
                    SpliceSocket(descriptor: secondCopy, early: secondEarly ?? []),
                    onBytes: onBytes,
                    onEnd: { promise.succeed($0) }
                )
                return loop.makeSucceededFuture(promise.futureResult)
            }
        }
    }

    private static func run<Value: Sendable>(
        on channel: any Channel,
        _ body: @escaping @Sendable () -> Value
    ) -> EventLoopFuture<Value> {
        let loop = channel.eventLoop
        return loop.inEventLoop ? loop.makeSucceededFuture(body()) : loop.submit(body)
    }

    private static func copy(of channel: any Channel, handlers: Int) -> EventLoopFuture<CInt?> {
        run(on: channel) { channel.isActive }.flatMap { isActive in
            if isActive { return channel.eventLoop.makeSucceededFuture(duplicate(channel, handlers: handlers)) }
            // A channel that was accepted just now becomes active one turn of its loop later.
            return channel.eventLoop.submit { duplicate(channel, handlers: handlers) }
        }
    }

    /// A second descriptor of the channel's socket; nil when the channel is not a plain socket that can be handed over.
    private static func duplicate(_ channel: any Channel, handlers: Int) -> CInt? {
        let pipeline = channel.pipeline.syncOperations
        guard channel.isActive, channel.isPlain(handlers: handlers) else { return nil }
        let buffered = try? channel.syncOptions?.getOption(.bufferedWritableBytes)
        guard buffered == 0 else { return nil }
        let copy = try? pipeline.withUnsafeTransportIfAvailable(of: NIOBSDSocket.Handle.self) { adit_duplicate($0) }
        // A negative one means EMFILE: the channel stays with NIO.
        guard let copy, copy >= 0 else { return nil }
        return copy
    }

    /// Ends the channel without ending its connection; gives what it had received, or nil when it is closed already.
    private static func detach(_ channel: any Channel, _ release: () -> Void) -> [UInt8]? {
        let wasActive = channel.isActive
        release()
        let early = try? channel.pipeline.syncOperations.handler(type: EarlyDataHandler.self).surrender()
        channel.close(promise: nil)
        return wasActive ? early : nil
    }
}

extension Channel {
    /// Whether the pipeline is an `EarlyDataHandler` and `handlers - 1` others that its owner knows of.
    ///
    /// A pipeline does not tell its handlers; its description has a line for each behind two lines of head. Were that to
    /// change, connections would stay with NIO and nothing would be lost.
    fileprivate func isPlain(handlers: Int) -> Bool {
        guard (try? pipeline.syncOperations.context(handlerType: EarlyDataHandler.self)) != nil else { return false }
        let lines = pipeline.debugDescription.utf8.count { $0 == UInt8(ascii: "\n") }
        return lines == handlers + 1
    }
}
