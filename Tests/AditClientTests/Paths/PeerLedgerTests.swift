// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCrypto
import AditWire
import Testing

/// Two devices and whoever stands between them.
struct PeerLedgerTests {
    private let amyKey: DeviceKey
    private let benKey: DeviceKey
    private let eveKey: DeviceKey
    private var amy: PeerLedger
    private var ben: PeerLedger
    private let now: Int64 = 1_700_000_000

    init() throws {
        amyKey = try DeviceKey(seed: [UInt8](repeating: 1, count: 32))
        benKey = try DeviceKey(seed: [UInt8](repeating: 2, count: 32))
        eveKey = try DeviceKey(seed: [UInt8](repeating: 3, count: 32))
        amy = Self.ledger("amy", amyKey, epoch: 11)
        ben = Self.ledger("ben", benKey, epoch: 22)
    }

    private static func ledger(_ name: String, _ key: DeviceKey, epoch: UInt64, server: UInt8 = 9) -> PeerLedger {
        var ledger = PeerLedger(key: key, epoch: epoch)
        ledger.ownName = name
        ledger.server = [UInt8](repeating: server, count: 32)
        return ledger
    }

    private static func print(_ key: DeviceKey) -> KeyFingerprint { KeyFingerprint(of: key.publicKey.bytes) }

    /// What the server makes of a signal on its way.
    private static func pass(_ signal: AditPeerSignal?, from name: String, _ key: DeviceKey, run: String = "r1") throws
        -> AditPeerSignal
    {
        var passed = try #require(signal)
        passed.peer = name
        passed.run = run
        passed.key = key.publicKey.bytes
        return passed
    }

    private mutating func fromAmy(_ payload: [UInt8], time: Int64? = nil) throws -> AditPeerSignal {
        try Self.pass(
            amy.seal(payload, for: "ben", run: "r1", receiver: Self.print(benKey), time: time ?? now),
            from: "amy",
            amyKey
        )
    }

    private mutating func fromBen(_ payload: [UInt8]) throws -> AditPeerSignal {
        try Self.pass(
            ben.seal(payload, for: "amy", run: "r1", receiver: Self.print(amyKey), time: now),
            from: "ben",
            benKey
        )
    }

    private static func payload(_ verdict: PeerLedger.Verdict) -> [UInt8]? {
        if case .accepted(let message) = verdict { message.payload } else { nil }
    }

    @Test mutating func aSignalArrivesOnceAndItsAnswerNamesTheRun() throws {
        let first = try fromAmy([1, 2, 3])
        #expect(Self.payload(ben.open(first, known: nil, time: now)) == [1, 2, 3])
        #expect(ben.open(first, known: Self.print(amyKey), time: now) == .refused(.replayed))
        let answer = try fromBen([4])
        guard case .accepted(let message) = amy.open(answer, known: nil, time: now) else {
            Issue.record("the answer was not taken")
            return
        }
        #expect(message.namesThisRun)
        #expect(message.isNewRun)
        #expect(message.key == Self.print(benKey))
        // With the echo, clocks do not matter any more.
        #expect(Self.payload(ben.open(try fromAmy([5], time: 0), known: nil, time: now)) == [5])
    }

