// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import Testing

@Suite struct PathSignalTests {
    private static func full() throws -> PathSignal {
        let credentials = try #require(ICECredentials(ufrag: "abcd", password: "0123456789abcdefghijkl"))
        var description = PathDescription(credentials: credentials)
        let seen = IPEndpoint(.v4(0xC633_6402), 40_000)
        description.candidates = [
            ICECandidate(
                foundation: "h1",
                priority: 2_130_706_431,
                endpoint: IPEndpoint(.v6(high: 0x2001_0DB8 << 32, low: 1), 7),
                type: .host
            ),
            ICECandidate(
                foundation: "m1",
                priority: 9,
                endpoint: seen,
                type: .serverReflexive,
                related: IPEndpoint(.v4(0xC0A8_0102), 5),
                isPortMapped: true
            ),
            ICECandidate(
                foundation: "t",
                transport: .tcp,
                priority: 1,
                endpoint: seen,
                type: .peerReflexive,
                tcpType: .simultaneousOpen
            ),
            ICECandidate(foundation: "r2", priority: 255, endpoint: seen, type: .relayed, related: seen),
        ]
        description.isComplete = true
        description.isQuiet = true
        description.policy = .directOnly
        description.relay = .tls
        description.nat.address = .v4(0xC633_6402)
        description.nat.udp.allocation = .sequential(step: -2)
        description.openers = PathOpenersOffer(round: 2, endpoints: [seen], isOpened: true)
        description.tcp = PathTCPOffer(round: 3, local: seen, mapped: [seen, seen], isReady: true, goes: true)
        description.search = PathSearchOffer(round: 4, stage: .opened, samples: [seen], probes: 389)
        description.reason = .relayOnly(.both)
        return PathSignal(session: 1, peerSession: .max, revision: 3, acknowledged: 4, .description(description))
    }

    @Test func everySignalIsReadAsItWasWritten() throws {
        var signals = [try Self.full()]
        signals.append(PathSignal(session: 5, peerSession: 6, revision: 7, acknowledged: 8, .acknowledgement))
        signals.append(PathSignal(session: 5, peerSession: 0, revision: 0, acknowledged: 0, .end))
        for signal in signals {
            let bytes = signal.bytes
            #expect(try PathSignal.decode(bytes.span.bytes) == signal)
        }
    }

    @Test func aSignalThatBreaksOffIsNeverReadAsItWas() throws {
        let signal = try Self.full()
        let bytes = signal.bytes
        for count in 0..<bytes.count {
            let read = try? PathSignal.decode(Array(bytes.prefix(count)).span.bytes)
            #expect(read != signal, "\(count) bytes")
        }
    }

    @Test func noChangedByteTraps() throws {
        let bytes = try Self.full().bytes
        for offset in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[offset] ^= 1 << bit
                if let read = try? PathSignal.decode(changed.span.bytes) {
                    #expect(read.bytes.count <= PathSignal.byteLimit)
                }
            }
        }
    }

    @Test func fieldsOfALaterVersionAreSkipped() throws {
        let signal = try Self.full()
        let bytes = signal.bytes + [200, 0, 3, 1, 2, 3]
        #expect(try PathSignal.decode(bytes.span.bytes) == signal)
    }

    @Test func whatIsTooLongOrOfAnotherVersionIsRefused() throws {
        let long = try Self.full().bytes + [UInt8](repeating: 0, count: PathSignal.byteLimit)
        #expect(throws: WireError.self) { try PathSignal.decode(long.span.bytes) }
        var other = try Self.full().bytes
        other[0] = 9
        #expect(throws: WireError.self) { try PathSignal.decode(other.span.bytes) }
    }

    @Test func theLongestDescriptionFits() throws {
        var signal = try Self.full()
        guard case .description(var description) = signal.content else { return }
        let endpoint = IPEndpoint(.v6(high: .max, low: .max), .max)
        let candidate = ICECandidate(
            foundation: String(repeating: "f", count: 32),
            priority: 1,
            endpoint: endpoint,
            type: .serverReflexive,
            related: endpoint
        )
        description.candidates = Array(repeating: candidate, count: 100)
        description.search = PathSearchOffer(round: 1, samples: Array(repeating: endpoint, count: 100))
        signal.content = .description(description)
        let bytes = signal.bytes
        #expect(bytes.count <= PathSignal.byteLimit)
        guard case .description(let read) = try PathSignal.decode(bytes.span.bytes).content else { return }
        #expect(read.candidates.count == PathDescription.candidateLimit)
    }
}
