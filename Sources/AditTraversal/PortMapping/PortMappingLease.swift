// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// A wish on its way to a port, and the port.
struct PortMappingLease: Sendable {
    enum State: Hashable, Sendable {
        /// For a router that answers.
        case waiting
        /// The router was asked.
        case asking(PortMappingProtocol)
        /// The port is there.
        case held
        /// Nothing works for now.
        case failed
    }

    /// What the router gave.
    struct Grant: Sendable {
        var `protocol`: PortMappingProtocol
        var router: IPAddress
        var inside: IPEndpoint
        var external: IPEndpoint
        /// In seconds; nil for ever.
        var lifetime: UInt32?
        var expiresAt: Instant?
    }

    let wish: PortMappingWish
    let isIPv6: Bool
    /// Who asks, for PCP; kept for the life of the mapping.
    let nonce: PCPNonce
    var state = State.waiting
    /// The external port that is asked for now.
    var wanted: UInt16
    /// How often the port was another's.
    var conflictCount = 0
    /// Whether the router is asked for a lease without end, because it knows no other.
    var isPermanent = false
    var refusals: [PortMappingRefusal] = []
    var grant: Grant?
    var renewals = 0
    var renewAt: Instant?
    var verification: PortMappingVerification?
    var verifiedAt: Instant?
    /// What was told last; nil when nothing was, or its loss.
    var told: PortMapping?
    var seen: IPAddress?

    init(_ wish: PortMappingWish, isIPv6: Bool, nonce: PCPNonce) {
        self.wish = wish
        self.isIPv6 = isIPv6
        self.nonce = nonce
        wanted = wish.externalPort ?? wish.internalPort
    }

    /// The mapping as it is told; nil before the router gave one and it was tried from outside.
    var mapping: PortMapping? {
        guard let grant, let verification else { return nil }
        let double = PortMappingDoubleNAT(external: grant.external.address, seen: seen)
        var isVerified = false
        if case .verified = verification { isVerified = true }
        return PortMapping(
            wish: wish,
            inside: grant.inside,
            external: grant.external,
            protocol: grant.protocol,
            router: grant.router,
            lifetime: grant.lifetime.map { .seconds(Int64($0)) },
            renewals: renewals,
            verification: verification,
            doubleNAT: isVerified ? nil : double
        )
    }

    /// Begins again, with the same port if that can be had.
    mutating func restart() {
        if let grant { wanted = grant.external.port }
        state = .waiting
        grant = nil
        renewAt = nil
        verification = nil
        seen = nil
        refusals = []
        conflictCount = 0
    }
}

/// What a router's seconds since it began say (RFC 6886 section 3.6, RFC 6887 section 8.5).
struct PortMappingEpoch: Sendable {
    private var last: (seconds: UInt32, at: Instant)?
    private var restartedAt: Instant?

    /// No router starts twice in this time; one whose seconds jump would make ports come and go as fast as it answers.
    private static var restartTime: Duration { .seconds(10) }

    /// Takes the seconds of an answer; true when the router has lost its mappings since the last one.
    mutating func hasRestarted(_ seconds: UInt32, at now: Instant) -> Bool {
        defer { last = (seconds, now) }
        guard let last, isRestart(seconds, after: last, at: now) else { return false }
        if let before = restartedAt, now < before + Self.restartTime { return false }
        restartedAt = now
        return true
    }

    private func isRestart(_ seconds: UInt32, after last: (seconds: UInt32, at: Instant), at now: Instant) -> Bool {
        if Int64(seconds) < Int64(last.seconds) - 1 { return true }
        let client = (now - last.at).inSeconds
        let server = Double(seconds) - Double(last.seconds)
        // A clock may be off by a sixteenth, and two seconds of rounding.
        return client + 2 < server - server / 16 || server + 2 < client - client / 16
    }

    /// Forgets what the last answer said.
    mutating func forget() { last = nil }
}
