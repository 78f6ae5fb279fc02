// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Which part a side has in a search.
package enum SearchRole: Sendable, Hashable {
    /// It has the port that is searched for, and opens its NAT.
    case opener
    /// It tries ports of the other side.
    case prober
}

/// How the ports are searched.
package enum SearchTactic: Sendable, Hashable {
    /// The opener's NAT counts: so many ports in a row are tried at once, then the following ones at the usual pace.
    case prediction(window: Int)
    /// Both NATs count: so many sockets each, all sending to the middle of the other's next ports.
    case window(sockets: Int)
    /// The opener's ports are random: so many of them are opened, and so many tried.
    case birthday(sockets: Int, probes: Int)
    /// Both sides' ports are random in small blocks, or in a small range of a sequence: so many tries of both sides.
    case block(probes: Int)
}

/// What one side of a search does; both sides make theirs from the same samples.
package struct SearchPlan: Sendable, Hashable {
    /// The part of this side; in `window` and `block` both sides do the same.
    package var role: SearchRole
    /// How.
    package var tactic: SearchTactic
    /// The peer's address, and the port that an opener sends to.
    package var peer: IPEndpoint
    /// The ports that are tried, in their order; empty for `range`.
    package var guesses: [UInt16] = []
    /// The ports among which are tried any, without the well-known ones.
    package var range: ClosedRange<UInt16> = 1024...65_535
    /// The time to live of an opener's packets; set where the peer's NAT must not see them, because it would answer for itself.
    package var openerTimeToLive: UInt8?
    /// Whether a prober waits for `peerOpened`.
    package var waitsForOpener = false

    /// Makes a plan.
    package init(_ role: SearchRole, _ tactic: SearchTactic, peer: IPEndpoint) {
        self.role = role
        self.tactic = tactic
        self.peer = peer
    }

    /// How many sockets beside the main one this side opens.
    package var socketCount: Int {
        switch (tactic, role) {
        case (.window(let sockets), _), (.birthday(let sockets, _), .opener): sockets
        case (.birthday, .prober), (.prediction, _), (.block, _): 0
        }
    }
}

/// What may be searched for, and how hard.
package struct SearchOptions: Sendable, Hashable {
    /// How many ports in a row are tried at once, and how many sockets of both sides meet in the middle.
    package var window = 60
    /// How many sockets an opener with random ports has, at most ``PunchBudget/Limits/sockets``.
    package var sockets = 256
    /// How many ports are tried.
    package var probes = 1024
    /// Whether ports are searched where both sides' are random in small blocks; asked for by the user.
    package var allowsBlock = false
    /// The largest block in which both sides' ports are searched, in ports.
    package var largestBlock = 4096
    /// The time to live of an opener's packets; nil for the usual.
    package var openerTimeToLive: UInt8?
    /// Whether a prober waits until the other side's ports are open; always so where openers do not reach its NAT.
    package var waitsForOpener = false

    /// Makes the usual options.
    package init() {}
}

extension SearchPlan {
    /// The plan of this side; nil where no search helps, or none is allowed.
    ///
    /// `peer` is the endpoint at which the peer's servers see it. Where both sides are seen as the same by everybody, the plain
    /// punch is all there is.
    package static func make(
        own: PortSamples,
        peer: PortSamples,
        at endpoint: IPEndpoint,
        options: SearchOptions = SearchOptions()
    ) -> SearchPlan? {
        var plan: SearchPlan?
        switch (own.kind, peer.kind) {
        case (.scattered, _), (_, .scattered): return nil
        case (.constant, .sequential), (.unknown, .sequential):
            plan = SearchPlan(.prober, .prediction(window: options.window), peer: endpoint)
            plan?.guesses = peer.guesses(options.probes)
        case (.sequential, .constant), (.sequential, .unknown):
            plan = SearchPlan(.opener, .prediction(window: options.window), peer: endpoint)
        case (.constant, .random), (.unknown, .random), (.constant, .block), (.unknown, .block):
            plan = SearchPlan(.prober, birthday(peer, options), peer: endpoint)
            plan?.range = peer.range
        case (.random, .constant), (.random, .unknown), (.block, .constant), (.block, .unknown):
            plan = SearchPlan(.opener, birthday(own, options), peer: endpoint)
        case (.sequential, .sequential):
            plan = SearchPlan(.opener, .window(sockets: options.window), peer: endpoint)
            plan?.peer.port = peer.middle(of: options.window) ?? endpoint.port
        case (.block, .block), (.block, .sequential), (.sequential, .block):
            guard options.allowsBlock, own.size <= options.largestBlock, peer.size <= options.largestBlock else {
                return nil
            }
            let probes = min(options.probes, own.size, peer.size)
            plan = SearchPlan(.prober, .block(probes: probes), peer: endpoint)
            plan?.guesses = peer.guesses(probes)
            plan?.range = peer.range
        case (.random, .random), (.random, .block), (.block, .random), (.random, .sequential), (.sequential, .random),
            (.constant, .constant), (.constant, .unknown), (.unknown, .constant), (.unknown, .unknown):
            return nil
        }
        plan?.openerTimeToLive = options.openerTimeToLive
        plan?.waitsForOpener = options.waitsForOpener || options.openerTimeToLive != nil
        return plan
    }

    /// So many different ports of those that may be tried, in any order.
    func ports(_ count: Int, using random: inout any RandomNumberGenerator & Sendable) -> [UInt16] {
        guard guesses.isEmpty else { return Array(guesses.shuffled(using: &random).prefix(count)) }
        if range.count < 4 * count { return Array(range.shuffled(using: &random).prefix(count)) }
        var drawn: Set<UInt16> = []
        var list: [UInt16] = []
        while list.count < count {
            let port = range.lowerBound + UInt16(random.next(upperBound: UInt64(range.count)))
            if drawn.insert(port).inserted { list.append(port) }
        }
        return list
    }

    private static func birthday(_ samples: PortSamples, _ options: SearchOptions) -> SearchTactic {
        .birthday(sockets: min(options.sockets, samples.size), probes: min(options.probes, samples.size))
    }
}

extension PortSamples {
    /// The ports that a new flow may get.
    var range: ClosedRange<UInt16> {
        if case .block(let range) = kind { return range }
        return 1024...65_535
    }

    /// How many there are; a sequence is as good as a block of any size.
    var size: Int {
        if case .sequential = kind { return 2048 }
        return range.count
    }
}
