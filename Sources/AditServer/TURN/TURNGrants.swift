// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCrypto

/// Which devices were told credentials, and which of those are good no more.
///
/// Credentials are good without a session, and an allocation outlives them as long as it is refreshed: a device that is
/// removed is looked for here, not among the sessions. It is its key; another one may have its name one day.
struct TURNGrants: Sendable {
    private struct Grant: Sendable {
        var key: String
        /// Of the credentials that it was told last.
        var expiry: Int64
        /// Its place in the order of all grants.
        var number: UInt64
    }

    private var grants: [String: Grant] = [:]
    /// Up to which expiry the credentials of a name are void; forgotten when that has passed.
    private var void: [String: Int64] = [:]

    /// How often credentials were told.
    private(set) var total: UInt64 = 0

    /// How many devices have credentials.
    var count: Int { grants.count }
    /// How many names have credentials that are void before their time.
    var voidCount: Int { void.count }

    /// Tells a device credentials for at least as long as `expiry`, a multiple of `step`: until when they are good.
    ///
    /// - Parameter isRenewal: whether it has had some, without which it gets none: nil then.
    mutating func grant(
        to name: String,
        key: String,
        until expiry: Int64,
        step: Int64,
        isRenewal: Bool = false,
        now: Int64
    ) -> Int64? {
        let known = grants[name]
        guard !isRenewal || known?.key == key else { return nil }
        if let known, known.key != key { revoke(name, known) }
        if !void.isEmpty { void = void.filter { $0.value > now } }
        let good = max(expiry, void[name].map { ($0 / step + 1) * step } ?? expiry)
        let longest = known?.key == key ? max(good, known?.expiry ?? good) : good
        total += 1
        grants[name] = Grant(key: key, expiry: longest, number: total)
        return good
    }

    /// Takes back what was told to devices that are not among these keys; their names.
    ///
    /// - Parameter total: how often credentials had been told when the keys were looked up: who came later is not judged.
    mutating func keep(only keys: Set<String>, asOf total: UInt64) -> [String] {
        let gone = grants.filter { !keys.contains($0.value.key) && $0.value.number <= total }
        for (name, grant) in gone { revoke(name, grant) }
        return gone.keys.sorted()
    }

    /// Whether a user's credentials were not taken back.
    func admits(_ username: String) -> Bool {
        guard let (expiry, device) = TURNCredentials.parts(of: username), let end = void[device] else { return true }
        return expiry > end
    }

    private mutating func revoke(_ name: String, _ grant: Grant) {
        void[name] = max(grant.expiry, void[name] ?? grant.expiry)
        grants[name] = nil
    }
}
