// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditPlatform
import Glibc
import Synchronization

/// The way to one thread of the forwarder.
package final class SpliceLane: Sendable {
    enum Command {
        case join(SpliceConnection)
        case abort(SpliceConnection)
        case stop
    }

    private struct Inbox {
        var commands: [Command] = []
        var isClosed = false
    }

    private let inbox = Mutex(Inbox())
    private let signal: CInt
    let epoll: CInt

    /// Opens a lane and starts its thread; nil when the system gives no descriptors or no thread.
    static func start(_ limits: SpliceLimits) -> SpliceLane? {
        let epoll = adit_epoll_create()
        guard epoll >= 0 else { return nil }
        let signal = adit_signal_create()
        guard signal >= 0 else {
            adit_close(epoll)
            return nil
        }
        let lane = SpliceLane(epoll: epoll, signal: signal)
        guard adit_epoll_add_signal(epoll, signal, SpliceLoop.signalToken) == 0, lane.startThread(limits) else {
            lane.close()
            return nil
        }
        return lane
    }

    private init(epoll: CInt, signal: CInt) {
        self.epoll = epoll
        self.signal = signal
    }

    /// Breaks every connection off and ends the thread.
    func stop() {
        post(.stop)
    }

    /// Gives the thread something to do; false when it has ended.
    @discardableResult
    func post(_ command: Command) -> Bool {
        inbox.withLock { inbox in
            guard !inbox.isClosed else { return false }
            inbox.commands.append(command)
            if inbox.commands.count == 1 { adit_signal_raise(signal) }
            return true
        }
    }

    /// What was posted since the last time; called by the thread when the signal is up.
    func collect() -> [Command] {
        inbox.withLock { inbox in
            adit_signal_clear(signal)
            defer { inbox.commands = [] }
            return inbox.commands
        }
    }

    /// Takes no more commands and closes the descriptors; gives what was posted too late.
    @discardableResult
    func close() -> [Command] {
        let late = inbox.withLock { inbox in
            inbox.isClosed = true
            defer { inbox.commands = [] }
            return inbox.commands
        }
        adit_close(signal)
        adit_close(epoll)
        return late
    }

    private func startThread(_ limits: SpliceLimits) -> Bool {
        let start = Unmanaged.passRetained(SpliceThreadStart(lane: self, limits: limits))
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else {
            start.release()
            return false
        }
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 512 * 1024)
        var thread = pthread_t()
        let body: @Sendable @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
            guard let argument else { return nil }
            let start = Unmanaged<SpliceThreadStart>.fromOpaque(argument).takeRetainedValue()
            adit_prepare_thread("adit-splice")
            let loop = SpliceLoop(lane: start.lane, limits: start.limits)
            loop.run()
            return nil
        }
        guard pthread_create(&thread, &attributes, body, start.toOpaque()) == 0 else {
            start.release()
            return false
        }
        return true
    }
}

/// What a new thread is given.
private final class SpliceThreadStart: Sendable {
    let lane: SpliceLane
    let limits: SpliceLimits

    init(lane: SpliceLane, limits: SpliceLimits) {
        self.lane = lane
        self.limits = limits
    }
}
