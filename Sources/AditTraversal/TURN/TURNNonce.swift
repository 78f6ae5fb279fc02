// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditCrypto
internal import AditWire

/// Nonces that need no memory: the time, and a code over it and over whose they are.
///
/// The first 13 characters tell clients of RFC 8489 that password algorithms may be chosen (sections 9.2 and 18.1); older
/// clients give the whole back as it is.
struct TURNNonce: Sendable {
    /// To whom a nonce belongs.
    enum Owner {
        /// The endpoint that asked.
        case client(TURNClientTuple)
        /// A user who got it at login, from the address of that login: a source that can be forged has seen no nonce.
        case user(String, IPAddress)

        fileprivate var mark: Character {
            switch self {
            case .client: "t"
            case .user: "u"
            }
        }

        fileprivate var bytes: [UInt8] {
            switch self {
            case .client(let tuple):
                var bytes = tuple.client.address.bytes
                bytes.appendBigEndian(tuple.client.port)
                return bytes
            case .user(let name, let address): return address.unmapped.bytes + Array(name.utf8)
            }
        }
    }

    /// The nonce cookie, and the feature bit of password algorithms in Base64.
    static let cookie = "obMatJos2gAAA"
    /// Cookie, mark, 8 digits of the time, 24 of the code.
    static let characterCount = cookie.utf8.count + 33

    private let key: TURNNonceKey

    init(key: TURNNonceKey) {
        self.key = key
    }

    func make(for owner: Owner, unixSeconds: Int64) -> String {
        let time = UInt32(truncatingIfNeeded: unixSeconds)
        var digits = String(time, radix: 16)
        digits = String(repeating: "0", count: 8 - digits.utf8.count) + digits
        return "\(Self.cookie)\(owner.mark)\(digits)\(Hexadecimal.encode(code(time, owner)))"
    }

    /// Whether a nonce is this server's, belongs to the client or the user, and is not too old.
    func accepts(_ nonce: String, from client: TURNClientTuple, username: String, unixSeconds: Int64) -> Bool {
        guard nonce.utf8.count == Self.characterCount, nonce.hasPrefix(Self.cookie) else { return false }
        let rest = nonce.dropFirst(Self.cookie.count)
        let owner: Owner
        switch rest.first {
        case "t": owner = .client(client)
        case "u": owner = .user(username, client.client.address)
        default: return false
        }
        let digits = rest.dropFirst().prefix(8)
        guard digits.allSatisfy(\.isHexDigit), let time = UInt32(digits, radix: 16) else { return false }
        let expected = Hexadecimal.encode(code(time, owner))
        guard ConstantTime.equal(String(rest.dropFirst(9)), expected) else { return false }
        let age = unixSeconds - Int64(time)
        return (-60...TURNRelayConfiguration.nonceLifetime).contains(age)
    }

    private func code(_ time: UInt32, _ owner: Owner) -> [UInt8] {
        var bytes = [owner.mark.asciiValue ?? 0]
        bytes.appendBigEndian(time)
        return key.code(of: bytes + owner.bytes)
    }
}
