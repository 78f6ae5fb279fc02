// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore

/// The deadlines of a connection or stream, all on one task of the event loop that is moved only when it would be too late.
extension HTTPRequestCarrier {
    func arm(_ timer: HTTPTimer, _ after: TimeAmount) {
        guard let context, !isFinished else { return }
        let deadline = Instant(context.eventLoop.now + after)
        timers.set(timer, at: deadline)
        if let scheduled {
            guard deadline < scheduled.at else { return }
            scheduled.task.cancel()
        }
        schedule(deadline, context)
    }

    /// Waits for more of the request's body; a call of gRPC may be silent for as long as its client wants.
    func awaitRequestBody() {
        guard let exchange, exchange.plan == nil, !exchange.request.isGRPC else { return }
        arm(.requestBody, state.limits.requestBody)
    }

    /// Waits for the response, which a call of gRPC may withhold for as long as its client waits.
    func awaitResponseHead() {
        guard let exchange, exchange.plan == nil, !exchange.request.isGRPC else { return }
        arm(.responseHead, state.limits.responseHead)
    }

    private func schedule(_ deadline: Instant, _ context: ChannelHandlerContext) {
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline.deadline) {
            self.timersDue()
        }
        scheduled = (deadline, task)
    }

    private func timersDue() {
        scheduled = nil
        while let context, !isFinished, let timer = timers.expire(at: Instant(context.eventLoop.now)) { due(timer) }
        guard let context, !isFinished, scheduled == nil, let next = timers.nextDeadline else { return }
        schedule(next, context)
    }

    private func due(_ timer: HTTPTimer) {
        switch timer {
        case .requestBody where phase == .exchange:
            guard let exchange else { return }
            if inFlight >= state.limits.bytesInFlight {
                failExchange(tooSlow(exchange.route))
            } else {
                failExchange(.refused(.timeout))
            }
        case .requestBody: break
        case .open where phase == .exchange:
            guard let exchange else { return }
            openings += 1
            failExchange(notAnswering(exchange))
        case .open: break
        case .responseHead where phase == .exchange:
            guard let exchange else { return }
            failExchange(tooSlow(exchange.route))
        case .responseHead: break
        case .requestHead, .idle, .visitorStall, .halfClosed, .linger: fire(timer)
        }
    }

    private func tooSlow(_ route: HTTPRoute) -> HTTPPage {
        .appTooSlow(route, seconds: state.limits.responseHead.nanoseconds / 1_000_000_000)
    }
}
