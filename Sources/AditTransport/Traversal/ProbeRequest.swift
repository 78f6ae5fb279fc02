// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import NIOCore
import NIOHTTP1
import NIOPosix

/// An HTTP request of a traversal machine on a connection of its own; everything happens on its event loop.
///
/// The peer may be any router on the way, or who claims to be one: what it sends is bounded, and what it gave for a path or
/// a field cannot add a line to the request.
final class ProbeRequest {
    private static let headLimit = 16 * 1024
    private static let fieldLimit = 64

    private var channel: (any Channel)?
    private var tell: ((Result<SocketResponse, ProbeRequestFailure>) -> Void)?

    /// Sends the request; `tell` hears the response or why there is none, unless the request is closed before.
    init(
        _ request: SocketRequest,
        scope: UInt32,
        device: UInt32,
        on eventLoop: any EventLoop,
        tell: @escaping (Result<SocketResponse, ProbeRequestFailure>) -> Void
    ) {
        self.tell = tell
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        guard let head = Self.head(of: request), let place = try? request.endpoint.socketAddress(scope: scope) else {
            eventLoop.execute { bound.value.end(.failure(ProbeRequestFailure(.malformed))) }
            return
        }
        ClientBootstrap(group: eventLoop)
            .through(device)
            .connectTimeout(.hours(1))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    bound.value.channel = channel
                    try bound.value.install(on: channel, head: head, request: request)
                }
            }
            .connect(to: place)
            .assumeIsolated()
            .whenFailure { bound.value.end(.failure(ProbeRequestFailure(SocketEnd($0)))) }
    }

    /// Whether it was told, or given up.
    var isOver: Bool { tell == nil }

    /// Gives it up; nothing is told any more.
    func close() {
        tell = nil
        channel?.close(promise: nil)
        channel = nil
    }

    fileprivate func end(_ result: Result<SocketResponse, ProbeRequestFailure>) {
        let tell = self.tell
        close()
        tell?(result)
    }

    private func install(on channel: any Channel, head: HTTPRequestHead, request: SocketRequest) throws {
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderListSize = Self.headLimit
        limits.maxHeaderFieldSize = Self.headLimit
        limits.maxHeaderFieldCount = Self.fieldLimit
        let decoder = HTTPResponseDecoder(
            leftOverBytesStrategy: .dropBytes,
            informationalResponseStrategy: .drop,
            limitConfiguration: limits
        )
        let operations = channel.pipeline.syncOperations
        // A chunk of one byte takes six.
        try operations.addHandler(ByteCountLimit(Self.headLimit + 8 * request.responseLimit))
        try operations.addHandler(HTTPRequestEncoder(configuration: Self.encoding))
        try operations.addHandler(ByteToMessageHandler(decoder))
        try operations.addHandler(ProbeRequestHandler(self, head: head, request: request))
    }

    private static var encoding: HTTPRequestEncoder.Configuration {
        var configuration = HTTPRequestEncoder.Configuration()
        configuration.automaticallySetFramingHeaders = false
        return configuration
    }

    /// The head of the request; nil when a part of it would not stay in its place.
    private static func head(of request: SocketRequest) -> HTTPRequestHead? {
        let isVisible = { (byte: UInt8) in byte > 32 && byte < 127 }
        guard !request.method.isEmpty, request.method.utf8.allSatisfy(isToken), request.path.hasPrefix("/"),
            request.path.utf8.allSatisfy(isVisible), !request.host.isEmpty, request.host.utf8.allSatisfy(isVisible)
        else { return nil }
        let isIPv6 = request.host.contains(":") && !request.host.hasPrefix("[")
        let host = isIPv6 ? "[\(request.host)]" : request.host
        var headers = HTTPHeaders()
        headers.add(name: "Host", value: request.endpoint.port == 80 ? host : "\(host):\(request.endpoint.port)")
        for field in request.fields {
            guard !field.name.isEmpty, field.name.utf8.allSatisfy(isToken),
                field.value.utf8.allSatisfy({ $0 == 9 || $0 >= 32 && $0 != 127 })
            else { return nil }
            headers.add(name: field.name, value: field.value)
        }
        if !request.body.isEmpty || request.method == "POST" {
            headers.add(name: "Content-Length", value: String(request.body.count))
        }
        headers.add(name: "Connection", value: "close")
        return HTTPRequestHead(
            version: .http1_1,
            method: HTTPMethod(rawValue: request.method),
            uri: request.path,
            headers: headers
        )
    }

    /// RFC 9110 section 5.6.2.
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

/// Why a request has no response.
struct ProbeRequestFailure: Error {
    let end: SocketEnd

    init(_ end: SocketEnd) {
        self.end = end
    }
}

/// Ends a connection that brings more bytes than any right response has.
private final class ByteCountLimit: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private var left: Int

    init(_ limit: Int) {
        left = limit
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        left -= unwrapInboundIn(data).readableBytes
        if left < 0 {
            context.fireErrorCaught(HTTPParserError.headerOverflow)
        } else {
            context.fireChannelRead(data)
        }
    }
}

private final class ProbeRequestHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    private let owner: ProbeRequest
    private let head: HTTPRequestHead
    private let request: SocketRequest
    private var response: SocketResponse?

    init(_ owner: ProbeRequest, head: HTTPRequestHead, request: SocketRequest) {
        self.owner = owner
        self.head = head
        self.request = request
    }

    func channelActive(context: ChannelHandlerContext) {
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if !request.body.isEmpty {
            context.write(wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: request.body)))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            guard let local = context.channel.localAddress.flatMap({ IPEndpoint($0) }) else { return fail(.reset) }
            let fields = head.headers.map { SocketField($0.name, $0.value) }
            response = SocketResponse(status: Int(head.status.code), fields: fields, local: local)
        case .body(let part):
            let count = response?.body.count ?? 0
            guard count + part.readableBytes <= request.responseLimit else { return fail(.malformed) }
            response?.body += part.readableBytesView
        case .end:
            guard let response else { return fail(.malformed) }
            owner.end(.success(response))
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(SocketEnd(error))
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(response == nil ? .finished : .malformed)
    }

    private func fail(_ end: SocketEnd) {
        owner.end(.failure(ProbeRequestFailure(end)))
    }
}
