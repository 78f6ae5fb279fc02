// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTraversal
import AditWire

/// Writes requests by hand, right and wrong ones, and reads what a relay answers.
struct TURNAsker {
    var tuple: TURNClientTuple
    var username: String
    var password: String
    var realm = "adit"
    var nonce = ""
    private var number: UInt64 = 0

    init(
        _ tuple: TURNClientTuple = TURNWorld.tuple(200),
        _ credentials: TURNCredentials = TURNWorld.credentials("desk")
    ) {
        self.tuple = tuple
        username = credentials.username
        password = credentials.password
    }

    mutating func request(
        _ method: STUNMethod,
        _ attributes: [STUNAttribute],
        id: STUNTransactionID? = nil,
        isProtected: Bool = true
    ) -> [UInt8] {
        number += 1
        var message = STUNMessage(
            .request,
            method,
            transactionID: id ?? STUNTransactionID(high: 9, low: number),
            attributes: attributes
        )
        var bytes: [UInt8] = []
        guard isProtected else {
            message.encode(into: &bytes)
            return bytes
        }
        message.attributes += [.username(username), .realm(realm), .nonce(nonce)]
        let key = STUNIntegrityKey(username: username, realm: realm, password: password)
        message.encode(into: &bytes, integrity: .sha1) { key.sha1Code(of: $0) }
        return bytes
    }

    /// The relay's answer to a request; nil when there is none.
    mutating func ask(
        _ world: inout TURNWorld,
        _ method: STUNMethod,
        _ attributes: [STUNAttribute],
        id: STUNTransactionID? = nil,
        isProtected: Bool = true
    ) -> STUNMessage? {
        send(&world, request(method, attributes, id: id, isProtected: isProtected))
    }

    mutating func send(_ world: inout TURNWorld, _ bytes: [UInt8]) -> STUNMessage? {
        world.answers = []
        world.ask(bytes, from: tuple)
        guard let answer = world.answers.first, let message = try? STUNMessage.decode(answer.bytes.span.bytes) else {
            return nil
        }
        for attribute in message.attributes {
            if case .nonce(let value) = attribute { nonce = value }
        }
        return message
    }

    /// Fetches a nonce and allocates.
    mutating func allocate(_ world: inout TURNWorld, _ attributes: [STUNAttribute] = []) -> STUNMessage? {
        _ = ask(&world, .allocate, [.requestedTransport(17)], isProtected: false)
        return ask(&world, .allocate, [.requestedTransport(17)] + attributes)
    }
}

extension STUNMessage {
    var relayedEndpoints: [IPEndpoint] {
        attributes.compactMap { attribute in
            guard case .xorRelayedAddress(let endpoint) = attribute else { return nil }
            return endpoint
        }
    }

    var lifetime: UInt32? {
        for attribute in attributes {
            if case .lifetime(let seconds) = attribute { return seconds }
        }
        return nil
    }

    var reservationToken: UInt64? {
        for attribute in attributes {
            if case .reservationToken(let token) = attribute { return token }
        }
        return nil
    }
}
