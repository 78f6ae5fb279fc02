// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditWire

/// Which guest has which private proxy: a name belongs to the first session that asks for it, until it gives it back or ends.
struct PrivateProxies<Session: AnyObject & Sendable>: Sendable {
    /// What became of a claim.
    enum Claim: Sendable, Hashable {
        case granted
        /// Another session has the name.
        case taken
        /// There are as many as there may be.
        case full
        /// It cannot be a name.
        case invalid
    }

    /// frp's types of private proxies.
    static var kinds: Set<String> { ["stcp", "sudp", "xtcp"] }

    private let capacity: Int
    private var holders: [String: Session] = [:]
    /// What each session has, so that its end is no look at all the others.
    private var names: [ObjectIdentifier: Set<String>] = [:]

    /// - Parameter capacity: how many there may be; a session is bounded by its tunnels.
    init(capacity: Int = 65_536) {
        self.capacity = capacity
    }

    /// How many there are.
    var count: Int { holders.count }

    func holder(of name: String) -> Session? { holders[name] }

    mutating func claim(_ name: String, for session: Session) -> Claim {
        guard AditServices.isName(name) else { return .invalid }
        if let holder = holders[name] { return holder === session ? .granted : .taken }
        guard holders.count < capacity else { return .full }
        holders[name] = session
        names[ObjectIdentifier(session), default: []].insert(name)
        return .granted
    }

    mutating func release(_ name: String, of session: Session) {
        guard holders[name] === session else { return }
        holders[name] = nil
        let id = ObjectIdentifier(session)
        names[id]?.remove(name)
        if names[id]?.isEmpty == true { names[id] = nil }
    }

    mutating func remove(_ session: Session) {
        for name in names.removeValue(forKey: ObjectIdentifier(session)) ?? [] { holders[name] = nil }
    }
}
