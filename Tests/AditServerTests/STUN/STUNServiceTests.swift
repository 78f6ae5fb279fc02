// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditServer
import AditTransport
import AditTraversal
import AditWire
import NIOCore
import NIOPosix
import Testing

@Suite("STUN of a server")
struct STUNServiceTests {
    private static func setup(_ change: (inout STUNSetup) -> Void = { _ in }) -> STUNSetup {
        var setup = STUNSetup()
        setup.port = 0
        setup.alternatePort = 0
        setup.tlsPort = 0
        change(&setup)
        return setup
    }

    @Test("A device is told at login where STUN is answered")
    func offer() async throws {
        let addresses = [IPAddress.v4(0x7F00_0002), .v4(0x7F00_0003)]
        let test = try await TestServer.start {
            $0.stun = Self.setup { $0.addresses = addresses.map { .init($0) } }
        }
        let device = try await TestDevice(test, name: "laptop", invite: try test.invite())
        let told = try #require(try await device.connected().adit?.stun)
        #expect(told.port != 0 && told.tlsPort != 0 && told.alternatePort != 0 && told.port != told.alternatePort)
        #expect(told.alternateAddress == addresses[1])
        #expect(told == test.server.stunOffer)
        #expect(test.server.stunStatus?.port == told.port)
        try await device.stop()
        try await test.stop()
    }

    @Test("Without STUN nothing is told")
    func silence() async throws {
        let test = try await TestServer.start()
        let device = try await TestDevice(test, name: "laptop", invite: try test.invite())
        #expect(try await device.connected().adit?.stun == nil)
        #expect(test.server.stunStatus == nil)
        try await device.stop()
        try await test.stop()
    }

    @Test("A port that was named has to be there, any other need not")
    func taken() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let blocker = try await ServerBootstrap(group: loop).bind(host: "127.0.0.1", port: 0).get()
        let port = UInt16(try #require(blocker.localAddress?.port))
        for change: @Sendable (inout STUNSetup) -> Void in [
            { $0.port = port }, { $0.alternatePort = port }, { $0.tlsPort = port },
        ] {
            let error = await #expect(throws: AditError.self) {
                try await TestServer.start { $0.stun = Self.setup(change) }
            }
            #expect(error?.code == .cannotListen)
            #expect(error?.what.english.contains("\(port)") == true)
        }
        let tests: [(@Sendable (inout STUNSetup) -> Void, Bool)] = [
            (
                {
                    $0.port = port
                    $0.isPortOptional = true
                }, false
            ),
            (
                {
                    $0.alternatePort = port
                    $0.isAlternatePortOptional = true
                }, true
            ),
            (
                {
                    $0.tlsPort = port
                    $0.isTLSPortOptional = true
                }, true
            ),
        ]
        for (change, isServed) in tests {
            let test = try await TestServer.start { $0.stun = Self.setup(change) }
            #expect((test.server.stunStatus != nil) == isServed)
            #expect(test.server.stunStatus?.alternatePort != port && test.server.stunStatus?.tlsPort != port)
            try await test.stop()
        }
        try await blocker.close()
    }

    @Test("What a file leaves out is optional, and what it names is not")
    func wishes() {
        var file = STUNConfiguration()
        let open = STUNSetup(file)
        #expect(open?.port == 3478 && open?.alternatePort == 3479 && open?.tlsPort == 5349)
        #expect(
            open?.isPortOptional == true && open?.isAlternatePortOptional == true && open?.isTLSPortOptional == true
        )
        file.port = 65535
        #expect(STUNSetup(file)?.isPortOptional == false)
        #expect(STUNSetup(file)?.alternatePort == 65534)
        file.port = 0
        #expect(STUNSetup(file)?.alternatePort == 0)
        file.port = nil
        file.addresses = [.init(.v4(0x7F00_0001))]
        #expect(STUNSetup(file)?.isPortOptional == false)
        file.isOn = false
        #expect(STUNSetup(file) == nil)
        #expect(ServerSetup(FRPServerConfiguration(), token: "x").stun == nil)
    }

    @Test("Messages over TCP are answered in their order")
    func pipeline() async throws {
        let test = try await TestServer.start { $0.stun = Self.setup() }
        let port = try #require(test.server.stunStatus?.port)
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let collector = Collector(expected: 3, loop)
        let channel = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(collector.handler())
                }
            }
            .connect(host: "127.0.0.1", port: Int(port)).get()
        var bytes: [UInt8] = []
        for number in 1...3 {
            var message: [UInt8] = []
            STUNMessage(.request, transactionID: STUNTransactionID(high: 7, low: UInt64(number))).encode(into: &message)
            bytes += message
        }
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes[..<31]))
        try await channel.writeAndFlush(ByteBuffer(bytes: bytes[31...]))
        let answers = try await collector.promise.futureResult.get()
        #expect(answers.map(\.transactionID.low) == [1, 2, 3])
        let own = IPEndpoint(.v4(0x7F00_0001), UInt16(try #require(channel.localAddress?.port)))
        #expect(answers.allSatisfy { $0.kind == .success && $0.mappedEndpoint == own })
        #expect(test.server.stunStatus?.answered == 3)
        try await channel.close()
        try await test.stop()
    }

    /// Reads messages from a stream until there are enough.
    private final class Collector: Sendable {
        let promise: EventLoopPromise<[STUNMessage]>
        private let expected: Int

        init(expected: Int, _ loop: any EventLoop) {
            self.expected = expected
            promise = loop.makePromise()
        }

        func handler() -> Handler { Handler(expected, promise) }

        final class Handler: ChannelInboundHandler {
            typealias InboundIn = ByteBuffer

            private let expected: Int
            private let promise: EventLoopPromise<[STUNMessage]>
            private var buffer = ByteBuffer()
            private var messages: [STUNMessage] = []

            init(_ expected: Int, _ promise: EventLoopPromise<[STUNMessage]>) {
                self.expected = expected
                self.promise = promise
            }

            func channelRead(context: ChannelHandlerContext, data: NIOAny) {
                buffer.writeImmutableBuffer(unwrapInboundIn(data))
                while let length = try? STUNMessage.byteCount(inStream: buffer.readableBytesSpan),
                    let bytes = buffer.readBytes(length: length),
                    let message = try? STUNMessage.decode(bytes.span.bytes)
                {
                    messages.append(message)
                }
                if messages.count == expected { promise.succeed(messages) }
            }

            func channelInactive(context: ChannelHandlerContext) {
                promise.fail(ChannelError.eof)
            }
        }
    }
}
