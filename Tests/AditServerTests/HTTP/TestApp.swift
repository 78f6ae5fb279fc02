// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// An app behind a tunnel: a TCP server whose connections a test answers by hand.
final class TestApp: Sendable {
    private struct State {
        var waiting: [TestWire] = []
        var takers: [CheckedContinuation<TestWire, Never>] = []
        var accepted = 0
    }

    private let state = NIOLockedValueBox(State())
    private let channel: NIOLockedValueBox<(any Channel)?> = NIOLockedValueBox(nil)
    let port: NIOLockedValueBox<Int> = NIOLockedValueBox(0)

    /// Connections taken so far.
    var accepted: Int { state.withLockedValue { $0.accepted } }

    static func start() async throws -> TestApp {
        let app = TestApp()
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(.backlog, value: 128)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let wire = TestWire()
                    try wire.install(channel)
                    app.take(wire)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        app.channel.withLockedValue { $0 = server }
        app.port.withLockedValue { $0 = server.localAddress?.port ?? 0 }
        return app
    }

    /// An app that answers every request of every connection with `response`.
    static func start(_ response: @escaping @Sendable (TestWire.Message) -> String) async throws -> TestApp {
        let app = try await start()
        Task {
            while true {
                let wire = await app.accept()
                Task {
                    while let request = try? await wire.readMessage() { try await wire.send(response(request)) }
                    wire.close()
                }
            }
        }
        return app
    }

    /// The next connection.
    func accept() async -> TestWire {
        await withCheckedContinuation { continuation in
            let wire = state.withLockedValue { state -> TestWire? in
                if !state.waiting.isEmpty { return state.waiting.removeFirst() }
                state.takers.append(continuation)
                return nil
            }
            if let wire { continuation.resume(returning: wire) }
        }
    }

    func stop() async throws {
        try await channel.withLockedValue { $0 }?.close().get()
    }

    private func take(_ wire: TestWire) {
        let taker = state.withLockedValue { state -> CheckedContinuation<TestWire, Never>? in
            state.accepted += 1
            if !state.takers.isEmpty { return state.takers.removeFirst() }
            state.waiting.append(wire)
            return nil
        }
        taker?.resume(returning: wire)
    }
}
