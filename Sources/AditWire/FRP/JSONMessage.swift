// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// A value that is a JSON object on the wire.
///
/// Reading is lenient as Go is: a missing field and `null` are the empty value, unknown fields are skipped. Writing is
/// by hand, because a work connection's header is written for every visitor.
protocol JSONMessage: Sendable {
    init(json decoder: any Decoder) throws
    func write(to object: inout JSONObjectWriter)
}

/// Lets `Decoder` make a message without `Decodable` becoming part of what other rooms see.
struct JSONReader<Message: JSONMessage>: Decodable {
    let message: Message

    init(from decoder: any Decoder) throws {
        message = try Message(json: decoder)
    }
}

/// How many elements a list or a map of a message may have.
let jsonElementLimit = 1024

extension KeyedDecodingContainer {
    func text(_ key: Key) throws -> String {
        try decodeIfPresent(String.self, forKey: key) ?? ""
    }

    func flag(_ key: Key) throws -> Bool {
        try decodeIfPresent(Bool.self, forKey: key) ?? false
    }

    func number<Number: FixedWidthInteger & Decodable>(_ key: Key) throws -> Number {
        try decodeIfPresent(Number.self, forKey: key) ?? 0
    }

    func bytes(_ key: Key) throws -> [UInt8] {
        guard let bytes = Base64.decode(try text(key)) else {
            throw DecodingError.dataCorruptedError(forKey: key, in: self, debugDescription: "not base 64")
        }
        return bytes
    }

    func list(_ key: Key) throws -> [String] {
        try bounded(try decodeIfPresent([String?].self, forKey: key) ?? []).map { $0 ?? "" }
    }

    func map(_ key: Key) throws -> [String: String] {
        try bounded(try decodeIfPresent([String: String?].self, forKey: key) ?? [:]).mapValues { $0 ?? "" }
    }

    func object<Object: JSONMessage>(_ key: Key) throws -> Object? {
        try decodeIfPresent(JSONReader<Object>.self, forKey: key)?.message
    }

    func objects<Object: JSONMessage>(_ key: Key) throws -> [Object] {
        try bounded(try decodeIfPresent([JSONReader<Object>].self, forKey: key) ?? []).map(\.message)
    }

    func nested<NestedKey: CodingKey>(
        _ key: Key,
        _ type: NestedKey.Type
    ) throws -> KeyedDecodingContainer<NestedKey>? {
        guard contains(key), try !decodeNil(forKey: key) else { return nil }
        return try nestedContainer(keyedBy: type, forKey: key)
    }

    private func bounded<Elements: Collection>(_ elements: Elements) throws -> Elements {
        guard elements.count <= jsonElementLimit else {
            throw WireError.tooManyElements(elements.count, limit: jsonElementLimit)
        }
        return elements
    }
}
