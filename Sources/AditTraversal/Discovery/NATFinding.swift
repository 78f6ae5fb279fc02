// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a measurement says, and how far it can be relied on.
package enum NATFinding<Value: Sendable & Hashable>: Sendable, Hashable {
    /// Measured, and nothing contradicts it.
    case certain(Value)
    /// The best reading of what was measured; the doubt says why it may be wrong.
    case likely(Value, NATDoubt)
    /// Nothing can be said; the doubt says why.
    case unknown(NATDoubt)

    /// The value, however certain; nil when it is unknown.
    package var value: Value? {
        switch self {
        case .certain(let value), .likely(let value, _): value
        case .unknown: nil
        }
    }

    /// Why the value may be wrong or is missing; nil when it is certain.
    package var doubt: NATDoubt? {
        switch self {
        case .certain: nil
        case .likely(_, let doubt), .unknown(let doubt): doubt
        }
    }

    /// Whether it was measured and nothing contradicts it.
    package var isCertain: Bool { doubt == nil }

    /// The same value with a doubt; what has one already keeps its own.
    package func doubted(_ doubt: NATDoubt) -> NATFinding {
        if case .certain(let value) = self { return .likely(value, doubt) }
        return self
    }

    /// The finding with its value changed.
    package func map<Other: Sendable & Hashable>(_ change: (Value) -> Other) -> NATFinding<Other> {
        switch self {
        case .certain(let value): .certain(change(value))
        case .likely(let value, let doubt): .likely(change(value), doubt)
        case .unknown(let doubt): .unknown(doubt)
        }
    }
}

/// Why something about a NAT is uncertain or unknown.
package enum NATDoubt: String, Sendable, Hashable, CaseIterable {
    /// It was not asked for.
    case notMeasured
    /// It does not apply: there is no NAT, or nothing passes.
    case notApplicable
    /// No STUN server was given.
    case noServer
    /// No STUN server answered.
    case noAnswer
    /// Too few answers came before the time was up.
    case fewAnswers
    /// The server has one address; telling this apart takes two.
    case oneAddress
    /// The server has one port; telling this apart takes two.
    case onePort
    /// The server does not answer from another address or port when asked to (RFC 5780, CHANGE-REQUEST).
    case noChangeRequest
    /// The server's answers from its other address or port arrive nowhere, so that their absence says nothing.
    case alternateSilent
    /// The server does not connect back over TCP.
    case noConnectBack
    /// The server does not answer to another port of this address (RFC 5780, RESPONSE-PORT).
    case noResponsePort
    /// Nothing was measured over TCP; this is what UDP shows.
    case guessedFromUDP
    /// The servers contradict each other: one of them is wrong, or the traffic leaves by several lines.
    case serversDisagree
    /// A server gave an address that cannot be right.
    case absurdAnswer
    /// The measurements contradict each other; the stricter one is reported.
    case inconsistent
    /// The address of this machine or of the NAT changed while measuring, twice.
    case addressChanged
    /// The limits were estimated from what was seen.
    case estimated
    /// Routers on the path do not say who they are (ICMP).
    case silentRouters
    /// It was read from addresses on the path, which carriers also use without translation.
    case readFromAddresses
    /// The mapping depends on the destination, which hides the answer.
    case hiddenByMapping
    /// It was seen by comparing servers that do not belong together.
    case independentServers
}
