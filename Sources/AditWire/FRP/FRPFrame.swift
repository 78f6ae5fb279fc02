// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// One unit on a connection of frp's protocol: a hello (wire v2 only) or a message.
///
/// A hello keeps the exact bytes of its payload, because both sides hash them into the transcript.
package enum FRPFrame: Sendable, Equatable {
    case clientHello(FRPClientHello, payload: [UInt8])
    case serverHello(FRPServerHello, payload: [UInt8])
    case message(FRPMessage)

    /// Makes a hello frame together with the bytes that will be sent.
    package static func clientHello(_ hello: FRPClientHello) -> FRPFrame {
        .clientHello(hello, payload: FRPJSON.encode(hello))
    }

    /// Makes a hello frame together with the bytes that will be sent.
    package static func serverHello(_ hello: FRPServerHello) -> FRPFrame {
        .serverHello(hello, payload: FRPJSON.encode(hello))
    }

    /// Reads the payload of a ClientHello that came inside a login of wire v1; throws `WireError`.
    package static func clientHello(payload: [UInt8]) throws(WireError) -> FRPFrame {
        let type = FrameType.clientHello.rawValue
        let hello = try FRPJSON.decode(FRPClientHello.self, unsafe payload.span.bytes, type: type)
        return .clientHello(hello, payload: payload)
    }

    /// Reads the payload of a ServerHello that came inside a message of wire v1; throws `WireError`.
    package static func serverHello(payload: [UInt8]) throws(WireError) -> FRPFrame {
        let type = FrameType.serverHello.rawValue
        let hello = try FRPJSON.decode(FRPServerHello.self, unsafe payload.span.bytes, type: type)
        return .serverHello(hello, payload: payload)
    }
}

/// The frame types of wire v2.
private enum FrameType: UInt16 {
    case clientHello = 1
    case serverHello = 2
    case message = 16
}

private let v1HeaderLength = 9
private let v2HeaderLength = 8

extension FRPFrame {
    /// Reads the frame at the start of `bytes`; nil when more bytes are needed.
    ///
    /// A header that cannot begin a frame is refused as soon as it is there, before its payload is waited for.
    /// Throws `WireError` for an unknown type, a length outside the version's limit, flags that are not zero, or JSON that
    /// does not fit the message. The magic of wire v2 is not part of a frame.
    package static func decode(
        _ bytes: RawSpan,
        version: FRPWireVersion
    ) throws(WireError) -> (frame: FRPFrame, byteCount: Int)? {
        switch version {
        case .v1: try decodeV1(bytes)
        case .v2: try decodeV2(bytes)
        }
    }

    /// Appends the frame; throws `WireError` when the version has no such frame or it would be over the limit.
    package func encode(version: FRPWireVersion, into bytes: inout [UInt8]) throws(WireError) {
        let start = bytes.count
        do throws(WireError) {
            switch version {
            case .v1: try encodeV1(into: &bytes)
            case .v2: try encodeV2(into: &bytes)
            }
        } catch {
            bytes.removeSubrange(start...)
            throw error
        }
    }

    private static func decodeV1(_ bytes: RawSpan) throws(WireError) -> (frame: FRPFrame, byteCount: Int)? {
        guard bytes.byteCount >= 1 else { return nil }
        let type = bytes.byte(at: 0)
        guard let id = FRPMessageID(v1Type: type) else { throw .unknownType(UInt16(type)) }
        guard bytes.byteCount >= v1HeaderLength else { return nil }
        let length = Int64(bitPattern: bytes.bigEndianUInt64(at: 1))
        let limit = FRPWireVersion.v1.payloadLimit
        guard length >= 0, length <= limit else { throw .length(length, limit: limit) }
        let end = v1HeaderLength + Int(length)
        guard bytes.byteCount >= end else { return nil }
        let message = try FRPJSON.decodeMessage(id.rawValue, bytes.extracting(v1HeaderLength..<end))
        return (.message(message), end)
    }

    private static func decodeV2(_ bytes: RawSpan) throws(WireError) -> (frame: FRPFrame, byteCount: Int)? {
        guard bytes.byteCount >= 2 else { return nil }
        let number = bytes.bigEndianUInt16(at: 0)
        guard let type = FrameType(rawValue: number) else { throw .unknownType(number) }
        guard bytes.byteCount >= 4 else { return nil }
        let flags = bytes.bigEndianUInt16(at: 2)
        guard flags == 0 else { throw .invalidField(offset: 2, found: UInt64(flags)) }
        guard bytes.byteCount >= v2HeaderLength else { return nil }
        let length = Int(bytes.bigEndianUInt32(at: 4))
        let limit = FRPWireVersion.v2.payloadLimit
        guard length <= limit else { throw .length(Int64(length), limit: limit) }
        if type == .message, length < 2 { throw .truncated(expected: 2, found: length) }
        let end = v2HeaderLength + length
        guard bytes.byteCount >= end else { return nil }
        let payload = bytes.extracting(v2HeaderLength..<end)
        switch type {
        case .clientHello:
            let hello = try FRPJSON.decode(FRPClientHello.self, payload, type: number)
            return (.clientHello(hello, payload: payload.copyBytes(in: 0..<length)), end)
        case .serverHello:
            let hello = try FRPJSON.decode(FRPServerHello.self, payload, type: number)
            return (.serverHello(hello, payload: payload.copyBytes(in: 0..<length)), end)
        case .message:
            let message = try FRPJSON.decodeMessage(payload.bigEndianUInt16(at: 0), payload.extracting(2..<length))
            return (.message(message), end)
        }
    }

    private func encodeV1(into bytes: inout [UInt8]) throws(WireError) {
        guard case .message(let message) = self, let type = FRPMessageID(rawValue: message.id)?.v1Type else {
            throw .notEncodable
        }
        bytes.append(type)
        bytes.appendBigEndian(UInt64(0))
        let start = bytes.count
        try FRPJSON.append(message, to: &bytes)
        let length = bytes.count - start
        let limit = FRPWireVersion.v1.payloadLimit
        guard length <= limit else { throw .length(Int64(length), limit: limit) }
        for index in 0..<8 {
            bytes[start - 8 + index] = UInt8(truncatingIfNeeded: length >> (56 - 8 * index))
        }
    }

    private func encodeV2(into bytes: inout [UInt8]) throws(WireError) {
        let type: FrameType =
            switch self {
            case .clientHello: .clientHello
            case .serverHello: .serverHello
            case .message: .message
            }
        bytes.appendBigEndian(type.rawValue)
        bytes.appendBigEndian(UInt16(0))
        bytes.appendBigEndian(UInt32(0))
        let start = bytes.count
        switch self {
        case .clientHello(_, let payload), .serverHello(_, let payload):
            bytes.append(contentsOf: payload)
        case .message(let message):
            bytes.appendBigEndian(message.id)
            try FRPJSON.append(message, to: &bytes)
        }
        let length = bytes.count - start
        let limit = FRPWireVersion.v2.payloadLimit
        guard length <= limit else { throw .length(Int64(length), limit: limit) }
        for index in 0..<4 {
            bytes[start - 4 + index] = UInt8(truncatingIfNeeded: length >> (24 - 8 * index))
        }
    }
}
