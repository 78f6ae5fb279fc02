// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import NIOEmbedded
import Testing

@testable import adit

@Suite struct EventMailboxTests {
    @Test func deliversManyEventsTogetherAndInOrder() {
        let loop = EmbeddedEventLoop()
        let batches = NIOLockedValueBox<[[Int]]>([])
        let mailbox = EventMailbox<Int>(on: loop) { batch in batches.withLockedValue { $0.append(batch) } }
        for number in 0..<5 { mailbox.post(number) }
        #expect(batches.withLockedValue { $0.isEmpty })
        loop.advanceTime(by: .milliseconds(20))
        mailbox.post(5)
        loop.advanceTime(by: .milliseconds(20))
        loop.advanceTime(by: .seconds(1))
        #expect(batches.withLockedValue { $0 } == [[0, 1, 2, 3, 4], [5]])
    }

    @Test func dropsTheOldestWhenNobodyTakesThem() {
        let loop = EmbeddedEventLoop()
        let last = NIOLockedValueBox<[Int]>([])
        let mailbox = EventMailbox<Int>(on: loop) { batch in last.withLockedValue { $0 = batch } }
        for number in 0..<100_000 { mailbox.post(number) }
        loop.advanceTime(by: .milliseconds(20))
        let held = last.withLockedValue { $0 }
        #expect(held.count <= 8192)
        #expect(held.last == 99_999)
        #expect(held == Array((held.first ?? 0)...99_999))
    }
}
