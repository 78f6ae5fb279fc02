// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTransport
import NIOCore
import NIOHPACK
import NIOHTTP1
import NIOHTTP2

/// A request's head as the app gets it.
enum HTTPRequestBlock: Sendable {
    /// Written for HTTP/1.1.
    case bytes(ByteBuffer)
    /// The fields of HTTP/2, pseudo-header fields first.
    case fields(HPACKHeaders)
}

/// What a visitor connection asks of its connection to the app.
enum HTTPBackendCommand: Sendable {
    /// Sends a request's head, already written; `head` tells the parser what the response answers.
    case start(HTTPRequestBlock, HTTPRequestHead, HTTPBackendRequest)
    case body(ByteBuffer)
    case end(HTTPHeaders?)
    case flush
    /// That many bytes of the response are on their way to the visitor: as many more may be read.
    case consumed(Int)
    /// The visitor has ended its direction of an upgraded connection.
    case endOutput
    case close
}

/// What the app's end has to know about a request.
struct HTTPBackendRequest: Sendable {
    /// Whether the body goes out in chunks.
    var isChunked: Bool
    /// Whether the head is the whole request, after which no `end` follows.
    var isComplete: Bool
    /// Whether the app may change the protocol.
    var mayUpgrade: Bool
}

/// What a connection to the app tells its visitor connection.
enum HTTPBackendEvent: Sendable {
    case head(HTTPResponseHead)
    /// The app changed the protocol: what follows on both sides is raw.
    case upgraded(HTTPResponseHead)
    case body(ByteBuffer)
    /// The response is complete; whether another request may follow on the connection.
    case end(HTTPHeaders?, isReusable: Bool)
    case flush
    /// That many bytes of the request are taken.
    case consumed(Int)
    /// The app has ended its direction of an upgraded connection.
    case inputEnded
    case lost(HTTPBackendLoss)
}

/// How a connection to the app went away.
enum HTTPBackendLoss: Sendable, Equatable {
    /// It ended before a byte of the response, or while no request was on it.
    case closed
    /// It ended in the middle of the response.
    case cut
    /// What came is not HTTP.
    case invalid
    /// The app ended this one stream of HTTP/2 (RFC 9113 section 6.4).
    case reset(HTTP2ErrorCode)
}

/// The visitor's end of a link.
protocol HTTPBackendSink: AnyObject {
    /// Takes what the app's end tells; called on the visitor's loop.
    func handle(_ event: HTTPBackendEvent, from link: HTTPBackendLink)
}

/// The app's end of a link.
protocol HTTPBackendClient: AnyObject {
    /// Does what the visitor's end asks for; called on the app's loop.
    func handle(_ command: HTTPBackendCommand)
}

/// The two ends of a connection to the app, which may live on different event loops.
///
/// On one loop commands and events are plain calls; between two they are tasks, in order. What is on its way is bounded
/// by `HTTPLimits.bytesInFlight`, which both ends count.
final class HTTPBackendLink: Sendable {
    private let visitorLoop: any EventLoop
    private let backendLoop: any EventLoop
    private let isSameLoop: Bool
    private let visitor: NIOLoopBoundBox<(any HTTPBackendSink)?>
    private let backend: NIOLoopBoundBox<(any HTTPBackendClient)?>

    /// Makes a link to an app's end on `backendLoop`; called on the visitor's loop.
    init(to backendLoop: any EventLoop, visitor: any HTTPBackendSink, on loop: any EventLoop) {
        visitorLoop = loop
        self.backendLoop = backendLoop
        isSameLoop = loop === backendLoop
        self.visitor = NIOLoopBoundBox(visitor, eventLoop: loop)
        backend = NIOLoopBoundBox.makeEmptyBox(valueType: (any HTTPBackendClient).self, eventLoop: backendLoop)
    }

    /// Puts an HTTP/1.1 client on a channel of raw bytes, called on the visitor's loop; events may come before this returns.
    func begin(on channel: any Channel, _ limits: HTTPLimits) {
        if isSameLoop {
            install(channel, limits)
        } else {
            backendLoop.execute { self.install(channel, limits) }
        }
    }

    /// Makes the app's end with `make`, called on the visitor's loop; events may come before this returns.
    func begin(_ make: @escaping @Sendable (HTTPBackendLink) -> Void) {
        if isSameLoop {
            make(self)
        } else {
            backendLoop.execute { make(self) }
        }
    }

    /// Sets the app's end; called on the app's loop.
    func connect(_ client: any HTTPBackendClient) {
        backend.value = client
    }

    /// Hands the link to another visitor's end; called on the visitor's loop.
    func attach(_ sink: any HTTPBackendSink) {
        visitor.value = sink
    }

    /// Asks the app's end for something; called on the visitor's loop.
    func send(_ command: HTTPBackendCommand) {
        if isSameLoop {
            backend.value?.handle(command)
        } else {
            backendLoop.execute { self.backend.value?.handle(command) }
        }
    }

    /// Tells the visitor's end something; called on the app's loop.
    func deliver(_ event: HTTPBackendEvent) {
        if isSameLoop {
            visitor.value?.handle(event, from: self)
        } else {
            visitorLoop.execute { self.visitor.value?.handle(event, from: self) }
        }
    }

    /// Forgets the visitor, after which nothing is delivered, and closes the connection; called on the visitor's loop.
    func abandon() {
        guard visitor.value != nil else { return }
        send(.close)
        visitor.value = nil
    }

    /// The app's end is gone; called on the app's loop.
    func backendClosed() {
        backend.value = nil
    }

    private func install(_ channel: any Channel, _ limits: HTTPLimits) {
        let decoding = HTTPDecodingHandler<HTTPResponseHead, HTTPRequestHead>(limits: limits)
        let connection = HTTPBackendConnection(link: self, decoding: decoding, window: limits.bytesInFlight)
        do {
            guard channel.isActive else { throw ChannelError.ioOnClosedChannel }
            try channel.syncOptions?.setOption(.autoRead, value: false)
            try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHandlers([decoding, connection])
            backend.value = connection
            if let early = try? pipeline.handler(type: EarlyDataHandler.self) { early.handOver() }
            connection.begin()
        } catch {
            backend.value = nil
            channel.close(promise: nil)
            deliver(.lost(.closed))
        }
    }
}
