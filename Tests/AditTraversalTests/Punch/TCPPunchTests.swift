// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import Testing

@Suite("Punching TCP")
struct TCPPunchTests {
    private static let address = IPAddress.v4(0xC0A8_0102)
    private static let bound = IPEndpoint(address, 50_000)
    private static let target = IPEndpoint(.v4(0xC000_0202), 40_000)

    /// A punch that listens and has begun to connect.
    private func punch(_ targets: [IPEndpoint] = [Self.target]) -> (TCPPunch, [TCPPunchOutput]) {
        var punch = TCPPunch(random: SeededGenerator(seed: 1))
        punch.handle(.begin(local: IPEndpoint(Self.address, 0), servers: []), at: .zero)
        punch.handle(.opened(PunchSocketID(1), local: Self.bound), at: .zero)
        punch.handle(.targets(targets), at: .zero)
        punch.handle(.go, at: .zero)
        return (punch, outputs(&punch))
    }

    private func outputs(_ punch: inout TCPPunch) -> [TCPPunchOutput] {
        var outputs: [TCPPunchOutput] = []
        while let output = punch.nextOutput() { outputs.append(output) }
        return outputs
    }

    private func connects(_ outputs: [TCPPunchOutput]) -> [PunchSocketID] {
        outputs.compactMap { if case .open(let id, .tcp(Self.bound, Self.target)) = $0 { id } else { nil } }
    }

    @Test("One port serves the listener and each connection, and the connecting socket stays until the end")
    func onePort() throws {
        var (punch, first) = punch()
        #expect(first.contains(.open(PunchSocketID(1), .listener(local: IPEndpoint(Self.address, 0)))))
        #expect(first.contains(.event(.mapped([], local: Self.bound))))
        let id = try #require(connects(first).first)
        var closed: [(Instant, PunchSocketID)] = []
        var failure: TCPPunchFailure?
        while let deadline = punch.nextDeadline {
            punch.handle(.timer, at: deadline)
            for output in outputs(&punch) {
                if case .close(let other, _) = output { closed.append((deadline, other)) }
                if case .event(.failed(let reason)) = output { failure = reason }
            }
        }
        #expect(failure == .timedOut)
        #expect(closed.contains { $0.1 == id })
        #expect(closed.allSatisfy { $0.0 == .zero + .seconds(40) })
    }

    @Test("A refused connection is made again within a tenth of a second, but not for ever")
    func refused() {
        var (punch, first) = punch()
        var id = connects(first).first
        var now = Instant.zero
        var pauses: [Duration] = []
        while let open = id {
            punch.handle(.closed(open, .refused), at: now)
            _ = outputs(&punch)
            id = nil
            while id == nil, let deadline = punch.nextDeadline {
                punch.handle(.timer, at: deadline)
                id = connects(outputs(&punch)).first
                if id != nil { pauses.append(deadline - now) }
                now = deadline
            }
        }
        #expect(pauses.count == 59)
        #expect(pauses.prefix(9).allSatisfy { $0 < .milliseconds(100) })
        #expect(Set(pauses).count > 10)
        #expect(pauses.allSatisfy { $0 < .seconds(1) })
    }

    @Test("Where the listener has the connection already, its own attempt is not made again")
    func accepted() throws {
        var (punch, first) = punch()
        let id = try #require(connects(first).first)
        let accepted = PunchSocketID(PunchSocketID.acceptedStart)
        punch.handle(.accepted(accepted, by: PunchSocketID(1), local: Self.bound, remote: Self.target), at: .zero)
        #expect(
            outputs(&punch).contains(.event(.established(accepted, local: Self.bound, remote: Self.target)))
        )
        punch.handle(.closed(id, .addressUnavailable), at: .zero)
        #expect(punch.nextDeadline == .zero + .seconds(40))
        // Its owner found a stranger on it: there it goes on.
        punch.handle(.closed(accepted, .malformed), at: .zero)
        #expect(try #require(punch.nextDeadline) <= .zero + .milliseconds(100))
        punch.handle(.stop, at: .zero)
        #expect(outputs(&punch).contains(.close(PunchSocketID(1), isAbrupt: true)))
        #expect(punch.nextDeadline == nil)
    }

    @Test("Strangers at the listener take bounded room")
    func strangers() {
        var (punch, _) = punch()
        var taken = 0
        for number in 0..<100 {
            let id = PunchSocketID(PunchSocketID.acceptedStart + UInt32(number))
            let remote = IPEndpoint(.v4(7), UInt16(number + 1))
            punch.handle(.accepted(id, by: PunchSocketID(1), local: Self.bound, remote: remote), at: .zero)
            for output in outputs(&punch) { if case .event(.established) = output { taken += 1 } }
        }
        #expect(taken == TCPPunchConfiguration().connectionLimit)
        #expect(connects(self.punch((0..<100).map { IPEndpoint(Self.target.address, 1000 + $0) }).1).isEmpty)
        let many = self.punch((0..<100).map { IPEndpoint(Self.target.address, 1000 + $0) }).1
        #expect(many.count { if case .open(_, .tcp) = $0 { true } else { false } } == 20)
    }

    @Test("A server that sends no STUN is left")
    func server() {
        var punch = TCPPunch(random: SeededGenerator(seed: 1))
        punch.handle(.begin(local: IPEndpoint(Self.address, 0), servers: [Self.target]), at: .zero)
        punch.handle(.opened(PunchSocketID(1), local: Self.bound), at: .zero)
        punch.handle(.connected(PunchSocketID(2), local: Self.bound, remote: Self.target), at: .zero)
        punch.handle(.bytes(PunchSocketID(2), Array("HTTP/1.1 400 Bad Request\r\n".utf8)), at: .zero)
        let told = outputs(&punch)
        #expect(told.contains(.close(PunchSocketID(2), isAbrupt: true)))
        #expect(told.contains(.event(.mapped([], local: Self.bound))))
    }
}

@Suite("Punching TCP in seven steps")
struct SevenStepsTests {
    @Test("B closes the socket of step 4, or keeps it", arguments: [false, true])
    func fourth(isKept: Bool) throws {
        var steps = SevenSteps(
            SevenStepsConfiguration(.asked, keepsFourthSocket: isKept),
            random: SeededGenerator(seed: 1)
        )
        let target = IPEndpoint(.v4(7), 7)
        steps.handle(.begin(local: IPEndpoint(.v4(1), 5000), servers: [IPEndpoint(.v4(9), 3478)]), at: .zero)
        steps.handle(.targets([target]), at: .zero)
        var numbers: [Int] = []
        var outputs: [TCPPunchOutput] = []
        while let output = steps.nextOutput() { outputs.append(output) }
        #expect(outputs.contains(.open(PunchSocketID(3), .tcp(local: IPEndpoint(.v4(1), 5000), remote: target))))
        steps.handle(.timer, at: .zero + .seconds(1))
        while let output = steps.nextOutput() { outputs.append(output) }
        for case .event(.trace(let step)) in outputs {
            numbers.append(step.number)
            #expect(step.words.english != step.words.chinese)
        }
        #expect(numbers == [1, 4, 4, 5])
        #expect(outputs.contains(.close(PunchSocketID(3), isAbrupt: false)) == !isKept)
        #expect(outputs.contains(.open(PunchSocketID(1), .listener(local: IPEndpoint(.v4(1), 5000)))))
    }
}