    @Test mutating func nobodyElseCanSpeakForADevice() throws {
        // Another device signs with its own key, and the server passes it on under the name of amy.
        var eve = Self.ledger("eve", eveKey, epoch: 33)
        let forged = try Self.pass(
            eve.seal([1], for: "ben", run: "", receiver: Self.print(benKey), time: now),
            from: "amy",
            eveKey
        )
        #expect(
            ben.open(forged, known: Self.print(amyKey), time: now)
                == .refused(.keyChanged(known: Self.print(amyKey), now: Self.print(eveKey)))
        )
        // The server names amy's key above another's signature.
        var dressed = forged
        dressed.key = amyKey.publicKey.bytes
        #expect(ben.open(dressed, known: nil, time: now) == .refused(.forged))
    }

    @Test mutating func aChangedBitAnywhereIsNoticed() throws {
        let signal = try fromAmy(Array(0..<40))
        for index in signal.body.indices {
            var changed = signal
            changed.body[index] ^= 1
            #expect(ben.open(changed, known: nil, time: now) == .refused(.forged))
        }
        for index in signal.signature.indices {
            var changed = signal
            changed.signature[index] ^= 0x40
            #expect(ben.open(changed, known: nil, time: now) == .refused(.forged))
        }
        for count in signal.body.indices {
            var cut = signal
            cut.body = Array(signal.body.prefix(count))
            #expect(Self.payload(ben.open(cut, known: nil, time: now)) == nil)
        }
        #expect(Self.payload(ben.open(signal, known: nil, time: now)) == Array(0..<40))
    }

    @Test mutating func aSignalForOneDeviceIsNothingToAnotherOrAtAnotherServer() throws {
        let signal = try fromAmy([1])
        var carl = Self.ledger("carl", try DeviceKey(seed: [UInt8](repeating: 4, count: 32)), epoch: 44)
        #expect(carl.open(signal, known: nil, time: now) == .refused(.forged))
        // A device that took over the name is not the one whose key was meant.
        var thief = Self.ledger("ben", eveKey, epoch: 55)
        #expect(thief.open(signal, known: nil, time: now) == .refused(.forged))
        var elsewhere = Self.ledger("ben", benKey, epoch: 22, server: 8)
        #expect(elsewhere.open(signal, known: nil, time: now) == .refused(.forged))
    }

    @Test mutating func anOldSignalToAnEarlierRunIsAskedForAgain() throws {
        _ = ben.open(try fromAmy([1]), known: nil, time: now)
        _ = amy.open(try fromBen([2]), known: nil, time: now)
        let kept = try fromAmy([3])
        // ben starts anew; the server brings back what was meant for the run before.
        var reborn = Self.ledger("ben", benKey, epoch: 23)
        guard case .unproven(let message) = reborn.open(kept, known: nil, time: now) else {
            Issue.record("an old signal was taken")
            return
        }
        let question = try Self.pass(
            reborn.seal([], for: "amy", run: "r1", receiver: Self.print(amyKey), time: now, echo: message.epoch),
            from: "ben",
            benKey
        )
        guard case .accepted(let news) = amy.open(question, known: nil, time: now) else {
            Issue.record("the question was not taken")
            return
        }
        #expect(news.isNewRun && news.namesThisRun && news.payload.isEmpty)
        #expect(Self.payload(reborn.open(try fromAmy([3]), known: nil, time: now)) == [3])
        #expect(Self.payload(reborn.open(kept, known: nil, time: now)) == nil)
    }

    @Test(arguments: [-601, 601, Int64.min, Int64.max] as [Int64])
    func aFirstSignalOfAnotherTimeIsNotTaken(_ distance: Int64) throws {
        var test = self
        let time = distance == .min || distance == .max ? distance : now + distance
        let signal = try test.fromAmy([1], time: time)
        #expect(Self.payload(test.ben.open(signal, known: nil, time: now)) == nil)
    }

    @Test mutating func whatIsTooLongOrIncompleteIsRefused() throws {
        #expect(
            amy.seal(
                [UInt8](repeating: 0, count: PeerEnvelope.payloadLimit + 1),
                for: "ben",
                run: "",
                receiver: nil,
                time: now
            ) == nil
        )
        var signal = try fromAmy([UInt8](repeating: 7, count: PeerEnvelope.payloadLimit))
        #expect(Self.payload(ben.open(signal, known: nil, time: now))?.count == PeerEnvelope.payloadLimit)
        signal.body.append(0)
        #expect(ben.open(signal, known: nil, time: now) == .refused(.malformed))
        #expect(ben.open(AditPeerSignal(), known: nil, time: now) == .refused(.malformed))
    }

    @Test mutating func itsMemoryIsBounded() throws {
        for number in 0..<700 {
            var signal = try fromAmy([1])
            signal.run = "r\(number)"
            _ = ben.open(signal, known: nil, time: now)
        }
        #expect(ben.count <= 512)
    }

    @Test mutating func signalsMayComeInAnotherOrder() throws {
        var signals: [AditPeerSignal] = []
        for number in 0..<20 { signals.append(try fromAmy([UInt8(number)])) }
        for (number, signal) in signals.enumerated().reversed() {
            #expect(Self.payload(ben.open(signal, known: nil, time: now)) == [UInt8(number)])
        }
        for signal in signals { #expect(ben.open(signal, known: nil, time: now) == .refused(.replayed)) }
    }
}
