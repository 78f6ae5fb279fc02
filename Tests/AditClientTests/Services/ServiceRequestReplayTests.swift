// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditWire
import Foundation
import NIOCore
import NIOEmbedded
import Testing

@testable import AditClient

/// Every input that the fuzzer of requests kept, through the handler that takes them from other devices, however it is cut and
/// whichever bit is another one.
@Suite struct ServiceRequestReplayTests {
    private static let corpus = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appending(path: "FuzzTesting/Corpus/ServiceRequest")

    /// What came of a stream.
    private enum Outcome: Equatable {
        case request(ServiceRequest, rest: [UInt8])
        case otherVersion
        case broken
        case waits
    }

    /// Collects what passes the handler.
    private final class Tail: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private(set) var bytes: [UInt8] = []

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            bytes += Array(unwrapInboundIn(data).readableBytesView)
        }
    }

    private static func expected(_ bytes: [UInt8]) -> Outcome {
        do {
            guard let request = try ServiceRequest.decode(bytes.span.bytes) else { return .waits }
            return .request(request, rest: Array(bytes.dropFirst(request.byteCount)))
        } catch WireError.invalidField(offset: 0, found: _) {
            return .otherVersion
        } catch {
            return .broken
        }
    }

    private static func outcome(_ pieces: [ArraySlice<UInt8>]) throws -> Outcome {
        var openings: [ServiceRequestHandler.Opening] = []
        let tail = Tail()
        let channel = EmbeddedChannel()
        let handler = ServiceRequestHandler(patience: .seconds(5)) { openings.append($0) }
        try channel.pipeline.syncOperations.addHandlers([handler, tail])
        channel.pipeline.fireChannelActive()
        for piece in pieces { try channel.writeInbound(ByteBuffer(bytes: piece)) }
        let opening = openings.first
        channel.pipeline.fireChannelInactive()
        #expect(openings.count == 1, "it decides once, also when the stream ends")
        switch opening {
        case .request(let request): return .request(request, rest: tail.bytes)
        case .otherVersion: return .otherVersion
        case .broken: return .broken
        case nil:
            #expect(tail.bytes.isEmpty)
            return .waits
        }
    }

    private static func check(_ bytes: [UInt8]) throws {
        let whole = expected(bytes)
        #expect(try outcome([bytes[...]]) == whole)
        #expect(try outcome(bytes.indices.map { bytes[$0...$0] }) == whole)
        for cut in bytes.indices { #expect(try outcome([bytes[..<cut], bytes[cut...]]) == whole) }
    }

    @Test func `cuts and flipped bits change nothing but what is asked for`() throws {
        let folder = Self.corpus.path(percentEncoded: false)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        #expect(!names.isEmpty)
        for name in names {
            let bytes = [UInt8](try Data(contentsOf: Self.corpus.appending(path: name)).prefix(200))
            try Self.check(bytes)
            for place in bytes.indices {
                for bit in 0..<8 {
                    var flipped = bytes
                    flipped[place] ^= 1 << bit
                    let whole = Self.expected(flipped)
                    #expect(try Self.outcome([flipped[...]]) == whole)
                    #expect(try Self.outcome([flipped[...place], flipped[(place + 1)...]]) == whole)
                }
            }
        }
    }
}
