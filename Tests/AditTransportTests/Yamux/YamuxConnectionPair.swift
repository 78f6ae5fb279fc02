// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import AditTunnel
import NIOCore
import NIOPosix
import NIOSSL

/// The two ends of a yamux session over a loopback connection.
struct YamuxConnectionPair: Sendable {
    let client: YamuxMultiplexer
    let server: YamuxMultiplexer

    static func make(
        client clientLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next(),
        server serverLoop: any EventLoop = MultiThreadedEventLoopGroup.singleton.next(),
        isSecure: Bool = false,
        configuration: YamuxConfiguration = YamuxConfiguration(),
        clientStreams: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil,
        serverStreams: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil
    ) async throws -> YamuxConnectionPair {
        let accepted = serverLoop.makePromise(of: YamuxMultiplexer.self)
        let serverTLS = isSecure ? try TestTLS.serverContext() : nil
        let clientTLS = isSecure ? try TestTLS.clientContext() : nil
        let listener = try await ServerBootstrap(group: serverLoop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    if let serverTLS { try operations.addHandler(NIOSSLServerHandler(context: serverTLS)) }
                    let handler = YamuxHandler(
                        role: .server,
                        configuration: configuration,
                        inboundStreamInitializer: serverStreams
                    )
                    try operations.addHandler(handler)
                    accepted.succeed(handler.multiplexer)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = listener.localAddress?.port ?? 0
        let connected = clientLoop.makePromise(of: YamuxMultiplexer.self)
        _ = try await ClientBootstrap(group: clientLoop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let operations = channel.pipeline.syncOperations
                    if let clientTLS {
                        try operations.addHandler(NIOSSLClientHandler(context: clientTLS, serverHostname: nil))
                    }
                    let handler = YamuxHandler(
                        role: .client,
                        configuration: configuration,
                        inboundStreamInitializer: clientStreams
                    )
                    try operations.addHandler(handler)
                    connected.succeed(handler.multiplexer)
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let pair = YamuxConnectionPair(
            client: try await connected.futureResult.get(),
            server: try await accepted.futureResult.get()
        )
        try await listener.close()
        return pair
    }
}
