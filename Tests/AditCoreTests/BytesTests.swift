// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import Testing

@Suite struct BytesTests {
    @Test func numbersAreWrittenAndReadInNetworkOrder() {
        var bytes: [UInt8] = []
        bytes.appendBigEndian(UInt16(0x0102))
        bytes.appendBigEndian(UInt32(0x0304_0506))
        bytes.appendBigEndian(UInt64(0x0708_090A_0B0C_0D0E))
        #expect(bytes == Array(1...14))
        let span = bytes.span.bytes
        #expect(span.byte(at: 0) == 1)
        #expect(span.bigEndianUInt16(at: 0) == 0x0102)
        #expect(span.bigEndianUInt32(at: 2) == 0x0304_0506)
        #expect(span.bigEndianUInt64(at: 6) == 0x0708_090A_0B0C_0D0E)
        #expect(span.copyBytes(in: 3..<5) == [4, 5])
        #expect(span.copyBytes(in: 14..<14) == [])
    }

    @Test func hexadecimalGoesBothWays() {
        let all = (0...255).map { UInt8($0) }
        #expect(Hexadecimal.decode(Hexadecimal.encode(all)) == all)
        #expect(Hexadecimal.decode("00fFA5") == [0, 255, 165])
        #expect(Hexadecimal.decode("0") == nil)
        #expect(Hexadecimal.decode("0g") == nil)
    }

    @Test func secretsAreEqualOnlyWhenEveryByteIs() {
        #expect(ConstantTime.equal("secret", "secret"))
        #expect(!ConstantTime.equal("secret", "secreT"))
        #expect(!ConstantTime.equal("secret", "secret1"))
        #expect(ConstantTime.equal([UInt8](), []))
    }

    @Test func aBoundedQueueRefusesWhatIsTooMuch() {
        var queue = BoundedQueue<Int>(capacity: 3)
        #expect(queue.popFirst() == nil)
        for round in 0..<50 {
            let first = queue.append(round)
            let second = queue.append(round + 1)
            let third = queue.append(round + 2)
            let fourth = queue.append(round + 3)
            #expect(first && second && third && !fourth)
            #expect(queue.count == 3)
            #expect(queue.popFirst() == round)
            #expect(queue.popFirst() == round + 1)
            #expect(queue.popFirst() == round + 2)
            #expect(queue.isEmpty)
        }
    }
}
