// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import CAditPlatform
import Glibc
import NIOCore
import Synchronization

/// Tells when the sockets of traversal machines have something: one thread with one epoll for the whole process.
///
/// NIO closes a UDP channel at most errors, and ICMP errors are just what such a machine wants to see. A descriptor is
/// told once and then has to be armed again, so that there is never more than one notice of it on the way.
final class SocketReadiness: Sendable {
    private struct Entry: Sendable {
        let eventLoop: any EventLoop
        let isReady: @Sendable (_ hasErrors: Bool) -> Void
    }

    private struct State {
        var entries: [UInt64: Entry] = [:]
        var nextToken: UInt64 = 0
    }

    /// The process's one; nil when the system gives no descriptor or no thread.
    static let shared: SocketReadiness? = {
        let epoll = adit_epoll_create()
        guard epoll >= 0 else { return nil }
        let readiness = SocketReadiness(epoll: epoll)
        return readiness.startThread() ? readiness : nil
    }()

    private let epoll: CInt
    private let state = Mutex(State())

    private init(epoll: CInt) {
        self.epoll = epoll
    }

    /// Watches a descriptor; `isReady` is called on the event loop, and told whether errors wait too. Gives the token for the
    /// other calls, nil when the system refuses.
    func add(
        _ descriptor: CInt,
        on eventLoop: any EventLoop,
        isReady: @escaping @Sendable (_ hasErrors: Bool) -> Void
    ) -> UInt64? {
        let token = state.withLock { state in
            state.nextToken += 1
            state.entries[state.nextToken] = Entry(eventLoop: eventLoop, isReady: isReady)
            return state.nextToken
        }
        guard adit_epoll_add_once(epoll, descriptor, token) == 0 else {
            remove(token)
            return nil
        }
        return token
    }

    /// Asks for the next notice.
    func armAgain(_ descriptor: CInt, _ token: UInt64) {
        _ = adit_epoll_arm_again(epoll, descriptor, token)
    }

    /// Forgets a descriptor, which the caller closes next; that takes it out of the epoll.
    func remove(_ token: UInt64) {
        state.withLock { $0.entries[token] = nil }
    }

    private func run() {
        withUnsafeTemporaryAllocation(of: adit_event.self, capacity: 256) { events in
            while true {
                let count = adit_epoll_wait(epoll, events.baseAddress, 256, -1)
                for index in 0..<max(0, Int(count)) {
                    guard let entry = state.withLock({ $0.entries[events[index].token] }) else { continue }
                    let hasErrors = events[index].bits & UInt32(ADIT_EVENT_FAILED) != 0
                    entry.eventLoop.execute { entry.isReady(hasErrors) }
                }
            }
        }
    }

    private func startThread() -> Bool {
        let start = Unmanaged.passRetained(self)
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else {
            start.release()
            return false
        }
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 256 * 1024)
        var thread = pthread_t()
        let body: @Sendable @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { argument in
            guard let argument else { return nil }
            adit_prepare_thread("adit-probe")
            Unmanaged<SocketReadiness>.fromOpaque(argument).takeRetainedValue().run()
            return nil
        }
        guard pthread_create(&thread, &attributes, body, start.toOpaque()) == 0 else {
            start.release()
            return false
        }
        return true
    }
}
