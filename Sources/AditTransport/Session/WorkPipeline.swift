// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto
import AditTunnel
import AditWire
import NIOCore

/// The handlers that a proxy's flags put between a work connection and its application.
enum WorkPipeline {
    /// Adds the transform's handlers between `before` and the rest of the pipeline, nearest the wire first.
    ///
    /// - Parameter before: the handler behind which they go; nil for the very beginning.
    static func install(
        _ transform: WorkTransform,
        on channel: any Channel,
        after before: (any ChannelHandler)?,
        random: RandomBytes
    ) throws {
        var handlers: [any ChannelHandler] = []
        if let token = transform.token {
            handlers.append(
                CFBHandler(key: FRPTokenKey(token: token).cipherKey, iv: random(AES128CFBStream.keyByteCount))
            )
        }
        if transform.isCompressed { handlers.append(SnappyHandler()) }
        guard !handlers.isEmpty else { return }
        let pipeline = channel.pipeline.syncOperations
        if let before {
            try pipeline.addHandlers(handlers, position: .after(before))
        } else {
            try pipeline.addHandlers(handlers, position: .first)
        }
    }

    /// The bytes of a first frame, with the magic in front when the sender opened the connection.
    static func bytes(_ message: FRPMessage, _ version: FRPWireVersion, withMagic: Bool) throws(WireError) -> ByteBuffer
    {
        var bytes: [UInt8] = withMagic && version == .v2 ? FRPWireMagic.bytes : []
        try FRPFrame.message(message).encode(version: version, into: &bytes)
        return ByteBuffer(bytes: bytes)
    }
}

/// A work connection of an frp client that waits at the server for a visitor.
final class IdleWorkConnection: Sendable {
    let channel: any Channel
    private let version: FRPWireVersion
    private let opening: NIOLoopBound<FirstFrameHandler>
    private let random: RandomBytes

    init(channel: any Channel, version: FRPWireVersion, opening: FirstFrameHandler, random: RandomBytes) {
        self.channel = channel
        self.version = version
        self.opening = NIOLoopBound(opening, eventLoop: channel.eventLoop)
        self.random = random
    }

    /// Writes StartWorkConn and makes the channel raw.
    func start(_ start: FRPStartWorkConnection, _ transform: WorkTransform) -> EventLoopFuture<any Channel> {
        channel.eventLoop.flatSubmit { [channel, version, opening, random] in
            do {
                let bytes = try WorkPipeline.bytes(.startWorkConnection(start), version, withMagic: false)
                return channel.writeAndFlush(bytes).flatMapThrowing {
                    try WorkPipeline.install(transform, on: channel, after: opening.value, random: random)
                    opening.value.release()
                    return channel
                }
            } catch {
                return channel.eventLoop.makeFailedFuture(error)
            }
        }
    }

    /// Says why the connection is of no use, and closes it.
    func refuse(_ text: String) {
        let start = FRPStartWorkConnection(error: text)
        guard let bytes = try? WorkPipeline.bytes(.startWorkConnection(start), version, withMagic: false) else {
            channel.close(promise: nil)
            return
        }
        channel.writeAndFlush(bytes).whenComplete { [channel] _ in channel.close(promise: nil) }
    }
}
