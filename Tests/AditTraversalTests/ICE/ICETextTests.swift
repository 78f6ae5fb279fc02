// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import AditWire
import Testing

@Suite struct ICETextTests {
    @Test(arguments: [
        "candidate:1 1 udp 2130706431 192.168.1.2 5000 typ host",
        "candidate:a+/9 1 udp 1 2001:db8::1 65535 typ host",
        "candidate:2 1 udp 1694498815 203.0.113.1 40000 typ srflx raddr 192.168.1.2 rport 5000",
        "candidate:2 1 udp 1694498815 203.0.113.1 40000 typ srflx raddr 192.168.1.2 rport 5000 x-mapped 1",
        "candidate:3 1 tcp 1518280447 192.168.1.2 9 typ host tcptype active",
        "candidate:3 1 tcp 1518149375 192.168.1.2 4000 typ host tcptype so",
        "candidate:4 2 udp 16777215 192.0.2.10 50000 typ relay raddr 203.0.113.1 rport 40000",
    ])
    func candidatesAreWrittenAsTheyAreRead(text: String) throws {
        #expect(try #require(ICECandidate(text)).description == text)
        #expect(ICECandidate("a=" + text) == ICECandidate(text))
    }

    @Test func whatIsNotKnownIsLeftOut() throws {
        let candidate = try #require(
            ICECandidate(
                "candidate:1 1 UDP 2130706431 192.168.1.2 5000 typ host generation 0 ufrag abcd network-cost 10"
            )
        )
        #expect(candidate.description == "candidate:1 1 udp 2130706431 192.168.1.2 5000 typ host")
    }

    @Test(arguments: [
        "", "candidate:", "candidate:1 1 udp 1 192.168.1.2 5000 typ", "candidate:1 1 udp 1 192.168.1.2 5000 typ other",
        "candidate:1 0 udp 1 192.168.1.2 5000 typ host", "candidate:1 1 udp 0 192.168.1.2 5000 typ host",
        "candidate:1 1 udp 2147483648 192.168.1.2 5000 typ host", "candidate:1 1 udp 1 here.local 5000 typ host",
        "candidate:1 1 udp 1 192.168.1.2 65536 typ host", "candidate:1 1 udp +1 192.168.1.2 5000 typ host",
        "candidate:1 1 sctp 1 192.168.1.2 5000 typ host", "candidate:1! 1 udp 1 192.168.1.2 5000 typ host",
        "candidate:1 1 tcp 1 192.168.1.2 5000 typ host", "candidate:1 1 udp 1 192.168.1.2 5000 typ host tcptype active",
        "candidate:1 1 udp 1 192.168.1.2 5000 typ host raddr", "candidate:1  1 udp 1 192.168.1.2 5000 typ host",
        "1 1 udp 1 192.168.1.2 5000 typ host", "candidate:1 1 udp 1 192.168.1.2 5000 typ srflx raddr x rport 1",
    ])
    func whatIsNoCandidateIsNotRead(text: String) {
        #expect(ICECandidate(text) == nil)
    }

    @Test func everyPrefixAndFlippedBitIsReadOrNot() throws {
        let text = Array(
            "candidate:2 1 tcp 1694498815 2001:db8::7 40000 typ srflx raddr 192.168.1.2 rport 5000 tcptype so".utf8
        )
        for count in text.indices { ICEDecoders.candidate(Array(text.prefix(count))) }
        for bit in 0..<(text.count * 8) {
            var bytes = text
            bytes[bit / 8] ^= 1 << (bit % 8)
            ICEDecoders.candidate(bytes)
        }
    }

    @Test func credentialsHaveTheirLengthsAndKeepTheirSecret() {
        var generator = SeededGenerator(seed: 4)
        let credentials = ICECredentials(using: &generator)
        #expect(ICECredentials(ufrag: credentials.ufrag, password: credentials.password) == credentials)
        #expect(credentials.password.utf8.count == 24 && credentials.ufrag.utf8.count == 8)
        #expect(!"\(credentials)".contains(credentials.password))
        #expect(!String(reflecting: credentials).contains(credentials.password))
        #expect(ICECredentials(using: &generator) != credentials)
        #expect(ICECredentials(ufrag: "abc", password: credentials.password) == nil)
        #expect(ICECredentials(ufrag: "abcd", password: "tooshort") == nil)
        #expect(ICECredentials(ufrag: "ab:d", password: credentials.password) == nil)
        #expect(ICECredentials(ufrag: String(repeating: "a", count: 257), password: credentials.password) == nil)
    }

    @Test func prioritiesFollowTheFormula() {
        #expect(ICECandidate.priority(typePreference: 126, localPreference: 65535) == 2_130_706_431)
        #expect(ICECandidate.priority(typePreference: 0, localPreference: 0, component: 256) == 0)
        #expect(ICECandidate.localPreference(.host, .active, other: 8191) == 6 << 13 | 8191)
        #expect(ICECandidate.localPreference(.serverReflexive, .simultaneousOpen, other: 0) == 6 << 13)
    }

    @Test func messagesShowForWhomTheyAre() {
        let id = STUNTransactionID(high: 1, low: 2)
        var bytes: [UInt8] = []
        STUNMessage(.request, transactionID: id, attributes: [.priority(1), .username("mine:peer")]).encode(
            into: &bytes
        )
        #expect(ICEArrival(bytes.span.bytes) == .check(ufrag: "mine"))
        for count in bytes.indices { #expect(ICEArrival(Array(bytes.prefix(count)).span.bytes) == .other) }
        var answer: [UInt8] = []
        STUNMessage(.success, transactionID: id, attributes: []).encode(into: &answer)
        #expect(ICEArrival(answer.span.bytes) == .answer(id))
        #expect(ICEArrival([64, 0, 0, 4].span.bytes) == .other)
    }
}
