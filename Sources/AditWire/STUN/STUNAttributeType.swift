// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// The numbers of attributes (RFC 8489 section 18.3, RFC 8445 section 16.1, RFC 8656 section 18, RFC 5780
/// section 9.1, RFC 3489 section 11.2).
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
    /// CHANNEL-NUMBER.
    package static let channelNumber: UInt16 = 0x000C
    /// LIFETIME.
    package static let lifetime: UInt16 = 0x000D
    /// XOR-PEER-ADDRESS.
    package static let xorPeerAddress: UInt16 = 0x0012
    /// DATA.
    package static let data: UInt16 = 0x0013
    /// REALM.
    package static let realm: UInt16 = 0x0014
    /// NONCE.
    package static let nonce: UInt16 = 0x0015
    /// XOR-RELAYED-ADDRESS.
    package static let xorRelayedAddress: UInt16 = 0x0016
    /// REQUESTED-ADDRESS-FAMILY.
    package static let requestedAddressFamily: UInt16 = 0x0017
    /// EVEN-PORT.
    package static let evenPort: UInt16 = 0x0018
    /// REQUESTED-TRANSPORT.
    package static let requestedTransport: UInt16 = 0x0019
    /// DONT-FRAGMENT.
    package static let dontFragment: UInt16 = 0x001A
    /// MESSAGE-INTEGRITY-SHA256.
    package static let messageIntegritySHA256: UInt16 = 0x001C
    /// PASSWORD-ALGORITHM.
    package static let passwordAlgorithm: UInt16 = 0x001D
    /// USERHASH.
    package static let userhash: UInt16 = 0x001E
    /// XOR-MAPPED-ADDRESS.
    package static let xorMappedAddress: UInt16 = 0x0020
    /// RESERVATION-TOKEN.
    package static let reservationToken: UInt16 = 0x0022
    /// PRIORITY.
    package static let priority: UInt16 = 0x0024
    /// USE-CANDIDATE.
    package static let useCandidate: UInt16 = 0x0025
    /// PADDING.
    package static let padding: UInt16 = 0x0026
    /// RESPONSE-PORT.
    package static let responsePort: UInt16 = 0x0027
    /// ADDITIONAL-ADDRESS-FAMILY.
    package static let additionalAddressFamily: UInt16 = 0x8000
    /// ADDRESS-ERROR-CODE.
    package static let addressErrorCode: UInt16 = 0x8001
    /// PASSWORD-ALGORITHMS.
    package static let passwordAlgorithms: UInt16 = 0x8002
    /// ALTERNATE-DOMAIN.
    package static let alternateDomain: UInt16 = 0x8003
    /// ICMP.
    package static let icmp: UInt16 = 0x8004
    /// SOFTWARE.
    package static let software: UInt16 = 0x8022
    /// ALTERNATE-SERVER.
    package static let alternateServer: UInt16 = 0x8023
    /// FINGERPRINT.
    package static let fingerprint: UInt16 = 0x8028
    /// ICE-CONTROLLED.
    package static let iceControlled: UInt16 = 0x8029
    /// ICE-CONTROLLING.
    package static let iceControlling: UInt16 = 0x802A
    /// RESPONSE-ORIGIN.
    package static let responseOrigin: UInt16 = 0x802B
    /// OTHER-ADDRESS.
    package static let otherAddress: UInt16 = 0x802C
    /// ALTERNATE-PORT, Adit's own, among those that need not be understood.
    package static let alternatePort: UInt16 = 0xFAD1
    /// FILL, Adit's own, among those that need not be understood: bytes that only make a request as long as its response.
    package static let fill: UInt16 = 0xFAD2

    /// Whether a type that has to be understood (below 0x8000) is one that a Binding request to a STUN server may
    /// hold, or a response; those of ICE and TURN mean nothing there.
    package static func isKnown(_ type: UInt16) -> Bool {
        switch type {
        case mappedAddress, changeRequest, sourceAddress, changedAddress, username, messageIntegrity, errorCode,
            unknownAttributes, reflectedFrom, realm, nonce, messageIntegritySHA256, passwordAlgorithm, userhash,
            xorMappedAddress, padding, responsePort:
            true
        default: false
        }
    }

    /// Whether a message may hold several of a type that all count: XOR-PEER-ADDRESS (RFC 8656 section 10.1), and
    /// XOR-RELAYED-ADDRESS for an allocation of both address families (section 7.3).
    package static func mayRepeat(_ type: UInt16) -> Bool {
        type == xorPeerAddress || type == xorRelayedAddress
    }
}
