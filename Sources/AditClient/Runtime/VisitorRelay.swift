// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditTransport
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
    /// With a forwarder, two plain sockets are joined inside the kernel, and `splicing` is called then. A preface is sent to the target before anything
    /// of the visitor's. The future never fails.
    package static func serve(
        _ visitor: any Channel,
        to target: TunnelTarget,
        allowed: Set<String>,
        dialer: TargetDialer,
        forwarder: SpliceForwarder? = nil,
        splicing: @escaping @Sendable () -> Void = {},
        treatment: VisitorTreatment? = nil,
        preface: ByteBuffer? = nil,
        reached: @escaping @Sendable () -> Void
    ) -> EventLoopFuture<Outcome> {
        let start = NIODeadline.now()
        return dialer.connect(target, allowed: allowed, on: visitor.eventLoop).flatMap { service in
            reached()
            let isShaped = treatment?.isShaped ?? false
            return prepare(visitor, service, treatment, preface).flatMap {
                join(visitor, service, isShaped ? nil : forwarder, splicing)
            }.map { relay in
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

    private static func prepare(
        _ visitor: any Channel,
        _ service: any Channel,
        _ treatment: VisitorTreatment?,
        _ preface: ByteBuffer?
    ) -> EventLoopFuture<Void> {
        do {
            try treatment?.shape(visitor: visitor, service: service)
        } catch {
            service.close(promise: nil)
            return service.eventLoop.makeFailedFuture(error)
        }
        guard let preface else { return service.eventLoop.makeSucceededVoidFuture() }
        return service.writeAndFlush(preface).flatMapErrorThrowing { error in
            service.close(promise: nil)
            throw error
        }
    }

    private static func join(
        _ visitor: any Channel,
        _ service: any Channel,
        _ forwarder: SpliceForwarder?,
        _ splicing: @escaping @Sendable () -> Void
    ) -> EventLoopFuture<RelayOutcome> {
        guard let forwarder else { return Relay.join(visitor, service) }
        let adopt: @Sendable (SplicedPair) -> Bool = { _ in
            splicing()
            return true
        }
        return SplicePath.join(visitor, service, through: forwarder, adopt: adopt).flatMap { outcome in
            outcome ?? Relay.join(visitor, service)
        }
    }
}
