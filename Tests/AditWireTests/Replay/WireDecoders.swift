// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// What the fuzzer and the replay of its corpus feed to the decoders of this room.
///
/// Each takes any bytes and traps when a decoder breaks a promise; that it throws is fine.
enum WireDecoders {
    static let all = own.merging(PortMappingDecoders.all) { $1 }

    private static let own: [String: @Sendable ([UInt8]) -> Void] = [
        "YamuxHeader": yamuxHeader,
        "FRPFrameV1": { frame($0, .v1) },
        "FRPFrameV2": { frame($0, .v2) },
        "SnappyBlock": snappyBlock,
        "SnappyFrame": snappyFrame,
        "DatagramHeader": datagramHeader,
        "ProxyHeader": proxyHeader,
        "ClientHello": clientHello,
        "STUNMessage": stunMessage,
        "STUNStream": stunStream,
        "TURNStream": turnStream,
        "PeerEnvelope": peerEnvelope,
        "LoginHellos": loginHellos,
        "ServiceRequest": serviceRequest,
        "ServiceAnswer": serviceAnswer,
        "ServiceDatagrams": serviceDatagrams,
    ]

    static func serviceRequest(_ bytes: [UInt8]) {
        guard let request = (try? ServiceRequest.decode(bytes.span.bytes)).flatMap({ $0 }) else { return }
        precondition(request.byteCount <= min(bytes.count, ServiceRequest.byteLimit), "a request is bounded")
        precondition(ServiceRequest.isName(request.name), "a name is one")
        var again: [UInt8] = []
        request.encode(into: &again)
        precondition(again == Array(bytes.prefix(request.byteCount)), "a request has one form")
        again.removeLast()
        precondition((try? ServiceRequest.decode(again.span.bytes)) == nil, "a part is no request")
    }

    static func serviceAnswer(_ bytes: [UInt8]) {
        guard let answer = (try? ServiceAnswer.decode(bytes.span.bytes)).flatMap({ $0 }) else { return }
        var again: [UInt8] = []
        answer.encode(into: &again)
        precondition(again == Array(bytes.prefix(answer.byteCount)), "an answer has one form")
        precondition(again.count <= ServiceAnswer.byteLimit, "an answer is bounded")
        again.removeLast()
        precondition((try? ServiceAnswer.decode(again.span.bytes)) == .some(nil), "a part is no answer")
    }

    /// Datagrams on a stream, cut anywhere.
    static func serviceDatagrams(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while let header = (try? ServiceDatagramHeader.decode(Array(rest.prefix(2)).span.bytes)).flatMap({ $0 }) {
            precondition(header.payloadByteCount <= ServiceDatagramHeader.payloadByteLimit, "a datagram is bounded")
            var again: [UInt8] = []
            header.encode(into: &again)
            precondition(again == Array(rest.prefix(2)), "a header is written as it was read")
            rest = rest.dropFirst(ServiceDatagramHeader.byteCount + header.payloadByteCount)
        }
    }

    static func peerEnvelope(_ bytes: [UInt8]) {
        guard let envelope = try? PeerEnvelope.decode(bytes) else { return }
        precondition(envelope.epoch != 0 && envelope.number != 0, "who says it, and which, is told")
        precondition(envelope.payload.count <= PeerEnvelope.payloadLimit, "a payload is bounded")
        precondition(envelope.receiver.count == 32, "the receiver's key has its length")
        precondition(envelope.encode() == bytes, "an envelope has one form, the one that was signed")
        let header = Array(bytes.prefix(PeerEnvelope.headerByteCount))
        precondition((try? PeerEnvelope.decode(header)) != nil, "a payload may be empty")
        precondition((try? PeerEnvelope.decode(header.dropLast())) == nil, "a part of a header is none")
        let receiver = String(decoding: envelope.payload.prefix(64), as: UTF8.self)
        let signed = PeerEnvelope.signatureInput(sender: [1], server: [2], receiver: receiver, body: bytes)
        precondition(signed.suffix(bytes.count) == bytes[...], "the whole envelope is signed")
    }

