// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditWire
import Testing

struct PeerEnvelopeTests {
    private static let envelope = PeerEnvelope(
        epoch: 0x0102_0304_0506_0708,
        echo: 0x1112_1314_1516_1718,
        number: 3,
        time: 1_700_000_000,
        receiver: Array(0..<32),
        payload: [0xAA, 0xBB]
    )

    @Test func itIsReadAsItWasWritten() throws {
        let bytes = Self.envelope.encode()
        #expect(bytes.count == PeerEnvelope.headerByteCount + 2)
        #expect(try PeerEnvelope.decode(bytes) == Self.envelope)
        let empty = PeerEnvelope(epoch: 1, number: 1, time: -5)
        #expect(try PeerEnvelope.decode(empty.encode()) == empty)
        #expect(!empty.namesReceiver && Self.envelope.namesReceiver)
    }

    @Test func whatIsShortLongOrOfAnotherVersionIsRefused() {
        let bytes = Self.envelope.encode()
        for count in 0..<PeerEnvelope.headerByteCount {
            #expect(throws: WireError.self) { try PeerEnvelope.decode(Array(bytes.prefix(count))) }
        }
        let long = Array(bytes.prefix(PeerEnvelope.headerByteCount))
        #expect(throws: WireError.self) {
            try PeerEnvelope.decode(long + [UInt8](repeating: 0, count: PeerEnvelope.payloadLimit + 1))
        }
        for (offset, count) in [(0, 1), (1, 8), (17, 8)] {
            var changed = bytes
            for index in offset..<(offset + count) { changed[index] = 0 }
            #expect(throws: WireError.self) { try PeerEnvelope.decode(changed) }
        }
    }

    @Test(arguments: [FRPWireVersion.v2]) func theLargestSignalFitsIntoAMessage(_ version: FRPWireVersion) throws {
        let signal = AditPeerSignal(
            peer: String(repeating: "n", count: 256),
            run: String(repeating: "r", count: 64),
            key: [UInt8](repeating: 255, count: 32),
            address: "2001:db8:1111:2222:3333:4444:5555:6666",
            body: [UInt8](repeating: 255, count: AditPeerSignal.bodyLimit),
            signature: [UInt8](repeating: 255, count: 64)
        )
        #expect(signal.isWellFormed)
        var bytes: [UInt8] = []
        try FRPFrame.message(.peerSignal(signal)).encode(version: version, into: &bytes)
        #expect(bytes.count <= FRPWireVersion.v1.payloadLimit)
        let frame = try #require(try FRPFrame.decode(bytes.span.bytes, version: version))
        #expect(frame.frame == .message(.peerSignal(signal)))
        var longer = signal
        longer.body.append(0)
        #expect(!longer.isWellFormed)
    }

    @Test func aRefusalKeepsWhatItSays() throws {
        let answer = AditPeerUnavailable(peer: "desk", run: "r", reason: "run-ended", lastSeen: 7)
        #expect(answer.knownReason == .runEnded)
        #expect(AditPeerUnavailable(reason: "tomorrow").knownReason == nil)
        var bytes: [UInt8] = []
        try FRPFrame.message(.peerUnavailable(answer)).encode(version: .v2, into: &bytes)
        #expect(try FRPFrame.decode(bytes.span.bytes, version: .v2)?.frame == .message(.peerUnavailable(answer)))
    }
}
