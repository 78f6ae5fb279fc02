// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Joins two channels that carry raw bytes, so that what one receives the other sends.
package enum Relay {
    /// Joins `first` and `second` until both directions have ended; both channels are closed then.
    ///
    /// The channels may be sockets, TLS connections or yamux streams, on the same event loop or on two. Each may hold an
    /// `EarlyDataHandler`, which is asked to hand over. The future never fails: a broken relay is an outcome.
    package static func join(
        _ first: any Channel,
        _ second: any Channel,
        configuration: RelayConfiguration = RelayConfiguration()
    ) -> EventLoopFuture<RelayOutcome> {
        if first.eventLoop === second.eventLoop {
            if first.eventLoop.inEventLoop { return joinOnLoop(first, second, configuration) }
            return first.eventLoop.flatSubmit { joinOnLoop(first, second, configuration) }
        }
        let legs = prepare(first, configuration).and(prepare(second, configuration))
        return legs.flatMap { firstLeg, secondLeg in
            let results = connect(first, firstLeg, to: second, secondLeg, configuration)
                .and(connect(second, secondLeg, to: first, firstLeg, configuration))
            return results.flatMap { firstResult, secondResult in
                // Both legs know each other before either begins to read.
                let starts = start(first, firstLeg).and(start(second, secondLeg))
                return starts.flatMap { _ in firstResult.and(secondResult) }
            }
        }.map { outcome($0, $1) }
    }

    // MARK: The same event loop

    private static func joinOnLoop(
        _ first: any Channel,
        _ second: any Channel,
        _ configuration: RelayConfiguration
    ) -> EventLoopFuture<RelayOutcome> {
        let firstLeg = RelayHandler(eventLoop: first.eventLoop, configuration: configuration)
        let secondLeg = RelayHandler(eventLoop: second.eventLoop, configuration: configuration)
        install(firstLeg, in: first)
        install(secondLeg, in: second)
        firstLeg.connect(to: secondLeg, partner: secondLeg)
        secondLeg.connect(to: firstLeg, partner: firstLeg)
        firstLeg.start()
        secondLeg.start()
        return firstLeg.result.and(secondLeg.result).map { outcome($0, $1) }
    }

    /// Adds a leg to its channel, which need not be active yet; in a channel that is closed the leg is over at once.
    private static func install(_ leg: RelayHandler, in channel: any Channel) {
        do {
            try channel.pipeline.syncOperations.addHandler(leg)
        } catch {
            leg.endUnstarted()
        }
    }

    // MARK: Two event loops

    private static func prepare(
        _ channel: any Channel,
        _ configuration: RelayConfiguration
    ) -> EventLoopFuture<NIOLoopBound<RelayHandler>> {
        channel.eventLoop.submit {
            let leg = RelayHandler(eventLoop: channel.eventLoop, configuration: configuration)
            let operations = channel.pipeline.syncOperations
            if (try? operations.context(handlerType: EarlyDataHandler.self)) == nil {
                // What arrives before the other loop is ready has to be kept.
                try? operations.addHandler(EarlyDataHandler())
            }
            install(leg, in: channel)
            return NIOLoopBound(leg, eventLoop: channel.eventLoop)
        }
    }

    private static func connect(
        _ channel: any Channel,
        _ leg: NIOLoopBound<RelayHandler>,
        to other: any Channel,
        _ otherLeg: NIOLoopBound<RelayHandler>,
        _ configuration: RelayConfiguration
    ) -> EventLoopFuture<EventLoopFuture<RelayLegResult>> {
        channel.eventLoop.submit {
            let outlet = CrossLoopOutlet(
                from: leg.value,
                on: channel.eventLoop,
                to: otherLeg,
                on: other.eventLoop,
                maximumBytesInFlight: configuration.maximumBytesInFlight
            )
            leg.value.connect(to: outlet)
            return leg.value.result
        }
    }

    private static func start(_ channel: any Channel, _ leg: NIOLoopBound<RelayHandler>) -> EventLoopFuture<Void> {
        channel.eventLoop.submit { leg.value.start() }
    }

    // MARK: The outcome

    private static func outcome(_ first: RelayLegResult, _ second: RelayLegResult) -> RelayOutcome {
        var outcome = RelayOutcome(
            bytesFromFirst: first.bytes,
            bytesFromSecond: second.bytes,
            endedBy: first.endedAt <= second.endedAt ? .first : .second,
            end: .finished
        )
        for (result, side) in [(second, RelayOutcome.Side.second), (first, .first)] {
            switch result.cause {
            case .finished, .otherLeg: continue
            case .reset: outcome.end = .reset
            case .failed(let reason): outcome.end = .failed(reason)
            case .idle:
                outcome.end = .idle
                outcome.endedBy = nil
                return outcome
            }
            outcome.endedBy = side
        }
        return outcome
    }
}
