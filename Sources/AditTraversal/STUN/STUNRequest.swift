// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// What a Binding request asks for, read from its bytes in place.
struct STUNRequest {
    /// The first 20 bytes.
    struct Header {
        var cookie: UInt32
        var transactionID: STUNTransactionID

        var isClassic: Bool { cookie != STUNMessage.magicCookie }

        enum Reading {
            case bindingRequest(Header)
            case other
            case malformed
        }

        static func read(_ bytes: RawSpan) -> Reading {
            guard bytes.byteCount >= STUNMessage.headerByteCount, bytes.byte(at: 0) & 0xC0 == 0 else {
                return .malformed
            }
            let length = Int(bytes.bigEndianUInt16(at: 2))
            guard length & 3 == 0, STUNMessage.headerByteCount + length == bytes.byteCount else { return .malformed }
            guard bytes.bigEndianUInt16(at: 0) == 1 else { return .other }
            let id = STUNTransactionID(high: bytes.bigEndianUInt32(at: 8), low: bytes.bigEndianUInt64(at: 12))
            return .bindingRequest(Header(cookie: bytes.bigEndianUInt32(at: 4), transactionID: id))
        }
    }

    /// More types are not listed in an error.
    static let unknownLimit = 8

    let header: Header
    private(set) var changesAddress = false
    private(set) var changesPort = false
    private(set) var hasChangeRequest = false
    private(set) var responsePort: UInt16?
    private(set) var hasPadding = false
    private(set) var hasFingerprint = false
    /// Empty, and without storage, for nearly every request.
    private(set) var unknownTypes: [UInt16] = []

    /// Goes over the attributes; throws what is wrong with them.
    init(_ bytes: RawSpan, header: Header) throws(STUNError) {
        self.header = header
        guard bytes.byteCount > STUNMessage.headerByteCount else { return }
        var walk = STUNAttributeWalk()
        var count = 0
        while let field = try walk.next(in: bytes) {
            count += 1
            guard count <= STUNMessage.attributeLimit else { throw .tooManyAttributes }
            guard field.counts else { continue }
            switch field.type {
            case STUNAttributeType.changeRequest:
                guard field.byteCount == 4 else { throw .invalidAttribute(field.type) }
                guard !hasChangeRequest else { continue }
                let flags = bytes.bigEndianUInt32(at: field.offset)
                hasChangeRequest = true
                changesAddress = flags & 4 != 0
                changesPort = flags & 2 != 0
            case STUNAttributeType.responsePort:
                guard field.byteCount == 4 || field.byteCount == 2 else { throw .invalidAttribute(field.type) }
                if responsePort == nil { responsePort = bytes.bigEndianUInt16(at: field.offset) }
            case STUNAttributeType.padding: hasPadding = true
            case STUNAttributeType.fingerprint: hasFingerprint = true
            case 0..<0x8000:
                guard !STUNAttributeType.isKnown(field.type), unknownTypes.count < Self.unknownLimit,
                    !unknownTypes.contains(field.type)
                else { continue }
                unknownTypes.append(field.type)
            default: continue
            }
        }
    }
}
