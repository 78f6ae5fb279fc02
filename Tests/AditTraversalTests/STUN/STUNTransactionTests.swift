// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import Testing

@Suite struct STUNTransactionTests {
    private static let request = STUNMessage(.request, transactionID: STUNTransactionID(high: 1, low: 2))

    /// The instants, in milliseconds, at which a transaction that nobody answers is sent, and when it ends.
    private static func schedule(_ timing: STUNTiming) -> (sent: [Int64], end: Int64) {
        var transaction = STUNTransaction(request, timing: timing, at: .zero)
        var sent: [Int64] = []
        var now = Instant.zero
        while let deadline = transaction.nextDeadline {
            now = deadline
            if transaction.nextTransmission(at: now) != nil { sent.append(now.nanoseconds / 1_000_000) }
        }
        #expect(transaction.outcome() == .timedOut)
        return (sent, now.nanoseconds / 1_000_000)
    }

    @Test func aRequestIsSentAgainAsTheStandardSays() {
        // RFC 8489 section 6.2.1 gives these very numbers.
        let standard = Self.schedule(.standard)
        #expect(standard.sent == [0, 500, 1500, 3500, 7500, 15_500, 31_500])
        #expect(standard.end == 39_500)
        let reliable = Self.schedule(.reliable)
        #expect(reliable.sent == [0])
        #expect(reliable.end == 39_500)
        let quick = Self.schedule(STUNTiming(retransmission: .milliseconds(100), transmissions: 3, lastWait: 4))
        #expect(quick.sent == [0, 100, 300])
        #expect(quick.end == 700)
    }

    private static func reply(
        _ kind: STUNKind,
        _ attributes: [STUNAttribute],
        change: (inout STUNMessage) -> Void = { _ in }
    ) -> [UInt8] {
        var message = request
        message.kind = kind
        message.attributes = attributes
        change(&message)
        var bytes: [UInt8] = []
        message.encode(into: &bytes, fingerprint: true)
        return bytes
    }

    private static func outcome(of bytes: [UInt8]) -> STUNOutcome? {
        var transaction = STUNTransaction(request, at: .zero)
        _ = transaction.nextTransmission(at: .zero)
        return transaction.handle(bytes.span.bytes, at: .zero + .milliseconds(30))
    }

    @Test func theResponseEndsIt() {
        let mapped = STUNAttribute.xorMappedAddress(IPEndpoint(.v4(5), 5))
        guard case .success(let message, .milliseconds(30))? = Self.outcome(of: Self.reply(.success, [mapped])) else {
            Issue.record("no success")
            return
        }
        #expect(message.mappedEndpoint == IPEndpoint(.v4(5), 5))
        #expect(Self.outcome(of: Self.reply(.error, [.errorCode(420, reason: "a")])) == .refused(420, reason: "a"))
        #expect(Self.outcome(of: Self.reply(.success, [.other(type: 0x4000, [])])) == .notUnderstood([0x4000]))
    }

    @Test func anotherServerIsFollowedOnlyWithAnAddress() {
        let alternate = STUNAttribute.alternateServer(IPEndpoint(.v4(9), 9))
        let try300 = STUNAttribute.errorCode(300, reason: "")
        #expect(
            Self.outcome(of: Self.reply(.error, [try300, alternate, .alternateDomain("b.test")]))
                == .tryAlternate(IPEndpoint(.v4(9), 9), domain: "b.test")
        )
        #expect(Self.outcome(of: Self.reply(.error, [try300])) == .refused(300, reason: ""))
        let nowhere = STUNAttribute.alternateServer(IPEndpoint(.v4(0), 9))
        #expect(Self.outcome(of: Self.reply(.error, [try300, nowhere])) == .refused(300, reason: ""))
    }

    @Test func whatIsNotTheResponseChangesNothing() {
        let good = Self.reply(.success, [.xorMappedAddress(IPEndpoint(.v4(5), 5))])
        for bytes in [
            Self.reply(.success, []) { $0.transactionID = STUNTransactionID(high: 1, low: 3) },
            Self.reply(.success, []) { $0.cookie = 7 },
            Self.reply(.success, []) { $0.method = STUNMethod(rawValue: 3) },
            Self.reply(.request, []), Self.reply(.indication, []), Self.reply(.error, []), [], [1, 2, 3],
            Array(good.dropLast()), Array(good.dropLast()) + [good[good.count - 1] ^ 1],
        ] {
            #expect(Self.outcome(of: bytes) == nil)
        }
        var unsent = STUNTransaction(Self.request, at: .zero)
        let early = unsent.handle(good.span.bytes, at: .zero)
        #expect(early == nil)
        _ = unsent.nextTransmission(at: .zero)
        let first = unsent.handle(good.span.bytes, at: .zero)
        let second = unsent.handle(good.span.bytes, at: .zero)
        #expect(first != nil && second == nil)
        #expect(unsent.nextDeadline == nil)
    }
}
