// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP2

/// A peer sends frames that cost work and bring nothing, faster than any real one.
struct HTTP2Flood: Error {}

/// Counts a peer's frames before they are decoded, and sees when this side gives a connection up.
///
/// NIO bounds resets, pings, settings, empty data and CONTINUATION frames, but neither window updates nor how long a header
/// may take. Here each frame without content costs one of an allowance that grows with time and with what the peer is sent,
/// because a window update is due for that.
final class HTTP2FrameGuard: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = IOData
    typealias OutboundOut = IOData

    /// Who is at the other end.
    enum Peer {
        case visitor
        case app
    }

    private enum FrameType {
        static let data: UInt8 = 0
        static let headers: UInt8 = 1
        static let goAway: UInt8 = 7
        static let continuation: UInt8 = 9
        static let endStream: UInt8 = 1
        static let endHeaders: UInt8 = 4
    }

    private let limits: HTTPLimits
    private var inbound: HTTP2FrameScanner
    private var outbound: HTTP2FrameScanner
    private var allowance: Int
    private var grown = NIODeadline.now()
    private var isHeaderOpen = false
    private var isStopped = false
    /// Something came since this was last set to false.
    var sawInput = false
    /// A GOAWAY is written that is not this side's own orderly leave.
    private(set) var hasGivenUp = false
    /// Set around this side's own orderly GOAWAY.
    var isLeaving = false

    init(of peer: Peer, limits: HTTPLimits) {
        self.limits = limits
        allowance = limits.idleFrames
        inbound = HTTP2FrameScanner(skipping: peer == .visitor ? HTTP2Preface.text.utf8CodeUnitCount : 0)
        outbound = HTTP2FrameScanner(skipping: peer == .app ? HTTP2Preface.text.utf8CodeUnitCount : 0)
    }

    /// Whether a frame has begun and not ended that is not data: a header that comes in drops.
    var isInsideHeader: Bool {
        isHeaderOpen || inbound.partialBytes > 0
            || (inbound.payloadLeft > 0 && inbound.present?.type != FrameType.data)
    }

    /// Whether an error is the connection's end; else it is one stream's, which has been reset.
    func endsConnection(_ error: any Error) -> Bool {
        hasGivenUp || !(error is any NIOHTTP2Error)
    }

    /// Lets the bytes in that were read before this handler was there.
    func feed(_ bytes: ByteBuffer, context: ChannelHandlerContext) {
        channelRead(context: context, data: NIOAny(bytes))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isStopped else { return }
        sawInput = true
        inbound.scan(unwrapInboundIn(data)) { arrived($0) }
        if allowance < 0 { grow() }
        guard allowance >= 0 else {
            isStopped = true
            context.fireErrorCaught(HTTP2Flood())
            return
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if case .byteBuffer(let bytes) = unwrapOutboundIn(data) {
            allowance = min(limits.idleFrames, allowance + bytes.readableBytes / limits.bytesPerIdleFrame)
            outbound.scan(bytes) { header in
                if header.type == FrameType.goAway, !isLeaving { hasGivenUp = true }
            }
        }
        context.write(data, promise: promise)
    }

    private func arrived(_ header: HTTP2FrameScanner.Header) {
        switch header.type {
        case FrameType.data:
            if header.length == 0, header.flags & FrameType.endStream == 0 { allowance -= 1 }
        case FrameType.headers, FrameType.continuation:
            isHeaderOpen = header.flags & FrameType.endHeaders == 0
            if header.length == 0 { allowance -= 1 }
        default: allowance -= 1
        }
    }

    private func grow() {
        let now = NIODeadline.now()
        let earned = Int((now - grown).nanoseconds / 1_000_000) * limits.idleFramesPerSecond / 1_000
        guard earned > 0 else { return }
        grown = now
        allowance = min(limits.idleFrames, allowance + earned)
    }
}
