// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
package import NIOCore

/// Leads one visitor to a target: dials it and joins the two connections.
package enum VisitorRelay {
    /// What became of a visit.
    package enum Outcome: Sendable, Equatable {
        /// The target could not be reached; the visitor's connection was closed.
        case failed(TargetFailure)
        /// The visit is over.
        case ended(VisitStatistics)
    }

    /// Serves `visitor`, a channel with an `EarlyDataHandler`; `reached` is called when the target has answered.
    ///
    /// The future never fails.
    package static func serve(
        _ visitor: any Channel,
        to target: TunnelTarget,
        allowed: Set<String>,
        dialer: TargetDialer,
        reached: @escaping @Sendable () -> Void
    ) -> EventLoopFuture<Outcome> {
        let start = NIODeadline.now()
        return dialer.connect(target, allowed: allowed, on: visitor.eventLoop).flatMap { service in
            reached()
            return Relay.join(visitor, service).map { relay in
                let duration = Duration.nanoseconds((NIODeadline.now() - start).nanoseconds)
                return .ended(
                    VisitStatistics(
                        duration: duration,
                        bytesIn: UInt64(clamping: relay.bytesFromFirst),
                        bytesOut: UInt64(clamping: relay.bytesFromSecond)
                    )
                )
            }
        }
        .flatMapErrorThrowing { error in
            visitor.close(promise: nil)
            return .failed(TargetDialer.failure(error))
        }
    }
}