    /// The payloads of hellos, which wire v1 carries inside messages.
    static func loginHellos(_ bytes: [UInt8]) {
        let hellos = [try? FRPFrame.clientHello(payload: bytes), try? FRPFrame.serverHello(payload: bytes)]
        for hello in hellos {
            switch hello {
            case .clientHello(_, let payload), .serverHello(_, let payload):
                precondition(payload == bytes, "the transcript covers what came")
            case .message: preconditionFailure("a hello is no message")
            case nil: break
            }
        }
    }

    static func proxyHeader(_ bytes: [UInt8]) {
        guard let (header, count) = (try? ProxyHeader.decode(bytes.span.bytes)).flatMap({ $0 }) else { return }
        precondition(count > 0 && count <= bytes.count, "a header takes some of the bytes")
        for version in [ProxyProtocolVersion.v1, .v2] {
            var written: [UInt8] = []
            header.encode(version, into: &written)
            let again = (try? ProxyHeader.decode(written.span.bytes)).flatMap { $0 }
            precondition(again?.byteCount == written.count, "what was written is read whole")
        }
    }

    static func clientHello(_ bytes: [UInt8]) {
        let decode = { (bytes: [UInt8]) throws(ClientHelloError) in try ClientHello.decode(bytes.span.bytes) }
        guard let hello = try? decode(bytes) else { return }
        precondition(hello.serverName.map { (1...255).contains($0.utf8.count) } ?? true, "a name is bounded")
        precondition((try? decode(bytes + [0])) == hello, "what follows changes nothing")
        var count = bytes.count
        while count > 0, (try? decode(Array(bytes.prefix(count)))) == hello { count -= 1 }
        let part = Result { try decode(Array(bytes.prefix(count))) }
        if case .failure = part { preconditionFailure("a part asks for more") }
        precondition(count < ClientHello.byteLimit, "few bytes decide")
    }

    static func stunMessage(_ bytes: [UInt8]) {
        let span = bytes.span.bytes
        for integrity in STUNIntegrity.allCases { _ = try? STUNMessage.covered(by: integrity, in: span) }
        guard let message = try? STUNMessage.decode(span) else { return }
        precondition(STUNMessage.looksLikeSTUN(span) != message.isClassic, "the cookie tells the two apart")
        precondition(message.attributes.count <= STUNMessage.attributeLimit, "attributes are bounded")
        var written: [UInt8] = []
        message.encode(into: &written)
        precondition(written.count <= STUNMessage.byteLimit, "a message is bounded")
        guard let again = try? STUNMessage.decode(written.span.bytes) else {
            preconditionFailure("what was written is read")
        }
        // RFC 3489 pads reasons and lists where they are written.
        precondition(again == message || message.isClassic, "what was written is read the same")
        var twice: [UInt8] = []
        again.encode(into: &twice)
        precondition(twice == written, "what was read again is written the same")
    }

    /// Messages in a stream, cut anywhere.
    static func stunStream(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let count = (try? STUNMessage.byteCount(inStream: Array(rest).span.bytes)).flatMap({ $0 }) else {
                return
            }
            precondition((20...STUNMessage.byteLimit).contains(count), "a message in a stream is bounded")
            let known = Array(rest.prefix(4))
            let early = (try? STUNMessage.byteCount(inStream: known.span.bytes)).flatMap { $0 }
            precondition(early == count, "four bytes tell the length")
            guard rest.count >= count else { return }
            stunMessage(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
    }

    /// STUN and ChannelData in a stream, cut anywhere.
    static func turnStream(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let count = (try? ChannelData.byteCount(inStream: Array(rest).span.bytes)).flatMap({ $0 }) else {
                return
            }
            precondition((4...STUNMessage.byteLimit).contains(count) && count & 3 == 0, "a message is bounded")
            let known = Array(rest.prefix(4))
            let early = (try? ChannelData.byteCount(inStream: known.span.bytes)).flatMap { $0 }
            precondition(early == count, "four bytes tell the length")
            guard rest.count >= count else { return }
            let message = Array(rest.prefix(count))
            if let (number, payload) = ChannelData.decode(message.span.bytes) {
                var again: [UInt8] = []
                ChannelData.encode(number, message[payload], isPadded: true, into: &again)
                precondition(
                    again.prefix(payload.upperBound) == message.prefix(payload.upperBound),
                    "it is written alike"
                )
                precondition(again.count == count, "and as long")
            } else {
                stunMessage(message)
            }
            rest = rest.dropFirst(count)
        }
    }

