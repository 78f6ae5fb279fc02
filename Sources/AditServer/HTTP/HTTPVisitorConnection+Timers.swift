// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOCore

/// The connection's deadlines, all on one task of the event loop that is moved only when it would be too late.
extension HTTPVisitorConnection {
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

    private func schedule(_ deadline: Instant, _ context: ChannelHandlerContext) {
        let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline.deadline) {
            self.timersDue()
        }
        scheduled = (deadline, task)
    }

    private func timersDue() {
        scheduled = nil
        while let context, !isFinished, let timer = timers.expire(at: Instant(context.eventLoop.now)) { fire(timer) }
        guard let context, !isFinished, scheduled == nil, let next = timers.nextDeadline else { return }
        schedule(next, context)
    }

    private func fire(_ timer: HTTPTimer) {
        switch timer {
        case .requestHead where phase == .idle && hasPartialHead:
            answer(.refused(.timeout), to: nil, mayKeepAlive: false)
        // A browser opens connections that it may need; it is told nothing about those that it does not.
        case .requestHead where phase == .idle: close()
        case .requestHead: break
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
        case .idle, .visitorStall, .halfClosed, .linger: close()
        }
    }

    private func tooSlow(_ route: HTTPRoute) -> HTTPPage {
        .appTooSlow(route, seconds: state.limits.responseHead.nanoseconds / 1_000_000_000)
    }
}
