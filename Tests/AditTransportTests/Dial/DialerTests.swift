// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

@Suite("Dialling a server")
struct DialerTests {
    private let group = MultiThreadedEventLoopGroup.singleton

    private func listener() async throws -> any Channel {
        try await ServerBootstrap(group: group).bind(host: "127.0.0.1", port: 0).get()
    }

    private func connect(_ dialer: Dialer) async throws -> any Channel {
        try await dialer.connect(on: group.next()) { $0.eventLoop.makeSucceededVoidFuture() }.get()
    }

    @Test("The name is resolved for every try, and a new address is followed")
    func resolvesEveryTime() async throws {
        let first = try await listener()
        let port = try #require(first.localAddress?.port)
        let resolver = TestResolver(group.next(), v4: ["127.0.0.1"])
        let dialer = Dialer(target: HostPort(host: "server.test", port: UInt16(port)), resolver: resolver)
        let one = try await connect(dialer)
        #expect(one.remoteAddress?.ipAddress == "127.0.0.1")
        let second = try await ServerBootstrap(group: group).bind(host: "127.0.0.2", port: port).get()
        resolver.set(v4: ["127.0.0.2"])
        let two = try await connect(dialer)
        #expect(two.remoteAddress?.ipAddress == "127.0.0.2")
        #expect(resolver.queries == 2)
        for channel in [one, two, first, second] { try? await channel.close().get() }
    }

    @Test("An address that does not answer does not keep the others waiting")
    func fallsThrough() async throws {
        let open = try await listener()
        let port = try #require(open.localAddress?.port)
        let resolver = TestResolver(group.next(), v4: ["127.0.0.3", "127.0.0.1"], v6: ["::1"])
        let dialer = Dialer(target: HostPort(host: "server.test", port: UInt16(port)), resolver: resolver)
        let channel = try await connect(dialer)
        #expect(channel.remoteAddress?.ipAddress == "127.0.0.1")
        try? await channel.close().get()
        try? await open.close().get()
    }

    @Test("When the name does not resolve, the address that worked last is tried")
    func lastGoodAddress() async throws {
        let open = try await listener()
        let port = try #require(open.localAddress?.port)
        let resolver = TestResolver(group.next(), v4: ["127.0.0.1"])
        let dialer = Dialer(target: HostPort(host: "server.test", port: UInt16(port)), resolver: resolver)
        let one = try await connect(dialer)
        resolver.set(v4: nil)
        let two = try await connect(dialer)
        #expect(two.remoteAddress?.ipAddress == "127.0.0.1")
        for channel in [one, two, open] { try? await channel.close().get() }
        let failure = await #expect(throws: DialFailure.self) { try await connect(dialer) }
        #expect(failure?.attempts.map(\.address.address.description) == ["127.0.0.1"])
        #expect(failure?.nameError != nil)
    }

    @Test("A failure tells what became of each address")
    func failures() async throws {
        let closed = try await listener()
        let port = UInt16(try #require(closed.localAddress?.port))
        try await closed.close().get()
        let resolver = TestResolver(group.next(), v4: ["127.0.0.1", "127.0.0.2"])
        let dialer = Dialer(target: HostPort(host: "server.test", port: port), resolver: resolver)
        let failure = try #require(await #expect(throws: DialFailure.self) { try await connect(dialer) })
        #expect(Set(failure.attempts.map(\.address.description)) == ["127.0.0.1:\(port)", "127.0.0.2:\(port)"])
        #expect(Set(failure.attempts.map(\.reason)) == ["Connection refused"])
        #expect(failure.error.code == .serverUnreachable)
        #expect(failure.error.why.count == 2)
    }

    @Test("A name without an address is told as such")
    func noAddress() async throws {
        let dialer = Dialer(
            target: HostPort(host: "server.test", port: 7000),
            resolver: TestResolver(group.next(), v4: nil)
        )
        let failure = try #require(await #expect(throws: DialFailure.self) { try await connect(dialer) })
        #expect(failure.error.code == .nameDoesNotResolve)
        #expect(failure.error.what.english == "The name server.test does not resolve")
    }
}

private struct NoSuchName: Error {}

private final class TestResolver: Resolver, Sendable {
    private struct State: Sendable {
        var v4: [String]?
        var v6: [String]
        var queries = 0
    }

    private let eventLoop: any EventLoop
    private let state: NIOLockedValueBox<State>

    init(_ eventLoop: any EventLoop, v4: [String]?, v6: [String] = []) {
        self.eventLoop = eventLoop
        state = NIOLockedValueBox(State(v4: v4, v6: v6))
    }

    var queries: Int { state.withLockedValue { $0.queries } }

    func set(v4: [String]?) {
        state.withLockedValue { $0.v4 = v4 }
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        let found = state.withLockedValue { state in
            state.queries += 1
            return state.v4
        }
        guard let found else { return eventLoop.makeFailedFuture(NoSuchName()) }
        return eventLoop.makeCompletedFuture { try found.map { try SocketAddress(ipAddress: $0, port: port) } }
    }

    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        let (v4, v6) = state.withLockedValue { ($0.v4, $0.v6) }
        guard v4 != nil else { return eventLoop.makeFailedFuture(NoSuchName()) }
        return eventLoop.makeCompletedFuture { try v6.map { try SocketAddress(ipAddress: $0, port: port) } }
    }

    func cancelQueries() {}
}