    static func datagramHeader(_ bytes: [UInt8]) {
        guard let header = (try? DatagramHeader.decode(bytes.span.bytes)).flatMap({ $0 }) else { return }
        var again: [UInt8] = []
        header.encode(into: &again)
        precondition(again == Array(bytes.prefix(header.byteCount)), "a header is written as it was read")
    }

    static func yamuxHeader(_ bytes: [UInt8]) {
        guard let header = try? YamuxHeader.decode(bytes.span.bytes) else { return }
        var again: [UInt8] = []
        header.encode(into: &again)
        precondition(again == Array(bytes.prefix(YamuxHeader.byteCount)), "a header is written as it was read")
    }

    static func frame(_ bytes: [UInt8], _ version: FRPWireVersion) {
        var rest = bytes[...]
        while !rest.isEmpty, let (frame, count) = try? FRPFrame.decode(Array(rest).span.bytes, version: version) {
            precondition(count > 0 && count <= rest.count, "a frame takes some of the bytes")
            precondition(count <= 16 + version.payloadLimit, "a frame is within the limit")
            var written: [UInt8] = []
            if (try? frame.encode(version: version, into: &written)) != nil {
                let again = try? FRPFrame.decode(written.span.bytes, version: version)
                precondition(again?.byteCount == written.count, "what was written is read whole")
                precondition(isSame(again?.frame, frame), "what was written is read the same")
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Equality that holds a message without a number equal to itself.
    private static func isSame(_ left: FRPFrame?, _ right: FRPFrame) -> Bool {
        guard let left else { return false }
        return left == right || "\(left)" == "\(right)"
    }

    static func snappyBlock(_ bytes: [UInt8]) {
        let limit = SnappyCompressor.blockByteLimit
        var text: [UInt8] = []
        if (try? SnappyDecompressor.decompress(bytes.span.bytes, limit: limit, into: &text)) != nil {
            precondition(text.count <= limit, "a block stays within its limit")
        } else {
            precondition(text.isEmpty, "a block that is wrong leaves nothing")
        }
        var compressor = SnappyCompressor()
        var block: [UInt8] = []
        let plain = Array(bytes.prefix(limit))
        compressor.compress(plain.span.bytes, into: &block)
        var again: [UInt8] = []
        let result: Void? = try? SnappyDecompressor.decompress(block.span.bytes, limit: limit, into: &again)
        precondition(result != nil && again == plain, "what is compressed comes back")
    }

    static func snappyFrame(_ bytes: [UInt8]) {
        let whole = decodeFrames(bytes, step: bytes.count)
        let dripped = decodeFrames(bytes, step: 7)
        precondition(whole == dripped, "how the bytes are cut changes nothing")
        var encoder = SnappyFrameEncoder()
        var stream: [UInt8] = []
        encoder.encode(bytes.span.bytes, into: &stream)
        precondition(bytes.isEmpty || decodeFrames(stream, step: stream.count) == bytes, "what is framed comes back")
    }

    private static func decodeFrames(_ bytes: [UInt8], step: Int) -> [UInt8] {
        var decoder = SnappyFrameDecoder()
        var pending: [UInt8] = []
        var output: [UInt8] = []
        var offset = 0
        while offset < bytes.count {
            let end = min(offset + max(step, 1), bytes.count)
            pending += bytes[offset..<end]
            offset = end
            while !pending.isEmpty {
                guard let used = try? decoder.decode(pending.span.bytes, into: &output) else { return output }
                if used == 0 { break }
                pending.removeFirst(used)
            }
            precondition(step > 64 || pending.count <= SnappyFrameDecoder.pendingByteLimit, "what is kept is bounded")
        }
        return output
    }
}
