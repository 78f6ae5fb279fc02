// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What happened in one round of datagrams, until it is added to a tunnel's counters.
struct DatagramRound: Sendable, Equatable {
    /// Datagrams from visitors.
    var datagramsIn = 0
    /// Datagrams to visitors.
    var datagramsOut = 0
    /// Bytes from visitors.
    var bytesIn = 0
    /// Bytes to visitors.
    var bytesOut = 0
    /// Datagrams that were thrown away.
    var drops = 0
    /// Visitors' datagrams that were turned away without asking the gate again.
    var refusals = 0
}
