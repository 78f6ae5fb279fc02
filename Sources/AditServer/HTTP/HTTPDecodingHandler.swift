// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1

/// What stopped the parser.
struct HTTPParseFailure: Error {
    let reason: HTTPParserError?
    /// The request's target was what did not fit.
    let isTargetTooLong: Bool
}

/// Feeds NIO's HTTP parser and keeps the bytes that it does not take.
///
/// The parser is driven directly and not by a `ByteToMessageHandler`, so that a connection can leave HTTP (RFC 9110
/// section 7.8) without a change of its pipeline: after `switchToRaw` every byte arrives as a body part.
final class HTTPDecodingHandler<Head: Equatable, OtherHead: Equatable>: ChannelInboundHandler, RemovableChannelHandler {
    typealias Part = HTTPPart<Head, ByteBuffer>
    typealias OtherPart = HTTPPart<OtherHead, IOData>
    typealias InboundIn = ByteBuffer
    typealias InboundOut = Part

    private enum Mode {
        /// Nothing is parsed yet, and it may turn out that the peer speaks HTTP/2.
        case beginning
        case http
        case raw
        case failed
    }

    private let decoder: HTTPDecoder<Part, OtherPart>
    private var context: ChannelHandlerContext?
    private var buffer = ByteBuffer()
    private var mode: Mode
    private var isDecoding = false
    private var isEnded = false
    /// Whether a line of the present head has been taken out of the buffer.
    private var hasTakenLine = false
    private let targetBytes: Int

    /// Makes a parser; one that recognises HTTP/2 announces it with the event `HTTP2Preface` and parses nothing.
    init(limits: HTTPLimits, recognisesHTTP2: Bool = false) {
        mode = recognisesHTTP2 ? .beginning : .http
        var bounds = NIOHTTPDecoderLimitConfiguration()
        bounds.maxHeaderFieldSize = limits.headerBytes
        bounds.maxHeaderListSize = limits.headerBytes
        bounds.maxHeaderFieldCount = limits.headerCount
        targetBytes = limits.targetBytes
        decoder = HTTPDecoder(informationalResponseStrategy: .forward, limitConfiguration: bounds)
    }

    /// Stops parsing; what was not parsed and everything that follows is passed on as it is.
    func switchToRaw() {
        guard mode == .http || mode == .beginning else { return }
        mode = .raw
        if !isDecoding { flushRaw() }
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        decoder.decoderAdded(context: context)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        decoder.decoderRemoved(context: context)
        self.context = nil
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var incoming = unwrapInboundIn(data)
        switch mode {
        case .raw: context.fireChannelRead(wrapInboundOut(.body(incoming)))
        case .failed: break
        case .http:
            keep(&incoming)
            decode(context: context)
        case .beginning:
            keep(&incoming)
            switch HTTP2Preface.match(buffer) {
            case .undecided: break
            case .no:
                mode = .http
                decode(context: context)
            case .yes:
                mode = .failed
                let preface = HTTP2Preface(bytes: buffer)
                buffer = ByteBuffer()
                context.fireUserInboundEventTriggered(preface)
            }
        }
    }

    private func keep(_ incoming: inout ByteBuffer) {
        if buffer.readableBytes == 0 {
            buffer = incoming
        } else {
            buffer.discardReadBytes()
            buffer.writeBuffer(&incoming)
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { finish(context: context) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish(context: context)
        context.fireChannelInactive()
    }

    private func decode(context: ChannelHandlerContext) {
        guard !isDecoding else { return }
        isDecoding = true
        let before = buffer
        do {
            _ = try decoder.decode(context: context, buffer: &buffer)
            noteLines(before)
        } catch {
            fail(error, context: context)
        }
        isDecoding = false
        if mode == .raw { flushRaw() }
    }

    private func finish(context: ChannelHandlerContext) {
        guard !isEnded else { return }
        isEnded = true
        if mode == .beginning { mode = .http }
        guard mode == .http, !isDecoding else { return }
        isDecoding = true
        do {
            _ = try decoder.decodeLast(context: context, buffer: &buffer, seenEOF: true)
        } catch {
            fail(error, context: context)
        }
        isDecoding = false
        if mode == .raw { flushRaw() }
    }

    private func fail(_ error: any Error, context: ChannelHandlerContext) {
        guard mode == .http else { return }
        mode = .failed
        let reason = error as? HTTPParserError
        let lineEnd = buffer.readableBytesView.prefix(targetBytes).firstIndex(of: UInt8(ascii: "\n"))
        let failure = HTTPParseFailure(
            reason: reason,
            isTargetTooLong: reason == .headerOverflow && !hasTakenLine && lineEnd == nil
        )
        buffer.clear()
        context.fireErrorCaught(failure)
    }

    /// The parser says only that a head is too large; whether it got beyond its first line is seen from the bytes.
    private func noteLines(_ before: ByteBuffer) {
        let left = buffer.readableBytes
        if left == 0 {
            hasTakenLine = false
        } else if !hasTakenLine {
            hasTakenLine = before.readableBytesView.dropLast(left).contains(UInt8(ascii: "\n"))
        }
    }

    private func flushRaw() {
        guard let context, buffer.readableBytes > 0 else { return }
        let rest = buffer
        buffer = ByteBuffer()
        context.fireChannelRead(wrapInboundOut(.body(rest)))
        context.fireChannelReadComplete()
    }
}

extension HTTPDecodingHandler where Head == HTTPResponseHead, OtherHead == HTTPRequestHead {
    /// Tells the parser which request the next response answers, because that decides whether a body follows.
    func expectResponse(to head: HTTPRequestHead) {
        decoder.write(data: .head(head))
    }
}
