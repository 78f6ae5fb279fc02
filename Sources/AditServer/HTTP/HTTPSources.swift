// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// A visitor connection's place in the front end.
struct HTTPPlace: Sendable {
    /// Whom it counts against; nil for this machine itself.
    let source: IPAddress?
    /// No whole head of a request has come yet.
    fileprivate(set) var isSilent = true
}

/// How many connections each source has, so that none takes all places (Slowloris).
///
/// Addresses of IPv6 count by their /64. Programs on this machine are not counted: one of them may be a proxy that brings
/// everybody's connections. The table has no more entries than there are connections.
struct HTTPSources: Sendable {
    private struct Count: Sendable {
        var open = 0
        var silent = 0
    }

    private let maximumOpen: Int
    private let maximumSilent: Int
    private var counts: [IPAddress: Count] = [:]

    init(_ limits: HTTPLimits) {
        maximumOpen = limits.connectionsPerAddress
        maximumSilent = limits.silentConnectionsPerAddress
    }

    /// How many sources have connections.
    var count: Int { counts.count }

    /// Takes a place; nil when its source has too many.
    mutating func enter(_ address: IPAddress) -> HTTPPlace? {
        guard !address.isLoopback, !address.isUnspecified else { return HTTPPlace(source: nil) }
        let source = address.source
        var count = counts[source] ?? Count()
        guard count.open < maximumOpen, count.silent < maximumSilent else { return nil }
        count.open += 1
        count.silent += 1
        counts[source] = count
        return HTTPPlace(source: source)
    }

    /// A whole head came on the connection; does so once.
    mutating func settle(_ place: inout HTTPPlace) {
        guard place.isSilent else { return }
        place.isSilent = false
        if let source = place.source { counts[source]?.silent -= 1 }
    }

    /// Gives the place back; once.
    mutating func leave(_ place: HTTPPlace) {
        guard let source = place.source, var count = counts[source] else { return }
        count.open -= 1
        if place.isSilent { count.silent -= 1 }
        counts[source] = count.open > 0 ? count : nil
    }
}
