// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import NIOCore
import NIOPosix

/// A machine that does what a test says and tells everything that happens to it.
struct ToldMachine: SocketMachine {
    var outputs: [SocketOutput<SocketInput>] = []
    /// What it does by itself when something happens.
    var reaction: @Sendable (SocketInput) -> [SocketOutput<SocketInput>] = { _ in [] }
    var nextDeadline: Instant?

    mutating func handle(_ input: SocketInput, at now: Instant) {
        if input == .timer { nextDeadline = nil }
        outputs.append(.event(input))
        outputs += reaction(input)
    }

    mutating func nextOutput() -> SocketOutput<SocketInput>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }
}

/// A driver with such a machine, and what it was told in order.
final class MachineBench {
    static let loopback = IPEndpoint(.v4(0x7F00_0001), 0)
    static let loopbackV6 = IPEndpoint(.v6(high: 0, low: 1), 0)

    let driver: SocketMachineDriver<ToldMachine>
    private let continuation: AsyncStream<SocketInput>.Continuation
    private var events: AsyncStream<SocketInput>.Iterator
    private var lastID: UInt32 = 0

    init(
        _ machine: ToldMachine = ToldMachine(),
        on loop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next(),
        tls: SocketTLS? = nil
    ) async {
        let (stream, continuation) = AsyncStream.makeStream(of: SocketInput.self)
        self.continuation = continuation
        events = stream.makeAsyncIterator()
        driver = SocketMachineDriver(machine, on: loop, tls: tls) { continuation.yield($0) }
        driver.start()
        // A machine that wants nothing is asked once.
        if machine.outputs.isEmpty, machine.nextDeadline == nil { _ = await next() }
    }

    deinit {
        driver.cancel()
    }

    /// The next thing that happened.
    func next(isolation: isolated (any Actor)? = #isolation) async -> SocketInput? {
        await events.next(isolation: isolation)
    }

    func perform(_ outputs: SocketOutput<SocketInput>...) {
        driver.update { $0.outputs += outputs }
    }

    func newID() -> SocketID {
        lastID += 1
        return SocketID(lastID)
    }

    /// Opens a UDP socket or a listener.
    func open(_ kind: SocketKind) async throws -> (id: SocketID, local: IPEndpoint) {
        let id = newID()
        perform(.open(id, kind))
        guard case .opened(id, let local)? = await next() else { throw Unexpected() }
        return (id, local)
    }

    /// Ends the driver; nothing else may have happened.
    func end() async throws -> [SocketInput] {
        try await driver.cancel().get()
        continuation.finish()
        var left: [SocketInput] = []
        while let event = await next() { left.append(event) }
        return left
    }

    struct Unexpected: Error {}
}
