// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What a message is: the class of RFC 8489 section 5.
package enum STUNKind: UInt8, Sendable, Hashable, CaseIterable {
    /// Asks for a response.
    case request = 0
    /// Asks for none.
    case indication = 1
    /// The response to a request that succeeded.
    case success = 2
    /// The response to a request that failed.
    case error = 3
}

/// What a message is about (RFC 8489 section 5): 12 bits.
package struct STUNMethod: RawRepresentable, Sendable, Hashable {
    /// The number, 0 to 0xFFF.
    package let rawValue: UInt16

    /// Makes it from its number, of which the lower 12 bits count.
    package init(rawValue: UInt16) {
        self.rawValue = rawValue & 0xFFF
    }

    /// Binding (RFC 8489 section 18.2).
    package static let binding = STUNMethod(rawValue: 1)
    /// Allocate (RFC 8656 section 17).
    package static let allocate = STUNMethod(rawValue: 3)
    /// Refresh (RFC 8656 section 17).
    package static let refresh = STUNMethod(rawValue: 4)
    /// Send (RFC 8656 section 17), an indication of the client.
    package static let send = STUNMethod(rawValue: 6)
    /// Data (RFC 8656 section 17), an indication of the server.
    package static let data = STUNMethod(rawValue: 7)
    /// CreatePermission (RFC 8656 section 17).
    package static let createPermission = STUNMethod(rawValue: 8)
    /// ChannelBind (RFC 8656 section 17).
    package static let channelBind = STUNMethod(rawValue: 9)
}

/// What ties a response to its request (RFC 8489 section 5): 96 random bits.
package struct STUNTransactionID: Sendable, Hashable {
    /// The first 32 bits.
    package let high: UInt32
    /// The other 64 bits.
    package let low: UInt64

    /// Makes it from its parts.
    package init(high: UInt32, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Makes a new one; the generator has to be one that others cannot predict, except in a simulation.
    package init(using generator: inout some RandomNumberGenerator) {
        high = UInt32(truncatingIfNeeded: generator.next())
        low = generator.next()
    }
}

/// A STUN message (RFC 8489, with the attributes of RFC 5780 and the older form of RFC 3489).
package struct STUNMessage: Sendable, Hashable {
    /// The first four bytes behind type and length in a message of RFC 5389 and later.
    package static let magicCookie: UInt32 = 0x2112_A442
    /// The length of the header, in bytes.
    package static let headerByteCount = 20
    /// The longest message, in bytes: header and what a length field of 16 bits says in whole words.
    package static let byteLimit = headerByteCount + 0xFFFC
    /// The largest number of attributes.
    package static let attributeLimit = 64

    /// Request, indication or response.
    package var kind: STUNKind
    /// What it is about.
    package var method: STUNMethod
    /// What ties a response to its request.
    package var transactionID: STUNTransactionID
    /// The attributes in their order, without FINGERPRINT.
    package var attributes: [STUNAttribute]
    /// The four bytes before the transaction id: the magic cookie, or part of the 128-bit id of an RFC 3489 client.
    package var cookie: UInt32
    /// Whether FINGERPRINT ends the message; decoding has checked it.
    package var hasFingerprint: Bool

    /// Makes a message.
    package init(
        _ kind: STUNKind,
        _ method: STUNMethod = .binding,
        transactionID: STUNTransactionID,
        attributes: [STUNAttribute] = [],
        cookie: UInt32 = STUNMessage.magicCookie,
        hasFingerprint: Bool = false
    ) {
        self.kind = kind
        self.method = method
        self.transactionID = transactionID
        self.attributes = attributes
        self.cookie = cookie
        self.hasFingerprint = hasFingerprint
    }

    /// A Binding request that is as long as a response with every address in it, so that a server that never answers with
    /// more than it got can say all it knows (docs/wire.md, STUN).
    ///
    /// - Parameter isV6: whether it goes over IPv6, where addresses are longer.
    package static func bindingRequest(
        _ transactionID: STUNTransactionID,
        attributes: [STUNAttribute] = [],
        isV6: Bool = false
    ) -> STUNMessage {
        let fill = STUNAttribute.other(type: STUNAttributeType.fill, Array(repeating: 0, count: isV6 ? 96 : 48))
        return STUNMessage(.request, transactionID: transactionID, attributes: attributes + [fill])
    }

    /// Whether the message is of RFC 3489: without the magic cookie, thus without XOR-MAPPED-ADDRESS.
    package var isClassic: Bool { cookie != Self.magicCookie }

    /// The types of attributes that have to be understood (RFC 8489 section 14) and are not known here, each once.
    package var unknownRequiredTypes: [UInt16] {
        attributes.compactMap { attribute in
            guard case .other(let type, _) = attribute, type < 0x8000 else { return nil }
            return type
        }
    }

    /// Where the sender of the request was seen: XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS, which some routers rewrite.
    package var mappedEndpoint: IPEndpoint? {
        var plain: IPEndpoint?
        for attribute in attributes {
            if case .xorMappedAddress(let endpoint) = attribute { return endpoint }
            if case .mappedAddress(let endpoint) = attribute { plain = endpoint }
        }
        return plain
    }

    /// The server's other address and port: OTHER-ADDRESS, else CHANGED-ADDRESS.
    package var otherEndpoint: IPEndpoint? {
        var changed: IPEndpoint?
        for attribute in attributes {
            if case .otherAddress(let endpoint) = attribute { return endpoint }
            if case .changedAddress(let endpoint) = attribute { changed = endpoint }
        }
        return changed
    }

    /// Where the response came from, as the server sees it: RESPONSE-ORIGIN, else SOURCE-ADDRESS.
    package var originEndpoint: IPEndpoint? {
        var source: IPEndpoint?
        for attribute in attributes {
            if case .responseOrigin(let endpoint) = attribute { return endpoint }
            if case .sourceAddress(let endpoint) = attribute { source = endpoint }
        }
        return source
    }

    /// The second UDP port of a server with one address; nil when the server does not say it.
    package var alternatePort: UInt16? {
        for attribute in attributes {
            if case .alternatePort(let port) = attribute { return port }
        }
        return nil
    }

    /// The number of ERROR-CODE, 300 to 699; nil when there is none.
    package var errorNumber: Int? {
        for attribute in attributes {
            if case .errorCode(let number, _) = attribute { return number }
        }
        return nil
    }
}
