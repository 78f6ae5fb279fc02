// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import NIOCore

/// Two devices with QUIC between them, on one event loop, whose packets are handed over in memory.
final class QUICDevices {
    static func key(_ number: UInt8) throws -> DeviceKey {
        try DeviceKey(seed: [UInt8](repeating: number, count: 32))
    }

    private let loop: any EventLoop
    private let accept: (any Channel, any PeerConnection) throws -> Void
    private(set) var visitor: QUICPeerConnection?
    private(set) var desk: QUICPeerConnection?

    private init(_ loop: any EventLoop, _ accept: @escaping (any Channel, any PeerConnection) throws -> Void) {
        self.loop = loop
        self.accept = accept
    }

    /// Joins the two devices; `accept` gets the streams that the visitor opens, at the desk.
    static func make(
        on loop: any EventLoop,
        accept: @escaping @Sendable (any Channel, any PeerConnection) throws -> Void
    ) async throws -> NIOLoopBound<QUICDevices> {
        let established = loop.makePromise(of: Void.self)
        let made = try await loop.submit {
            let devices = QUICDevices(loop, accept)
            let now = Instant(loop.now)
            let client = QUICConnection.client(
                QUICIdentity(try key(1)),
                peer: try key(2).publicKey.keyFingerprint,
                at: now
            )
            let visitor = QUICPeerConnection(
                client,
                on: loop,
                owner: .init(
                    send: { [weak devices] in devices?.toDesk($0) },
                    established: { established.succeed() },
                    opened: { _ in throw ChannelError.operationUnsupported },
                    ended: { _ in }
                )
            )
            devices.visitor = visitor
            visitor.start()
            return NIOLoopBound(devices, eventLoop: loop)
        }.get()
        try await established.futureResult.get()
        return made
    }

    private func toDesk(_ batch: PacketBatch) {
        loop.assumeIsolated().execute { [self] in
            if desk == nil { desk = makeDesk(batch) }
            desk?.receive(batch)
        }
    }

    private func makeDesk(_ batch: PacketBatch) -> QUICPeerConnection? {
        guard let own = try? Self.key(2), let peer = try? Self.key(1) else { return nil }
        let server = QUICConnection.server(
            QUICIdentity(own),
            peer: peer.publicKey.keyFingerprint,
            first: batch[0],
            at: Instant(loop.now)
        )
        guard let server else { return nil }
        return QUICPeerConnection(
            server,
            on: loop,
            owner: .init(
                send: { [weak self] batch in
                    self?.loop.assumeIsolated().execute { self?.visitor?.receive(batch) }
                },
                established: {},
                opened: { [weak self] channel in
                    guard let self, let desk else { throw ChannelError.alreadyClosed }
                    try accept(channel, desk)
                },
                ended: { _ in }
            )
        )
    }

    func close() {
        visitor?.close()
        desk?.close()
    }
}
