// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire
package import NIOCore

/// Who takes what a datagram link brings; called on the link's event loop.
package protocol DatagramLinkDelegate: AnyObject {
    /// A datagram of a visitor's flow came; the bytes are only there until `linkEndedRound`.
    func received(_ payload: UnsafeRawBufferPointer, visitor: IPEndpoint)

    /// Everything that had come was told, and its bytes go away.
    func linkEndedRound()

    /// The link takes datagrams again.
    func linkBecameWritable()

    /// The link is gone; nothing more comes from it.
    func linkClosed(_ link: DatagramLink, because reason: String)
}

/// A work connection that carries the datagrams of all visitors of a udp tunnel, framed as both sides agreed.
///
/// It is written to in bursts: frames are collected and leave with `flush`, or as soon as a yamux frame is full. It is never
/// held back from reading, since sending a datagram on does not wait. The connection may live on another event loop.
package final class DatagramLink {
    /// How datagrams lie in the byte stream.
    package enum Framing: Sendable, Equatable {
        /// Adit's frames (docs/wire.md, Datagram frames).
        case adit
        /// frp's UDPPacket messages. A client pings every 30 seconds, a server gives up after 60 without anything.
        case frp(FRPWireVersion, isServer: Bool)
    }

    /// Collected bytes above this are sent at once.
    private static let burstByteLimit = 60 * 1024
    private static let backlogByteLimit = 16 * 1024
    /// How much may be on its way to the connection's event loop, before the connection could say that it is full.
    private static let transitByteLimit = 64 * 1024
    private static let pingInterval = TimeAmount.seconds(30)
    private static let patience = TimeAmount.seconds(60)

    private let channel: any Channel
    private let eventLoop: any EventLoop
    private let framing: Framing
    private var delegate: (any DatagramLinkDelegate)?
    private var isClosed = false
    private var burst = ByteBuffer()
    private var transit = 0
    private var header: [UInt8] = []
    private var unread = ByteBuffer()
    private var timer: Scheduled<Void>?
    private var lastRead: NIODeadline = .distantPast

    /// Makes a link on `eventLoop` over a work connection that holds an `EarlyDataHandler`; nothing happens before `start`.
    package init(
        _ channel: any Channel,
        framing: Framing,
        on eventLoop: any EventLoop,
        delegate: any DatagramLinkDelegate
    ) {
        self.channel = channel
        self.eventLoop = eventLoop
        self.framing = framing
        self.delegate = delegate
    }

    /// Begins to take what the connection brings; called on the link's event loop.
    package func start() {
        eventLoop.preconditionInEventLoop()
        lastRead = eventLoop.now
        schedule()
        let outlet = DatagramLinkOutlet(NIOLoopBound(self, eventLoop: eventLoop), on: eventLoop)
        if channel.eventLoop.inEventLoop {
            outlet.install(on: channel)
        } else {
            channel.eventLoop.execute { [channel] in outlet.install(on: channel) }
        }
    }

    /// Whether the link takes datagrams now; what is written all the same is queued without bound.
    ///
    /// It takes little ahead, so that whoever writes to it decides late what goes first: besides a burst, nothing waits
    /// here or in the stream.
    package var isWritable: Bool { !isClosed && transit < Self.transitByteLimit && channel.isWritable }

    /// Writes one datagram of a visitor's flow; false when the framing has no room for it, and nothing was written.
    package func write(_ payload: UnsafeRawBufferPointer, visitor: IPEndpoint) -> Bool {
        guard !isClosed else { return false }
        do throws(WireError) {
            header.removeAll(keepingCapacity: true)
            switch framing {
            case .adit:
                let frame = try DatagramHeader(payloadByteCount: payload.count, visitor: visitor)
                frame.encode(into: &header)
                reserve(header.count + payload.count)
                burst.writeBytes(header)
                burst.writeBytes(payload)
            case .frp(let version, _):
                // What the limit of a frame has no room for is not encoded first: base 64 makes four digits of three.
                guard payload.count / 3 * 4 < version.payloadLimit else { return false }
                let packet = FRPUDPPacket(content: Array(payload), remoteAddress: FRPUDPAddress(visitor))
                try FRPFrame.message(.udpPacket(packet)).encode(version: version, into: &header)
                burst.writeBytes(header)
            }
        } catch {
            return false
        }
        if burst.readableBytes >= Self.burstByteLimit { flush() }
        return true
    }

    /// Sends what was written when it is enough for a frame of its own. After each datagram of a backlog: less waits in
    /// the stream then when it takes no more.
    package func flushBacklog() {
        if burst.readableBytes >= Self.backlogByteLimit { flush() }
    }

    /// Sends what was written.
    package func flush() {
        guard burst.readableBytes > 0, !isClosed else { return }
        let burst = burst
        self.burst = ByteBuffer()
        if channel.eventLoop.inEventLoop { return channel.writeAndFlush(burst, promise: nil) }
        transit += burst.readableBytes
        let link = NIOLoopBound(self, eventLoop: eventLoop)
        channel.eventLoop.execute { [channel, eventLoop] in
            channel.writeAndFlush(burst, promise: nil)
            eventLoop.execute { link.value.wasHandedOver(burst.readableBytes) }
        }
    }

    private func wasHandedOver(_ count: Int) {
        let wasFull = transit >= Self.transitByteLimit
        transit -= count
        if wasFull, isWritable { becameWritable() }
    }

    /// Closes the connection; the delegate is not told.
    package func close() {
        delegate = nil
        end("closed")
    }

    private func reserve(_ count: Int) {
        // Most rounds are small; a full one grows once.
        if burst.capacity == 0 {
            burst = channel.allocator.buffer(capacity: max(2048, count))
        } else if burst.writableBytes < count, burst.capacity < Self.burstByteLimit {
            burst.reserveCapacity(minimumWritableBytes: Self.burstByteLimit + count)
        }
    }

    // MARK: Receiving

    fileprivate func receive(_ chunk: ByteBuffer) {
        guard !isClosed else { return }
        if unread.readableBytes == 0 {
            unread = chunk
        } else {
            unread.discardReadBytes()
            unread.writeImmutableBuffer(chunk)
        }
        lastRead = eventLoop.now
        do throws(WireError) {
            let count =
                switch framing {
                case .adit: try readFrames(unread)
                case .frp(let version, _): try readMessages(unread, version)
                }
            unread.moveReaderIndex(forwardBy: count)
            if unread.readableBytes == 0 { unread = ByteBuffer() }
        } catch {
            end("\(error)")
        }
    }

    /// Reads whole frames; how many bytes they were.
    private func readFrames(_ buffer: ByteBuffer) throws(WireError) -> Int {
        let result: Result<Int, WireError> = buffer.withUnsafeReadableBytes { bytes in
            var start = 0
            defer { delegate?.linkEndedRound() }
            do throws(WireError) {
                while !isClosed {
                    let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
                    guard let header = try DatagramHeader.decode(rest.bytes) else { break }
                    let end = header.byteCount + header.payloadByteCount
                    guard rest.count >= end else { break }
                    let payload = UnsafeRawBufferPointer(rebasing: rest[header.byteCount..<end])
                    delegate?.received(payload, visitor: header.visitor)
                    start += end
                }
                return .success(start)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Reads whole messages; how many bytes they were.
    private func readMessages(_ buffer: ByteBuffer, _ version: FRPWireVersion) throws(WireError) -> Int {
        var start = 0
        while !isClosed {
            guard let rest = buffer.getSlice(at: buffer.readerIndex + start, length: buffer.readableBytes - start),
                let (frame, count) = try FRPFrame.decode(rest.readableBytesSpan, version: version)
            else { break }
            start += count
            guard case .message(let message) = frame else { throw .invalidField(offset: 0, found: 0) }
            switch message {
            case .udpPacket(let packet):
                guard let visitor = packet.remoteAddress?.endpoint,
                    packet.content.count <= DatagramHeader.payloadByteLimit
                else { continue }
                packet.content.withUnsafeBytes { payload in
                    delegate?.received(payload, visitor: IPEndpoint(visitor.address.unmapped, visitor.port))
                    delegate?.linkEndedRound()
                }
            case .ping: break
            default: throw .unknownType(message.id)
            }
        }
        return start
    }

    fileprivate func becameWritable() {
        guard !isClosed else { return }
        delegate?.linkBecameWritable()
    }

    fileprivate func end(_ reason: String) {
        guard !isClosed else { return }
        isClosed = true
        timer?.cancel()
        timer = nil
        unread = ByteBuffer()
        burst = ByteBuffer()
        channel.close(promise: nil)
        let delegate = delegate
        self.delegate = nil
        delegate?.linkClosed(self, because: reason)
    }

    // MARK: frp's heartbeats

    private func schedule() {
        guard case .frp(let version, let isServer) = framing, !isClosed else { return }
        let delay = isServer ? max(.milliseconds(1), lastRead + Self.patience - eventLoop.now) : Self.pingInterval
        timer = eventLoop.assumeIsolated().scheduleTask(in: delay) { [weak self] in
            guard let self, !isClosed else { return }
            if isServer {
                if eventLoop.now >= lastRead + Self.patience { return end("nothing came for 60 seconds") }
            } else {
                var frame: [UInt8] = []
                try? FRPFrame.message(.ping(FRPPing())).encode(version: version, into: &frame)
                burst.writeBytes(frame)
                flush()
            }
            schedule()
        }
    }
}

/// The end of a link's connection in its pipeline: passes what comes on to the link, on whichever event loop that is.
private final class DatagramLinkOutlet: ChannelDuplexHandler, @unchecked Sendable {
    // Unchecked: it is made on the link's event loop and then touched on the connection's only.
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    /// How much may be on its way to the link before no more is read.
    private static let transitByteLimit = 1 << 20

    private let link: NIOLoopBound<DatagramLink>
    private let linkLoop: any EventLoop
    private var context: ChannelHandlerContext?
    private var transit = 0
    private var isReadHeld = false

    init(_ link: NIOLoopBound<DatagramLink>, on linkLoop: any EventLoop) {
        self.link = link
        self.linkLoop = linkLoop
    }

    func install(on channel: any Channel) {
        do {
            try channel.pipeline.syncOperations.addHandler(self)
            guard channel.isActive else { return tell { $0.end("the connection is gone") } }
            try channel.pipeline.syncOperations.handler(type: EarlyDataHandler.self).handOver()
            (channel as? StreamChannel)?.keepShort()
            try channel.syncOptions?.setOption(.autoRead, value: true)
        } catch {
            channel.close(promise: nil)
            tell { $0.end("\(error)") }
        }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let chunk = unwrapInboundIn(data)
        // Also on the same event loop: not while the loop goes through the events of its sockets, since sending on one takes
        // away the error for which NIO may be about to look at it, and NIO ends the process when there is none.
        transit += chunk.readableBytes
        linkLoop.execute { [link, loop = context.eventLoop] in
            link.value.receive(chunk)
            loop.execute { self.arrived(chunk.readableBytes) }
        }
    }

    func read(context: ChannelHandlerContext) {
        if transit > Self.transitByteLimit {
            isReadHeld = true
        } else {
            context.read()
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { tell { $0.becameWritable() } }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { tell { $0.end("the other side ended it") } }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        tell { $0.end("the connection is gone") }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        let reason = "\(error)"
        tell { $0.end(reason) }
    }

    private func arrived(_ count: Int) {
        transit -= count
        guard isReadHeld, transit <= Self.transitByteLimit else { return }
        isReadHeld = false
        context?.read()
    }

    private func tell(_ body: @escaping @Sendable (DatagramLink) -> Void) {
        linkLoop.execute { [link] in body(link.value) }
    }
}
