// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What a link does to packets, the same in every direction.
package struct LinkConfiguration: Sendable, Hashable {
    /// How long a packet is on its way at least.
    package var latency: Duration
    /// By how much more, at random; packets keep their order.
    package var jitter: Duration = .zero
    /// The share of packets (or fragments) that are lost, 0 to 1.
    package var loss = 0.0
    /// The share of packets that come twice, 0 to 1.
    package var duplication = 0.0
    /// The share of packets that are held back by `reorderingDelay` and overtaken, 0 to 1.
    package var reordering = 0.0
    /// How long a packet is held back that is to be overtaken.
    package var reorderingDelay = Duration.milliseconds(10)
    /// Bits per second; nil for no limit.
    package var rate: Int?
    /// How many bytes wait for a limited rate before packets are dropped.
    package var queueLimit = 64 * 1024
    /// The largest packet, in bytes with its IP header.
    package var mtu = 1500
    /// Whether a packet that is too big vanishes without an ICMP error.
    package var isBlackHole = false

    /// Makes a link that only takes time.
    package init(latency: Duration = .milliseconds(1)) {
        self.latency = latency
    }

    /// Makes a link from its parts.
    package init(
        latency: Duration,
        jitter: Duration = .zero,
        loss: Double = 0,
        duplication: Double = 0,
        reordering: Double = 0,
        rate: Int? = nil,
        mtu: Int = 1500
    ) {
        self.latency = latency
        self.jitter = jitter
        self.loss = loss
        self.duplication = duplication
        self.reordering = reordering
        self.rate = rate
        self.mtu = mtu
    }
}
