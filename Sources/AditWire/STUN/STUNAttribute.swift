// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// An attribute of a STUN message.
///
/// FINGERPRINT is not among them: the codec writes and checks it.
package enum STUNAttribute: Sendable, Hashable {
    /// MAPPED-ADDRESS (RFC 8489 section 14.1).
    case mappedAddress(IPEndpoint)
    /// XOR-MAPPED-ADDRESS (section 14.2); the address itself, not as it is on the wire.
    case xorMappedAddress(IPEndpoint)
    /// CHANGE-REQUEST (RFC 5780 section 7.2): from which of its addresses and ports the server is to answer.
    case changeRequest(address: Bool, port: Bool)
    /// RESPONSE-ORIGIN (RFC 5780 section 7.3).
    case responseOrigin(IPEndpoint)
    /// OTHER-ADDRESS (RFC 5780 section 7.4).
    case otherAddress(IPEndpoint)
    /// RESPONSE-PORT (RFC 5780 section 7.5).
    case responsePort(UInt16)
    /// PADDING (RFC 5780 section 7.6): so many zero bytes.
    case padding(Int)
    /// SOFTWARE (RFC 8489 section 14.14): at most 763 bytes.
    case software(String)
    /// ERROR-CODE (section 14.8): 300 to 699, and a reason of at most 763 bytes.
    case errorCode(Int, reason: String)
    /// UNKNOWN-ATTRIBUTES (section 14.13).
    case unknownAttributes([UInt16])
    /// USERNAME (section 14.3): at most 513 bytes.
    case username(String)
    /// REALM (section 14.9): at most 763 bytes.
    case realm(String)
    /// NONCE (section 14.10): at most 763 bytes.
    case nonce(String)
    /// USERHASH (section 14.4): 32 bytes.
    case userhash([UInt8])
    /// MESSAGE-INTEGRITY (section 14.5): 20 bytes.
    case messageIntegrity([UInt8])
    /// MESSAGE-INTEGRITY-SHA256 (section 14.6): 16 to 32 bytes, a multiple of 4.
    case messageIntegritySHA256([UInt8])
    /// PASSWORD-ALGORITHM (section 14.12).
    case passwordAlgorithm(STUNPasswordAlgorithm)
    /// PASSWORD-ALGORITHMS (section 14.11): at most 16.
    case passwordAlgorithms([STUNPasswordAlgorithm])
    /// ALTERNATE-SERVER (section 14.15).
    case alternateServer(IPEndpoint)
    /// ALTERNATE-DOMAIN (section 14.16): at most 255 bytes.
    case alternateDomain(String)
    /// SOURCE-ADDRESS (RFC 3489 section 11.2.5).
    case sourceAddress(IPEndpoint)
    /// CHANGED-ADDRESS (RFC 3489 section 11.2.3).
    case changedAddress(IPEndpoint)
    /// REFLECTED-FROM (RFC 3489 section 11.2.11).
    case reflectedFrom(IPEndpoint)
    /// ALTERNATE-PORT, Adit's own (docs/wire.md, STUN): the second UDP port of a server with one address.
    case alternatePort(UInt16)
    /// Any other, or text that is not UTF-8.
    case other(type: UInt16, [UInt8])

    /// The number of the attribute's type.
    package var type: UInt16 {
        switch self {
        case .mappedAddress: STUNAttributeType.mappedAddress
        case .xorMappedAddress: STUNAttributeType.xorMappedAddress
        case .changeRequest: STUNAttributeType.changeRequest
        case .responseOrigin: STUNAttributeType.responseOrigin
        case .otherAddress: STUNAttributeType.otherAddress
        case .responsePort: STUNAttributeType.responsePort
        case .padding: STUNAttributeType.padding
        case .software: STUNAttributeType.software
        case .errorCode: STUNAttributeType.errorCode
        case .unknownAttributes: STUNAttributeType.unknownAttributes
        case .username: STUNAttributeType.username
        case .realm: STUNAttributeType.realm
        case .nonce: STUNAttributeType.nonce
        case .userhash: STUNAttributeType.userhash
        case .messageIntegrity: STUNAttributeType.messageIntegrity
        case .messageIntegritySHA256: STUNAttributeType.messageIntegritySHA256
        case .passwordAlgorithm: STUNAttributeType.passwordAlgorithm
        case .passwordAlgorithms: STUNAttributeType.passwordAlgorithms
        case .alternateServer: STUNAttributeType.alternateServer
        case .alternateDomain: STUNAttributeType.alternateDomain
        case .sourceAddress: STUNAttributeType.sourceAddress
        case .changedAddress: STUNAttributeType.changedAddress
        case .reflectedFrom: STUNAttributeType.reflectedFrom
        case .alternatePort: STUNAttributeType.alternatePort
        case .other(let type, _): type
        }
    }
}

