// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// When a request is sent again and when it is given up (RFC 8489 section 6.2).
package struct STUNTiming: Sendable, Equatable {
    /// The first wait, which doubles with each transmission (RTO).
    package var retransmission: Duration
    /// How often the request is sent (Rc), at least once.
    package var transmissions: Int
    /// How many times the first wait is waited after the last transmission (Rm).
    package var lastWait: Int

    /// Makes a timing; the defaults are those of RFC 8489 and take 39.5 s.
    package init(retransmission: Duration = .milliseconds(500), transmissions: Int = 7, lastWait: Int = 16) {
        self.retransmission = max(retransmission, .milliseconds(1))
        self.transmissions = min(max(transmissions, 1), 32)
        self.lastWait = max(lastWait, 1)
    }

    /// RFC 8489 over UDP.
    package static let standard = STUNTiming()
    /// Over a reliable transport: sent once, given up after 39.5 s (Ti, section 6.2.2).
    package static let reliable = STUNTiming(transmissions: 1, lastWait: 79)
}

/// How a transaction ended.
package enum STUNOutcome: Sendable, Equatable {
    /// The response. `roundTrip` counts from the last transmission before it.
    case success(STUNMessage, roundTrip: Duration)
    /// An error that is final, 300 to 699; 300 without a usable ALTERNATE-SERVER too.
    case refused(Int, reason: String)
    /// Error 300: the same request is to go to another server (section 10).
    case tryAlternate(IPEndpoint, domain: String?)
    /// A response that has attributes which have to be understood and are not (section 6.3.3).
    case notUnderstood([UInt16])
    /// No response in time.
    case timedOut
}

/// One request and its response, sent again as RFC 8489 section 6.2.1 says; the caller owns the socket.
///
/// `nextTransmission(at:)` is asked at once and at each `nextDeadline`, then `outcome(at:)`.
package struct STUNTransaction: Sendable, Equatable {
    /// The request as it is sent.
    package let bytes: [UInt8]
    /// What ties the response to it.
    package let transactionID: STUNTransactionID
    /// How often it was sent.
    package private(set) var transmissionCount = 0

    private let timing: STUNTiming
    private let method: STUNMethod
    private let cookie: UInt32
    private var deadline: Instant
    private var lastTransmission: Instant?
    private var result: STUNOutcome?

    /// Makes a transaction whose first transmission is due at `now`.
    package init(
        _ request: STUNMessage,
        fingerprint: Bool = false,
        timing: STUNTiming = .standard,
        at now: Instant
    ) {
        var bytes: [UInt8] = []
        request.encode(into: &bytes, fingerprint: fingerprint)
        self.init(request, bytes: bytes, timing: timing, at: now)
    }

    /// Makes a transaction of a request that is encoded already, with what protects it.
    package init(_ request: STUNMessage, bytes: [UInt8], timing: STUNTiming = .standard, at now: Instant) {
        self.bytes = bytes
        transactionID = request.transactionID
        method = request.method
        cookie = request.cookie
        self.timing = timing
        deadline = now
    }

    /// When to ask for a transmission or an outcome next; nil once it is over.
    package var nextDeadline: Instant? { result == nil ? deadline : nil }

    /// The bytes to send now; nil when nothing is due.
    package mutating func nextTransmission(at now: Instant) -> [UInt8]? {
        guard result == nil, now >= deadline else { return nil }
        guard transmissionCount < timing.transmissions else {
            result = .timedOut
            return nil
        }
        transmissionCount += 1
        lastTransmission = now
        let isLast = transmissionCount == timing.transmissions
        let factor = isLast ? timing.lastWait : 1 << (transmissionCount - 1)
        deadline = now + timing.retransmission * factor
        return bytes
    }

    /// Takes bytes that came from the server; the outcome when they end the transaction, nil when they do not belong to it.
    ///
    /// Forged and broken bytes are left out: the right response may still come (section 6.3).
    package mutating func handle(_ bytes: RawSpan, at now: Instant) -> STUNOutcome? {
        guard result == nil, let lastTransmission, let message = try? STUNMessage.decode(bytes),
            message.transactionID == transactionID, message.cookie == cookie, message.method == method,
            message.kind == .success || message.kind == .error
        else { return nil }
        let outcome: STUNOutcome
        let unknown = message.unknownRequiredTypes
        if !unknown.isEmpty {
            outcome = .notUnderstood(unknown)
        } else if message.kind == .success {
            outcome = .success(message, roundTrip: now - lastTransmission)
        } else {
            guard let refusal = Self.refusal(message) else { return nil }
            outcome = refusal
        }
        result = outcome
        return outcome
    }

    /// How it ended; nil while it goes on.
    package func outcome() -> STUNOutcome? { result }

    private static func refusal(_ message: STUNMessage) -> STUNOutcome? {
        var error: (Int, String)?
        var alternate: IPEndpoint?
        var domain: String?
        for attribute in message.attributes {
            switch attribute {
            case .errorCode(let number, let reason): error = (number, reason)
            case .alternateServer(let endpoint): alternate = endpoint
            case .alternateDomain(let name): domain = name
            default: break
            }
        }
        guard let (number, reason) = error else { return nil }
        if number == 300, let alternate, alternate.port != 0, !alternate.address.isUnspecified {
            return .tryAlternate(alternate, domain: domain)
        }
        return .refused(number, reason: reason)
    }
}
