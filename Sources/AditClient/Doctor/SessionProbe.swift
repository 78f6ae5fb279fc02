// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditWire
import NIOCore
import NIOSSL
import NIOTLS

/// Speaks TLS and the first frame of the session's protocol on one connection, and hangs up before anybody logs in.
final class SessionProbe: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// What came of it.
    struct Result: Sendable {
        var tls: SessionFinding.TLS
        var hello: SessionFinding.Hello?
    }

    private let check: PinCheck
    private let keeper: FirstBytesKeeper
    private let limit: TimeAmount
    private let promise: EventLoopPromise<Result>
    private let start = NIODeadline.now()
    private var tls: SessionFinding.TLS?
    private var helloStart = NIODeadline.now()
    private var received: [UInt8] = []
    private var timer: Scheduled<Void>?
    private var isOver = false

    init(check: PinCheck, keeper: FirstBytesKeeper, limit: Duration, promise: EventLoopPromise<Result>) {
        self.check = check
        self.keeper = keeper
        self.limit = .nanoseconds(limit.wholeNanoseconds)
        self.promise = promise
    }

    func handlerAdded(context: ChannelHandlerContext) {
        timer = context.eventLoop.assumeIsolated().scheduleTask(in: limit) { self.end(nil, isSilent: true, context) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .handshakeCompleted? = event as? TLSUserEvent, tls == nil {
            let certificate = try? context.channel.pipeline.syncOperations.nioSSL_peerCertificate()
            tls = .up(try? certificate?.keyFingerprint(), after: Self.time(since: start))
            helloStart = .now()
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: Self.request)), promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        received += unwrapInboundIn(data).readableBytesView
        if let hello = judge() {
            finish(hello, context)
        } else if received.count > 64 * 1024 {
            finish(.garbage, context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if tls == nil, let untrusted = check.failure(error) { tls = .untrusted(untrusted) }
        end(error, isSilent: false, context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(nil, isSilent: false, context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        end(nil, isSilent: false, context)
    }

    /// A stream, the magic of wire v2 and a hello, as a device begins.
    private static var request: [UInt8] {
        var hello = FRPClientHello(
            tls: true,
            tcpMux: true,
            algorithms: FRPControlCipher.allCases.map(\.rawValue),
            clientRandom: RandomBytes.system(32)
        )
        hello.adit = AditHello(version: 1, features: AditFeature.allCases, deviceKey: RandomBytes.system(32))
        var body = FRPWireMagic.bytes
        // A hello is far below the wire's limit.
        try? FRPFrame.clientHello(hello).encode(version: .v2, into: &body)
        var bytes: [UInt8] = []
        YamuxHeader(.windowUpdate, .open, streamID: 1).encode(into: &bytes)
        YamuxHeader(.data, streamID: 1, length: UInt32(body.count)).encode(into: &bytes)
        return bytes + body
    }

    /// What the bytes on the stream say; nil while they say nothing.
    private func judge() -> SessionFinding.Hello? {
        var stream: [UInt8] = []
        var offset = 0
        while received.count - offset >= YamuxHeader.byteCount {
            let rest = Array(received[offset...])
            guard let header = (try? YamuxHeader.decode(rest.span.bytes)).flatMap({ $0 }) else { return .garbage }
            offset += YamuxHeader.byteCount
            if header.kind == .goAway || header.flags.contains(.reset) { return .garbage }
            guard header.kind == .data else { continue }
            let count = min(Int(header.length), received.count - offset)
            if header.streamID == 1 { stream += received[offset..<(offset + count)] }
            offset += count
        }
        do throws(WireError) {
            guard let (frame, _) = try FRPFrame.decode(stream.span.bytes, version: .v2) else { return nil }
            guard case .serverHello(let hello, _) = frame else { return .garbage }
            if !hello.error.isEmpty { return .refused(hello.error) }
            return hello.adit == nil ? .frp : .adit(after: Self.time(since: helloStart))
        } catch {
            return .garbage
        }
    }

    private func end(_ error: (any Error)?, isSilent: Bool, _ context: ChannelHandlerContext) {
        guard !isOver else { return }
        switch tls {
        case .up?: finish(isSilent ? .silent : .garbage, context)
        case .some: finish(nil, context)
        case nil:
            let time = Self.time(since: start)
            tls = Self.failure(error, first: keeper.bytes, isSilent: isSilent, after: time)
            finish(nil, context)
        }
    }

    /// What the first bytes of a connection say about a handshake that failed.
    static func failure(
        _ error: (any Error)?,
        first bytes: [UInt8],
        isSilent: Bool,
        after time: Duration
    ) -> SessionFinding.TLS {
        if let answer = HTTPFinding(head: bytes, time: time) { return .answersHTTP(answer) }
        // A record of TLS begins with its type, 20 to 23, and the version's 3.
        if let first = bytes.first, !(20...23).contains(first) || (bytes.count > 1 && bytes[1] != 3) { return .notTLS }
        if isSilent { return .silent }
        return .broken(error.map(ProbeWords.words) ?? "the connection was closed")
    }

    private func finish(_ hello: SessionFinding.Hello?, _ context: ChannelHandlerContext) {
        guard !isOver else { return }
        isOver = true
        timer?.cancel()
        promise.succeed(Result(tls: tls ?? .broken("the connection was closed"), hello: hello))
        context.close(promise: nil)
    }

    static func time(since start: NIODeadline) -> Duration {
        .nanoseconds((NIODeadline.now() - start).nanoseconds)
    }
}
