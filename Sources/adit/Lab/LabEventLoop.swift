// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import Dispatch
import NIOCore

/// An event loop in a lab's virtual time, so that what runs on event loops runs in the lab.
///
/// It belongs to the lab's thread, which alone uses it: that makes it safe to call `Sendable`.
final class LabEventLoop: EventLoop, @unchecked Sendable {
    private let lab: Lab
    private var asleep: [() -> Void] = []
    /// The tasks that wait for their time, by the number that each got.
    private var entries: [Int: Entry] = [:]
    private var entryCount = 0

    /// Whether the computer sleeps: what falls due is done when it wakes, while the clock goes on.
    var isAsleep = false {
        didSet {
            guard oldValue, !isAsleep else { return }
            let due = asleep
            asleep = []
            for body in due { body() }
        }
    }

    init(_ lab: Lab) {
        self.lab = lab
    }

    // NIO takes zero for the beginning of time, in which nothing has happened.
    var now: NIODeadline { .uptimeNanoseconds(UInt64(1 + lab.now.nanoseconds)) }
    var inEventLoop: Bool { true }

    private func perform(_ body: @escaping () -> Void) {
        if isAsleep { asleep.append(body) } else { body() }
    }

    func execute(_ task: @escaping @Sendable () -> Void) {
        lab.at(lab.now) { [self] in perform(task) }
    }

    func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        schedule(deadline, task)
    }

    func scheduleTask<T>(in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        schedule(now + delay, task)
    }

    private func schedule<T>(_ deadline: NIODeadline, _ task: @escaping () throws -> T) -> Scheduled<T> {
        let promise = makePromise(of: T.self)
        entryCount += 1
        let number = entryCount
        entries[number] = Entry(
            run: {
                do {
                    promise.assumeIsolated().succeed(try task())
                } catch {
                    promise.fail(error)
                }
            },
            cancel: { promise.fail(EventLoopError.cancelled) }
        )
        let at = Instant(nanoseconds: Int64(clamping: deadline.uptimeNanoseconds) - 1)
        lab.at(at) { [self] in perform { [self] in entries.removeValue(forKey: number)?.run() } }
        return Scheduled(promise: promise, cancellationTask: { self.entries[number] = nil })
    }

    /// Cancels what waits.
    func close() {
        let waiting = entries.sorted { $0.key < $1.key }
        entries = [:]
        for (_, entry) in waiting { entry.cancel() }
    }

    // Whoever is on the event loop already may hand in what may not leave it.
    func _executeIsolatedUnsafeUnchecked(_ task: @escaping () -> Void) {
        lab.at(lab.now) { [self] in perform(task) }
    }

    func _submitIsolatedUnsafeUnchecked<T>(_ task: @escaping () throws -> T) -> EventLoopFuture<T> {
        schedule(now, task).futureResult
    }

    func _scheduleTaskIsolatedUnsafeUnchecked<T>(
        deadline: NIODeadline,
        _ task: @escaping () throws -> T
    ) -> Scheduled<T> {
        schedule(deadline, task)
    }

    func _scheduleTaskIsolatedUnsafeUnchecked<T>(
        in delay: TimeAmount,
        _ task: @escaping () throws -> T
    ) -> Scheduled<T> {
        schedule(now + delay, task)
    }

    func preconditionInEventLoop(file: StaticString, line: UInt) {}
    func preconditionNotInEventLoop(file: StaticString, line: UInt) {
        preconditionFailure("a lab has one thread", file: file, line: line)
    }

    func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        close()
        callback(nil)
    }

    /// A task that has not been done yet.
    private struct Entry {
        var run: () -> Void
        var cancel: () -> Void
    }
}
