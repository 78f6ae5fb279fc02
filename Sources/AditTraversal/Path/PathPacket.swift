// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// What tells whose packet it is, read in place (RFC 7983, with the magic cookie so that payload may begin with anything).
enum PathPacket {
    /// What a packet on a shared socket is.
    enum Kind {
        /// A check of the peer to whom this fragment of ours was given.
        case check(fragment: String)
        /// The answer to one of our checks, or of our questions to a server.
        case answer(STUNTransactionID)
        /// Another STUN message: TURN's, or none of ours.
        case otherSTUN
        /// Anything else.
        case payload
    }

    /// Whether a packet begins as every STUN message does (RFC 8489 section 5): what does not is payload.
    static func mayBeSTUN(_ packet: RawSpan) -> Bool {
        packet.byteCount > 0 && packet.byte(at: 0) < 0x40
    }

    /// The packets of a batch in order: each that may be a STUN message for itself, runs of others as batches.
    static func parts(of batch: PacketBatch) -> [PacketBatch] {
        var parts: [PacketBatch] = []
        var run = PacketRun()
        for index in 0..<batch.count {
            let packet = batch.bytes.span.bytes.extracting(batch.range(index))
            if mayBeSTUN(packet) {
                if let part = run.take() { parts.append(part) }
                parts.append(PacketBatch(batch[index]))
            } else if let part = run.append(packet) {
                parts.append(part)
            }
        }
        if let part = run.take() { parts.append(part) }
        return parts
    }

    /// Whether one of the packets may be a STUN message.
    static func mayHoldSTUN(_ batch: PacketBatch) -> Bool {
        var start = 0
        while start < batch.bytes.count {
            if batch.bytes[start] < 0x40 { return true }
            start += batch.segmentSize
        }
        return false
    }

    static func kind(_ bytes: [UInt8]) -> Kind {
        let span = bytes.span.bytes
        guard STUNMessage.looksLikeSTUN(span), span.bigEndianUInt32(at: 4) == STUNMessage.magicCookie else {
            return .payload
        }
        switch span.bigEndianUInt16(at: 0) {
        case 0x0001: return fragment(span).map { .check(fragment: $0) } ?? .otherSTUN
        case 0x0101, 0x0111: return .answer(transactionID(span))
        default: return .otherSTUN
        }
    }

    /// The transaction of a Binding request; nil for anything else.
    static func requestID(_ bytes: [UInt8]) -> STUNTransactionID? {
        let span = bytes.span.bytes
        guard span.byteCount >= STUNMessage.headerByteCount, span.bigEndianUInt16(at: 0) == 1,
            span.bigEndianUInt32(at: 4) == STUNMessage.magicCookie
        else { return nil }
        return transactionID(span)
    }

    private static func transactionID(_ span: RawSpan) -> STUNTransactionID {
        STUNTransactionID(high: span.bigEndianUInt32(at: 8), low: span.bigEndianUInt64(at: 12))
    }

    /// What stands before the colon of USERNAME (RFC 8445 section 7.2.2).
    private static func fragment(_ span: RawSpan) -> String? {
        var offset = STUNMessage.headerByteCount
        while span.byteCount - offset >= 4 {
            let type = span.bigEndianUInt16(at: offset)
            let length = Int(span.bigEndianUInt16(at: offset + 2))
            guard span.byteCount - offset - 4 >= length else { return nil }
            if type == 0x0006 {
                let value = span.copyBytes(in: offset + 4..<offset + 4 + min(length, 257))
                guard let colon = value.firstIndex(of: UInt8(ascii: ":")) else { return nil }
                return String(decoding: value[..<colon], as: UTF8.self)
            }
            offset += 4 + (length + 3) & ~3
        }
        return nil
    }
}
