// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import NIOCore
import NIOPosix
import NIOSSL
import NIOTLS
import Testing

@Suite(.timeLimit(.minutes(1)))
struct ProbeTLSTests {
    @Test func `bytes go to and fro inside TLS, and the end is an end`() async throws {
        let house = try await EchoHouse(applicationProtocols: ["stun.turn"])
        let tls = SocketTLS(trust: .pinned(house.tls.fingerprint), applicationProtocols: ["stun.turn"])
        let bench = await MachineBench(tls: tls)
        let id = bench.newID()
        bench.perform(.open(id, .tls(local: MachineBench.loopback, remote: house.endpoint, name: "adit")))
        guard case .connected(id, _, house.endpoint)? = await bench.next() else { throw MachineBench.Unexpected() }
        // The house says first what ALPN has chosen.
        #expect(await bench.next() == .bytes(id, Array("stun.turn".utf8)))
        bench.perform(.write(id, [1, 2, 3]))
        #expect(await bench.next() == .bytes(id, [1, 2, 3]))
        bench.perform(.write(id, [0]))
        #expect(await bench.next() == .closed(id, .finished))
        #expect(try await bench.end() == [])
    }

    @Test func `another key, no trust, and a server without TLS`() async throws {
        let house = try await EchoHouse()
        let other = try ServerTLS(SelfSignedCertificate.make(name: "adit", notBefore: 1_700_000_000))
        let tls = SocketTLS(trust: .pinned(other.fingerprint))
        let kind = SocketKind.tls(local: MachineBench.loopback, remote: house.endpoint, name: "adit")
        for (bench, end) in await [
            (MachineBench(tls: tls), SocketEnd.malformed),
            (MachineBench(tls: SocketTLS(trust: .publicAuthorities(name: ""))), .malformed),
            (MachineBench(), .denied),
        ] {
            let id = bench.newID()
            bench.perform(.open(id, kind))
            #expect(await bench.next() == .closed(id, end))
            #expect(try await bench.end() == [])
        }
        let bench = await MachineBench(tls: tls)
        let (_, there) = try await bench.open(.listener(local: MachineBench.loopback))
        let id = bench.newID()
        bench.perform(.open(id, .tls(local: MachineBench.loopback, remote: there, name: "adit")))
        guard case .accepted(let taken, _, _, _)? = await bench.next() else { throw MachineBench.Unexpected() }
        guard case .bytes(taken, _)? = await bench.next() else { throw MachineBench.Unexpected() }
        bench.perform(.write(taken, Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)))
        #expect(await bench.next() == .closed(id, .malformed))
    }

    @Test func `several TLS connections leave from one port`() async throws {
        let houses = [try await EchoHouse(), try await EchoHouse(), try await EchoHouse()]
        for house in houses {
            let bench = await MachineBench(tls: SocketTLS(trust: .pinned(house.tls.fingerprint)))
            let (_, local) = try await bench.open(.listener(local: MachineBench.loopback))
            for _ in 0..<2 {
                let id = bench.newID()
                bench.perform(.open(id, .tls(local: local, remote: house.endpoint, name: "")))
                guard case .connected(id, local, _)? = await bench.next() else { throw MachineBench.Unexpected() }
                bench.perform(.close(id, isAbrupt: true))
            }
        }
    }
}

/// A server with TLS that says which protocol ALPN chose, gives back what comes, and ends with the byte 0.
private final class EchoHouse: Sendable {
    let tls: ServerTLS
    let endpoint: IPEndpoint
    private let channel: any Channel

    init(applicationProtocols: [String] = []) async throws {
        let certificate = try SelfSignedCertificate.make(name: "adit", notBefore: 1_700_000_000)
        tls = try ServerTLS(certificate)
        let chain = try NIOSSLCertificate.fromPEMBytes(Array(certificate.certificatePEM.utf8))
        let key = try NIOSSLPrivateKey(bytes: Array(certificate.keyPEM.utf8), format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.applicationProtocols = applicationProtocols
        let context = try NIOSSLContext(configuration: configuration)
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    try operations.addHandler(NIOSSLServerHandler(context: context))
                    try operations.addHandler(EchoHandler())
                }
            }
            .bind(host: "127.0.0.1", port: 0)
            .get()
        endpoint = IPEndpoint(MachineBench.loopback.address, UInt16(channel.localAddress?.port ?? 0))
    }

    deinit {
        channel.close(promise: nil)
    }
}

private final class EchoHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard case .handshakeCompleted(let chosen?)? = event as? TLSUserEvent else { return }
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: chosen)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        if buffer.readableBytesView.elementsEqual([0]) { return context.close(promise: nil) }
        context.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
    }
}
