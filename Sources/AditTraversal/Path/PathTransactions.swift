// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditWire

/// Which peer's check an answer belongs to: the newest checks that left from shared sockets.
struct PathTransactions: Sendable {
    /// So many are remembered; with 100 checks a second and 256 peers that is more than an answer takes.
    static let limit = 4096

    private var slots: [STUNTransactionID: Int] = [:]
    private var order: [STUNTransactionID] = []
    private var oldest = 0

    /// Remembers a check, and forgets the oldest one when there are too many.
    mutating func note(_ id: STUNTransactionID, of slot: Int) {
        if slots.updateValue(slot, forKey: id) != nil { return }
        if order.count < Self.limit {
            order.append(id)
        } else {
            slots[order[oldest]] = nil
            order[oldest] = id
            oldest = (oldest + 1) % Self.limit
        }
    }

    /// The peer's place.
    subscript(id: STUNTransactionID) -> Int? { slots[id] }
}
