// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import AditTransport
import AditTunnel
import AditWire
import NIOConcurrencyHelpers
import NIOCore

extension PeerSignalling {
    /// A stream on which nothing passes for so long is of no use to anybody.
    private static let idleTimeout = TimeAmount.minutes(10)

    /// Leads a stream that a device opened to another device, or tells its sender why not; false when it opens too many.
    ///
    /// Both ends are members of this server that take part in finding paths, so it is a way to nobody else. What passes is
    /// theirs: the server counts it.
    func join(_ message: AditPeerStream, _ channel: any Channel, from session: ServerSession) -> Bool {
        guard let (key, name) = session.identity.peer, session.takesStreams, message.isWellFormed else {
            channel.close(promise: nil)
            session.close(.protocolBroken("a stream to another device that cannot be one"))
            return false
        }
        let directory = directory(of: session)
        let now = clock.now()
        guard directory.withLockedValue({ $0.mayOpenStream(session, at: now) }) else {
            channel.close(promise: nil)
            refuse(Asked(message), .busy, to: session)
            return false
        }
        guard message.peer != name else {
            channel.close(promise: nil)
            refuse(Asked(message), .oneself, to: session)
            return true
        }
        guard relays() else {
            channel.close(promise: nil)
            refuse(Asked(message), .noStreams, to: session)
            return true
        }
        let found = directory.withLockedValue {
            $0.openStream(from: name, to: message.peer, run: message.run, service: message.service)
        }
        guard case .session(let receiver) = found else {
            channel.close(promise: nil)
            absent(found, Asked(message), to: session)
            return true
        }
        tally.withLockedValue { $0.streams = ($0.streams ?? 0) + 1 }
        let first = AditPeerStream(peer: name, run: session.runID, service: message.service, key: key.bytes)
        receiver.openPeerStream(first).flatMap { [self] other in
            prepare(channel, of: session, other, of: receiver).flatMap {
                Relay.join(channel, other, configuration: RelayConfiguration(idleTimeout: Self.idleTimeout))
            }
        }.whenComplete { [self] (result: Result<RelayOutcome, any Error>) in
            directory.withLockedValue { $0.closeStream(from: name, to: message.peer) }
            guard case .failure = result else { return }
            channel.close(promise: nil)
            refuse(Asked(message), .runEnded, to: session)
        }
        return true
    }

    /// Counts what both send, and holds it to what the owner lets a device send and get.
    private func prepare(
        _ channel: any Channel,
        of session: ServerSession,
        _ other: any Channel,
        of receiver: ServerSession
    ) -> EventLoopFuture<Void> {
        let (near, far) = (ceiling(session), ceiling(receiver))
        let sent = install({ ByteCountHandler($0, received: $1) }, [near?.toVisitors, far?.fromVisitors], on: channel)
        let got = install({ _, _ in nil }, [far?.toVisitors, near?.fromVisitors], on: other)
        return sent.and(got).map { _ in }
    }

    private func install(
        _ counter: @escaping @Sendable (TunnelCounters, Int) -> ByteCountHandler?,
        _ limiters: [BandwidthLimiter?],
        on channel: any Channel
    ) -> EventLoopFuture<Void> {
        channel.eventLoop.submit { [streamed] in
            let operations = channel.pipeline.syncOperations
            let early = try? operations.handler(type: EarlyDataHandler.self).heldByteCount
            if let counter = counter(streamed, early ?? 0) { try operations.addHandler(counter, position: .first) }
            try operations.addHandlers(limiters.compactMap { $0 }.map { BandwidthReadHandler($0) })
        }
    }
}
