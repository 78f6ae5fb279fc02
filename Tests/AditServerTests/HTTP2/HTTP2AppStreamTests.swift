// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import NIOHPACK
import NIOHTTP1
import NIOHTTP2
import Testing

@testable import AditServer

struct HTTP2AppStreamTests {
    /// A visitor who sends the next part of the body as soon as one is taken, and counts what was.
    private final class Visitor: HTTPBackendSink {
        var next: [String] = []
        var taken = 0
        var isLost = false

        func handle(_ event: HTTPBackendEvent, from link: HTTPBackendLink) {
            switch event {
            case .consumed(let count):
                taken += count
                guard !next.isEmpty else { return }
                link.send(.body(ByteBuffer(string: next.removeFirst())))
                if next.isEmpty { link.send(.end(nil)) }
            case .lost: isLost = true
            default: break
            }
        }
    }

    private let loop = EmbeddedEventLoop()
    private let visitor = Visitor()
    private let link: HTTPBackendLink
    private let channel: EmbeddedChannel
    private let stream: HTTP2AppStream

    init() {
        link = HTTPBackendLink(to: loop, visitor: visitor, on: loop)
        channel = EmbeddedChannel(loop: loop)
        let connection = HTTP2AppConnection(channel, limits: HTTPLimits()) { _ in }
        stream = HTTP2AppStream(link: link, connection: connection, window: HTTPLimits().bytesInFlight)
        link.connect(stream)
        let head = HTTPRequestHead(version: .http2, method: .POST, uri: "/")
        let request = HTTPBackendRequest(isChunked: false, isComplete: false, mayUpgrade: false)
        link.send(.start(.fields([":method": "POST", ":path": "/"]), head, request))
    }

    /// What the app gets: the body's parts in their order, and whether the request ended.
    private func sent() throws -> (parts: [String], isEnded: Bool) {
        var parts: [String] = []
        var isEnded = false
        while let payload = try channel.readOutbound(as: HTTP2Frame.FramePayload.self) {
            guard case .data(let content) = payload, case .byteBuffer(let bytes) = content.data else { continue }
            #expect(!isEnded)
            if bytes.readableBytes > 0 { parts.append(String(buffer: bytes)) }
            if content.endStream { isEnded = true }
        }
        return (parts, isEnded)
    }

    @Test
    func whatComesWhileWaitingPartsAreTakenWaitsBehindThem() throws {
        visitor.next = ["three", "four"]
        link.send(.body(ByteBuffer(string: "one")))
        link.send(.body(ByteBuffer(string: "two")))
        link.send(.flush)
        try channel.pipeline.syncOperations.addHandler(stream)
        channel.flush()
        let sent = try sent()
        #expect(sent.parts == ["one", "two", "three", "four"])
        #expect(sent.isEnded && visitor.taken == 15)
    }

    @Test
    func aRequestGivenUpBeforeItsStreamSendsNothing() throws {
        link.send(.body(ByteBuffer(string: "one")))
        link.abandon()
        try? channel.pipeline.syncOperations.addHandler(stream)
        #expect(try sent().parts.isEmpty)
        #expect(!channel.isActive && visitor.taken == 0 && !visitor.isLost)
    }
}
