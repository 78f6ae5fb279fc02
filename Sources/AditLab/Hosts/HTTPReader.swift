// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal

/// Reads one HTTP/1.1 message with `Content-Length`, chunks, or up to the end of the connection.
struct HTTPReader {
    struct Message {
        var startLine: [Substring]
        var fields: [SocketField]
        var body: [UInt8]

        var requestLine: (method: String, path: String)? {
            guard startLine.count == 3, startLine[2].hasPrefix("HTTP/1.") else { return nil }
            return (String(startLine[0]), String(startLine[1]))
        }

        var status: Int? {
            guard startLine.count >= 2, startLine[0].hasPrefix("HTTP/1."), startLine[1].utf8.count == 3,
                let status = Int(startLine[1]), (100...599).contains(status)
            else { return nil }
            return status
        }
    }

    typealias Outcome = Result<Message, LabSocketFailure>

    private var bytes: [UInt8] = []
    private let limit: Int
    private static let malformed = Outcome.failure(LabSocketFailure(end: .malformed))

    /// Whether nothing has come yet.
    var isEmpty: Bool { bytes.isEmpty }

    init(limit: Int) {
        self.limit = limit
    }

    /// Takes more bytes; nil while the message is not complete.
    mutating func take(_ more: [UInt8]) -> Outcome? {
        bytes += more
        guard bytes.count <= limit + 32 * 1024 else { return Self.malformed }
        return read(isEnd: false)
    }

    /// The connection has ended.
    mutating func finish() -> Outcome {
        read(isEnd: true) ?? Self.malformed
    }

    private func read(isEnd: Bool) -> Outcome? {
        guard let headEnd = Self.find([13, 10, 13, 10], in: bytes) else {
            return isEnd || bytes.count > 32 * 1024 ? Self.malformed : nil
        }
        let lines = String(decoding: bytes[..<headEnd], as: UTF8.self).split(
            separator: "\r\n",
            omittingEmptySubsequences: false
        )
        var fields: [SocketField] = []
        for line in lines.dropFirst() {
            guard let colon = line.firstIndex(of: ":"), fields.count < 64 else { return Self.malformed }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            fields.append(SocketField(String(line[..<colon]), String(value)))
        }
        let start = lines[0].split(separator: " ", maxSplits: 2, omittingEmptySubsequences: false)
        var message = Message(startLine: start, fields: fields, body: [])
        let rest = Array(bytes[(headEnd + 4)...])
        func field(_ name: String) -> String? { fields.first { $0.name.lowercased() == name }?.value }
        if field("transfer-encoding")?.lowercased() == "chunked" {
            guard let body = Self.chunks(rest) else { return isEnd ? Self.malformed : nil }
            message.body = body
        } else if let text = field("content-length") {
            guard let count = Int(text), (0...limit).contains(count) else { return Self.malformed }
            guard rest.count >= count else { return isEnd ? Self.malformed : nil }
            message.body = Array(rest[..<count])
        } else if message.requestLine == nil {
            guard isEnd else { return rest.count > limit ? Self.malformed : nil }
            message.body = rest
        }
        return message.body.count <= limit ? .success(message) : Self.malformed
    }

    /// The bytes of complete chunks; nil while the last one is missing, or when they are none.
    private static func chunks(_ bytes: [UInt8]) -> [UInt8]? {
        var body: [UInt8] = []
        var rest = bytes[...]
        while let end = find([13, 10], in: Array(rest)) {
            let line = String(decoding: rest.prefix(end), as: UTF8.self).prefix { $0 != ";" }
            guard let count = Int(line, radix: 16), count >= 0, rest.count >= end + 2 + count + 2 else { return nil }
            if count == 0 { return body }
            body += rest.dropFirst(end + 2).prefix(count)
            rest = rest.dropFirst(end + 2 + count + 2)
        }
        return nil
    }

    private static func find(_ pattern: [UInt8], in bytes: [UInt8]) -> Int? {
        guard bytes.count >= pattern.count else { return nil }
        for start in 0...(bytes.count - pattern.count) where bytes[start] == pattern[0] {
            if bytes[start..<start + pattern.count].elementsEqual(pattern) { return start }
        }
        return nil
    }

    static func request(_ request: SocketRequest) -> [UInt8] {
        let host = request.endpoint.port == 80 ? request.host : "\(request.host):\(request.endpoint.port)"
        var head = "\(request.method) \(request.path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n"
        if !request.body.isEmpty { head += "Content-Length: \(request.body.count)\r\n" }
        for field in request.fields { head += "\(field.name): \(field.value)\r\n" }
        return Array((head + "\r\n").utf8) + request.body
    }

    static func response(status: Int, fields: [SocketField], body: [UInt8]) -> [UInt8] {
        var head = "HTTP/1.1 \(status) \(status < 400 ? "OK" : "Error")\r\nConnection: close\r\n"
        head += "Content-Length: \(body.count)\r\n"
        for field in fields { head += "\(field.name): \(field.value)\r\n" }
        return Array((head + "\r\n").utf8) + body
    }
}
