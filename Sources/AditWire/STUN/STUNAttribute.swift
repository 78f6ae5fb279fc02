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
    /// PRIORITY (RFC 8445 section 16.1): of the candidate that the check's success would show.
    case priority(UInt32)
    /// USE-CANDIDATE (RFC 8445 section 16.1).
    case useCandidate
    /// ICE-CONTROLLED (RFC 8445 section 16.1): the tie-breaker.
    case iceControlled(UInt64)
    /// ICE-CONTROLLING (RFC 8445 section 16.1): the tie-breaker.
    case iceControlling(UInt64)
    /// CHANNEL-NUMBER (RFC 8656 section 18.1): any number, also one that is no channel.
    case channelNumber(UInt16)
    /// LIFETIME (RFC 8656 section 18.2): in seconds.
    case lifetime(UInt32)
    /// XOR-PEER-ADDRESS (RFC 8656 section 18.3); the address itself. It may come more than once.
    case xorPeerAddress(IPEndpoint)
    /// DATA (RFC 8656 section 18.4): the payload of a datagram.
    case data([UInt8])
    /// XOR-RELAYED-ADDRESS (RFC 8656 section 18.5); the address itself.
    case xorRelayedAddress(IPEndpoint)
    /// REQUESTED-ADDRESS-FAMILY (RFC 8656 section 18.6).
    case requestedAddressFamily(STUNAddressFamily)
    /// EVEN-PORT (RFC 8656 section 18.7), and whether the port above is to be kept for a second allocation.
    case evenPort(reservesNext: Bool)
    /// REQUESTED-TRANSPORT (RFC 8656 section 18.8): a number of IANA's protocols, 17 for UDP.
    case requestedTransport(UInt8)
    /// DONT-FRAGMENT (RFC 8656 section 18.9).
    case dontFragment
    /// RESERVATION-TOKEN (RFC 8656 section 18.10): 8 bytes.
    case reservationToken(UInt64)
    /// ADDITIONAL-ADDRESS-FAMILY (RFC 8656 section 18.11).
    case additionalAddressFamily(STUNAddressFamily)
    /// ADDRESS-ERROR-CODE (RFC 8656 section 18.12): as ERROR-CODE, about one address family.
    case addressErrorCode(STUNAddressFamily, Int, reason: String)
    /// ICMP (RFC 8656 section 18.13): type and code of the error that a datagram of the relay met, and its data.
    case icmp(type: UInt8, code: UInt8, data: UInt32)
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
        case .priority: STUNAttributeType.priority
        case .useCandidate: STUNAttributeType.useCandidate
        case .iceControlled: STUNAttributeType.iceControlled
        case .iceControlling: STUNAttributeType.iceControlling
        case .channelNumber: STUNAttributeType.channelNumber
        case .lifetime: STUNAttributeType.lifetime
        case .xorPeerAddress: STUNAttributeType.xorPeerAddress
        case .data: STUNAttributeType.data
        case .xorRelayedAddress: STUNAttributeType.xorRelayedAddress
        case .requestedAddressFamily: STUNAttributeType.requestedAddressFamily
        case .evenPort: STUNAttributeType.evenPort
        case .requestedTransport: STUNAttributeType.requestedTransport
        case .dontFragment: STUNAttributeType.dontFragment
        case .reservationToken: STUNAttributeType.reservationToken
        case .additionalAddressFamily: STUNAttributeType.additionalAddressFamily
        case .addressErrorCode: STUNAttributeType.addressErrorCode
        case .icmp: STUNAttributeType.icmp
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

/// The family of an address, as attributes of RFC 8656 name it; other numbers than these two may come.
package struct STUNAddressFamily: RawRepresentable, Sendable, Hashable {
    /// The number on the wire.
    package let rawValue: UInt8

    /// Makes it from its number.
    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// The family of an address, IPv6 for an IPv4-mapped one too.
    package init(of address: IPAddress) {
        switch address {
        case .v4: self = .v4
        case .v6: self = .v6
        }
    }

    /// IPv4.
    package static let v4 = STUNAddressFamily(rawValue: 1)
    /// IPv6.
    package static let v6 = STUNAddressFamily(rawValue: 2)
}
