// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import AditTunnel
import NIOCore
import NIOPosix

/// One end of a connection between two devices, with streams of yamux in the place of QUIC's.
final class StandInConnection: PeerConnection {
    static let datagramLimit = 1200

    let eventLoop: any EventLoop
    private let multiplexer: YamuxMultiplexer
    private let material: [UInt8]
    private var streams: [Int64: any Channel] = [:]
    private weak var partner: StandInConnection?
    /// How many datagrams went beside the stream.
    private(set) var datagrams = 0

    private init(_ multiplexer: YamuxMultiplexer, material: [UInt8]) {
        eventLoop = multiplexer.eventLoop
        self.multiplexer = multiplexer
        self.material = material
    }

    func openStream(_ initialize: @escaping (any Channel) throws -> Void) -> EventLoopFuture<any Channel> {
        let body = NIOLoopBound(initialize, eventLoop: eventLoop)
        let me = NIOLoopBound(self, eventLoop: eventLoop)
        return multiplexer.openStream { channel in
            channel.eventLoop.makeCompletedFuture {
                me.value.note(channel)
                try body.value(channel)
            }
        }
    }

    func sendDatagram(_ payload: ByteBuffer, of stream: any Channel) -> Bool {
        guard payload.readableBytes <= Self.datagramLimit, let stream = stream as? StreamChannel else {
            return false
        }
        datagrams += 1
        let partner = NIOLoopBound(self.partner, eventLoop: eventLoop)
        let id = stream.streamID
        eventLoop.execute {
            partner.value?.streams[id]?.pipeline.fireUserInboundEventTriggered(QUICDatagram(payload: payload))
        }
        return true
    }

    func exportKeyingMaterial(label: String) -> [UInt8]? {
        label == ServiceProof.exporterLabel ? material : nil
    }

    func close() {
        multiplexer.connection.close(promise: nil)
    }

    private func note(_ channel: any Channel) {
        guard let stream = channel as? StreamChannel else { return }
        streams[stream.streamID] = channel
        let id = stream.streamID
        channel.closeFuture.assumeIsolated().whenComplete { [weak self] _ in self?.streams[id] = nil }
    }

    /// Makes both ends on a loopback connection; `accept` gets the streams that the first end opens, at the second.
    static func pair(
        on loop: any EventLoop,
        material: UInt8 = 5,
        accept: @escaping @Sendable (any Channel, any PeerConnection) throws -> Void
    ) async throws -> NIOLoopBound<(StandInConnection, StandInConnection)> {
        let second = NIOLoopBoundBox<StandInConnection?>.makeEmptyBox(
            valueType: StandInConnection.self,
            eventLoop: loop
        )
        let accepted = loop.makePromise(of: YamuxMultiplexer.self)
        let listener = try await ServerBootstrap(group: loop)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = YamuxHandler(role: .server) { stream in
                        stream.eventLoop.makeCompletedFuture {
                            guard let me = second.value else { throw ChannelError.alreadyClosed }
                            me.note(stream)
                            try accept(stream, me)
                        }
                    }
                    try channel.pipeline.syncOperations.addHandler(handler)
                    accepted.succeed(handler.multiplexer)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = listener.localAddress?.port ?? 0
        let opened = loop.makePromise(of: YamuxMultiplexer.self)
        _ = try await ClientBootstrap(group: loop)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let handler = YamuxHandler(role: .client)
                    try channel.pipeline.syncOperations.addHandler(handler)
                    opened.succeed(handler.multiplexer)
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        let (client, server) = try await (opened.futureResult.get(), accepted.futureResult.get())
        try await listener.close()
        return try await loop.submit {
            let bytes = [UInt8](repeating: material, count: 32)
            let ends = (StandInConnection(client, material: bytes), StandInConnection(server, material: bytes))
            (ends.0.partner, ends.1.partner) = (ends.1, ends.0)
            second.value = ends.1
            return NIOLoopBound(ends, eventLoop: loop)
        }.get()
    }
}
