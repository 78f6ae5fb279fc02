// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHPACK

/// A visitor of HTTP/2 who writes frames byte for byte, also such as nobody may write.
struct RawHTTP2 {
    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

    /// A frame as it came.
    struct Frame: Sendable {
        var type: UInt8
        var flags: UInt8
        var stream: UInt32
        var payload: [UInt8]

        /// The error code of a GOAWAY or RST_STREAM frame.
        var code: UInt32? {
            switch type {
            case 3 where payload.count == 4: Self.number(payload)
            case 7 where payload.count >= 8: Self.number(payload[4..<8])
            default: nil
            }
        }

        private static func number(_ bytes: some Sequence<UInt8>) -> UInt32 {
            bytes.reduce(0) { $0 << 8 | UInt32($1) }
        }
    }

    let wire: TestWire

    static func connect(port: Int) async throws -> RawHTTP2 {
        RawHTTP2(wire: try await TestWire.connect(port: port))
    }

    /// Connects and says hello.
    static func open(port: Int) async throws -> RawHTTP2 {
        let visitor = try await connect(port: port)
        try await visitor.wire.send(preface + frame(4, 0, 0, []))
        // The settings' bounds hold from the acknowledgement on.
        _ = try await visitor.frame { $0.type == 4 && $0.flags & 1 == 0 }
        return visitor
    }

    static func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        let length = UInt32(payload.count)
        return [UInt8(length >> 16 & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length & 0xFF), type, flags]
            + (0..<4).map { UInt8(stream >> (24 - 8 * $0) & 0xFF) } + payload
    }

    /// A header block; nothing is put into the dynamic table, so that each stands for itself.
    static func block(_ fields: HPACKHeaders) throws -> [UInt8] {
        var encoder = HPACKEncoder(allocator: ByteBufferAllocator(), useHuffmanEncoding: false)
        var bytes = ByteBuffer()
        var plain = HPACKHeaders()
        for (name, value, _) in fields { plain.add(name: name, value: value, indexing: .neverIndexed) }
        try encoder.encode(headers: plain, to: &bytes)
        return Array(bytes.readableBytesView)
    }

    func send(_ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) async throws {
        try await wire.send(Self.frame(type, flags, stream, payload))
    }

    /// Sends a request without a body.
    func request(stream: UInt32, _ fields: HPACKHeaders, ends: Bool = true) async throws {
        let block = try Self.block(fields)
        let rest = block.dropFirst(16_000)
        try await send(1, flags: (ends ? 1 : 0) | (rest.isEmpty ? 4 : 0), stream: stream, Array(block.prefix(16_000)))
        if !rest.isEmpty { try await send(9, flags: 4, stream: stream, Array(rest)) }
    }

    func readFrame() async throws -> Frame {
        let header = try await wire.read(count: 9)
        let length = Int(header[0]) << 16 | Int(header[1]) << 8 | Int(header[2])
        let stream = header[5...8].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let payload = length > 0 ? try await wire.read(count: length) : []
        return Frame(type: header[3], flags: header[4], stream: stream, payload: payload)
    }

    /// Reads to the first frame that `isWanted`; settings are acknowledged.
    func frame(_ isWanted: (Frame) -> Bool) async throws -> Frame {
        while true {
            let frame = try await readFrame()
            if frame.type == 4, frame.flags & 1 == 0 { try await send(4, flags: 1) }
            if isWanted(frame) { return frame }
        }
    }

    /// The content of a response.
    func response(stream: UInt32) async throws -> String {
        var text = ""
        while true {
            let frame = try await frame { $0.stream == stream }
            if frame.type == 0 { text += String(decoding: frame.payload, as: UTF8.self) }
            if frame.type == 3 || frame.flags & 1 == 1 { return text }
        }
    }

    /// The code of the GOAWAY that ends the connection, or nil when it ends without one.
    func goAway() async throws -> UInt32? {
        do {
            return try await frame { $0.type == 7 }.code
        } catch TestWire.Fault.ended {
            return nil
        } catch is ChannelError {
            return nil
        }
    }
}
