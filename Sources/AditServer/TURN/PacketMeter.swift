// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// How many datagrams may pass in a second: a virtual clock that runs ahead of the real one by what passed (the generic cell
/// rate algorithm of ITU-T I.371), a quarter of a second at most.
///
/// Used under the lock of its owner.
final class PacketMeter {
    private static let allowance: Int64 = 250_000_000

    private let interval: Int64
    private var paid = Int64.min / 2
    /// How many allocations share it.
    var users = 0

    init(perSecond: Int) {
        interval = max(1, 1_000_000_000 / Int64(max(1, perSecond)))
    }

    /// Counts a datagram in; false when it is one too many.
    func admits(at now: Instant) -> Bool {
        guard paid <= now.nanoseconds + Self.allowance else { return false }
        paid = max(paid, now.nanoseconds) + interval
        return true
    }
}