/// How a long-term key is made from a password (RFC 8489 section 18.5).
package struct STUNPasswordAlgorithm: Sendable, Hashable {
    /// The number: 1 for MD5, 2 for SHA-256.
    package var number: UInt16
    /// The parameters; empty for both known algorithms.
    package var parameters: [UInt8]

    /// Makes it from its parts.
    package init(number: UInt16, parameters: [UInt8] = []) {
        self.number = number
        self.parameters = parameters
    }

    /// MD5 (RFC 8489 section 18.5.1.1).
    package static let md5 = STUNPasswordAlgorithm(number: 1)
    /// SHA-256 (RFC 8489 section 18.5.1.2).
    package static let sha256 = STUNPasswordAlgorithm(number: 2)
}

/// The numbers of attributes (RFC 8489 section 18.3, RFC 5780 section 9.1, RFC 3489 section 11.2).
package enum STUNAttributeType {
    /// MAPPED-ADDRESS.
    package static let mappedAddress: UInt16 = 0x0001
    /// CHANGE-REQUEST.
    package static let changeRequest: UInt16 = 0x0003
    /// SOURCE-ADDRESS.
    package static let sourceAddress: UInt16 = 0x0004
    /// CHANGED-ADDRESS.
    package static let changedAddress: UInt16 = 0x0005
    /// USERNAME.
    package static let username: UInt16 = 0x0006
    /// MESSAGE-INTEGRITY.
    package static let messageIntegrity: UInt16 = 0x0008
    /// ERROR-CODE.
    package static let errorCode: UInt16 = 0x0009
    /// UNKNOWN-ATTRIBUTES.
    package static let unknownAttributes: UInt16 = 0x000A
    /// REFLECTED-FROM.
    package static let reflectedFrom: UInt16 = 0x000B
    /// XOR-PEER-ADDRESS (RFC 8656 section 18.3), the one that may come more than once.
    package static let xorPeerAddress: UInt16 = 0x0012
    /// REALM.
    package static let realm: UInt16 = 0x0014
    /// NONCE.
    package static let nonce: UInt16 = 0x0015
    /// MESSAGE-INTEGRITY-SHA256.
    package static let messageIntegritySHA256: UInt16 = 0x001C
    /// PASSWORD-ALGORITHM.
    package static let passwordAlgorithm: UInt16 = 0x001D
    /// USERHASH.
    package static let userhash: UInt16 = 0x001E
    /// XOR-MAPPED-ADDRESS.
    package static let xorMappedAddress: UInt16 = 0x0020
    /// PADDING.
    package static let padding: UInt16 = 0x0026
    /// RESPONSE-PORT.
    package static let responsePort: UInt16 = 0x0027
    /// PASSWORD-ALGORITHMS.
    package static let passwordAlgorithms: UInt16 = 0x8002
    /// ALTERNATE-DOMAIN.
    package static let alternateDomain: UInt16 = 0x8003
    /// SOFTWARE.
    package static let software: UInt16 = 0x8022
    /// ALTERNATE-SERVER.
    package static let alternateServer: UInt16 = 0x8023
    /// FINGERPRINT.
    package static let fingerprint: UInt16 = 0x8028
    /// RESPONSE-ORIGIN.
    package static let responseOrigin: UInt16 = 0x802B
    /// OTHER-ADDRESS.
    package static let otherAddress: UInt16 = 0x802C
    /// ALTERNATE-PORT, Adit's own, among those that need not be understood.
    package static let alternatePort: UInt16 = 0xFAD1
    /// FILL, Adit's own, among those that need not be understood: bytes that only make a request as long as its response.
    package static let fill: UInt16 = 0xFAD2

    /// Whether a type that has to be understood (below 0x8000) is one of these.
    package static func isKnown(_ type: UInt16) -> Bool {
        switch type {
        case mappedAddress, changeRequest, sourceAddress, changedAddress, username, messageIntegrity, errorCode,
            unknownAttributes, reflectedFrom, realm, nonce, messageIntegritySHA256, passwordAlgorithm, userhash,
            xorMappedAddress, padding, responsePort:
            true
        default: false
        }
    }
}
