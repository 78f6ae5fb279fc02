// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTraversal
package import NIOCore

/// Runs a traversal machine with real sockets on one event loop, until it is cancelled.
///
/// Every method may be called from any thread; events come on `eventLoop`. The machine's first outputs are taken when it
/// starts; one that has neither an output nor a deadline then is given `.timer` once.
package final class SocketMachineDriver<Machine: SocketMachine>: Sendable {
    /// Where the machine, its sockets and its timer live.
    package let eventLoop: any EventLoop
    private let runner: NIOLoopBoundBox<SocketMachineRunner<Machine>>

    /// Makes a driver that does nothing before `start`.
    ///
    /// - Parameters:
    ///   - interface: the interface that all sockets use, where the system lets them; nil for those of the routes.
    ///   - watchesNetwork: whether the machine is told `.networkChanged` when addresses or routes change.
    ///   - tls: whom its TLS connections trust; without it they end as `denied`.
    ///   - onEvent: hears the machine's events, on the event loop.
    package init(
        _ machine: Machine,
        on eventLoop: any EventLoop,
        through interface: String? = nil,
        watchesNetwork: Bool = false,
        tls: SocketTLS? = nil,
        onEvent: @escaping @Sendable (Machine.Event) -> Void
    ) {
        self.eventLoop = eventLoop
        runner = NIOLoopBoundBox.makeBoxSendingValue(
            SocketMachineRunner(
                machine,
                on: eventLoop,
                through: interface,
                watchesNetwork: watchesNetwork,
                tls: tls,
                onEvent: onEvent
            ),
            eventLoop: eventLoop
        )
    }

    /// Begins; once.
    package func start() {
        eventLoop.execute { [runner] in runner.value.start() }
    }

    /// Changes the machine from outside and performs what it wants then; nothing happens after the end.
    package func update(_ change: @escaping @Sendable (inout Machine) -> Void) {
        eventLoop.execute { [runner] in runner.value.update(change) }
    }

    /// Changes the machine at once and performs what it wants then, or soon when it is being performed now; only on
    /// `eventLoop`. Nil after the end.
    package func now<Answer>(_ change: (inout Machine) -> Answer) -> Answer? {
        runner.value.with(change)
    }

    /// Asks the machine what changes nothing of what it wants, only on `eventLoop`; nil after the end.
    package func look<Answer>(_ body: (inout Machine) -> Answer) -> Answer? {
        runner.value.look(body)
    }

    /// Closes every socket and tells no more events; succeeds when that is done.
    @discardableResult
    package func cancel() -> EventLoopFuture<Void> {
        eventLoop.submit { [runner] in runner.value.cancel() }
    }

    /// How many sockets, connections, listeners and requests are open.
    package func openCount() -> EventLoopFuture<Int> {
        eventLoop.submit { [runner] in runner.value.openCount }
    }

    /// The events of a machine that runs as long as they are asked for; at most 1024 wait.
    package static func events(
        of machine: Machine,
        on eventLoop: any EventLoop,
        through interface: String? = nil,
        watchesNetwork: Bool = false,
        tls: SocketTLS? = nil
    ) -> AsyncStream<Machine.Event> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Machine.Event.self,
            bufferingPolicy: .bufferingNewest(1024)
        )
        let driver = SocketMachineDriver(
            machine,
            on: eventLoop,
            through: interface,
            watchesNetwork: watchesNetwork,
            tls: tls
        ) { event in
            continuation.yield(event)
        }
        continuation.onTermination = { _ in driver.cancel() }
        driver.start()
        return stream
    }
}
