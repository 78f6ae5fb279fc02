// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// The ports that a server gives out, and which of them an owner had before.
///
/// It does not know which ports are in use: that is the registry's and the operating system's knowledge and comes as
/// a closure.
package struct PortPool: Sendable {
    /// How long a port that was given out at random stays the favourite of its owner's tunnel: 24 hours, as in frps.
    package static let preferenceLifetime = Duration.seconds(24 * 3600)
    /// How many such preferences are remembered; the oldest goes first.
    package static let maximumPreferences = 4096

    private struct Preference: Sendable {
        var port: UInt16
        var until: Instant
    }

    private let ranges: [ClosedRange<UInt16>]
    private var preferences: [String: Preference] = [:]

    /// Makes a pool of the given ranges; an empty list means every port from 1.
    package init(ranges: [ClosedRange<UInt16>]) {
        self.ranges = ranges.isEmpty ? [1...UInt16.max] : ranges
    }

    /// Whether the pool may give the port to someone who asks for it by number.
    package func contains(_ port: UInt16) -> Bool {
        port != 0 && ranges.contains { $0.contains(port) }
    }

    /// Chooses a port for a tunnel that asks for any: its earlier one when that is free, else a random one.
    ///
    /// A port that browsers refuse is never chosen. The random start comes from `generator`; from there the whole pool
    /// is walked, so that nil means that there is no free port at all.
    package mutating func choose(
        for tunnel: String,
        at now: Instant,
        using generator: inout SeededGenerator,
        isFree: (UInt16) -> Bool
    ) -> UInt16? {
        if let preference = preferences[tunnel] {
            if preference.until > now, contains(preference.port), isFree(preference.port) {
                remember(preference.port, for: tunnel, at: now)
                return preference.port
            }
            preferences[tunnel] = nil
        }
        guard let port = free(from: Int(generator.next() % UInt64(size)), count: 1, isFree).first else { return nil }
        remember(port, for: tunnel, at: now)
        return port
    }

    /// Free ports close to one that was refused, nearest first, to offer instead of it.
    package func alternatives(to port: UInt16, count: Int = 3, isFree: (UInt16) -> Bool) -> [UInt16] {
        free(from: position(of: port), count: count, isFree)
    }

    /// Makes `port` the one that the tunnel gets next time.
    package mutating func remember(_ port: UInt16, for tunnel: String, at now: Instant) {
        if preferences[tunnel] == nil, preferences.count >= Self.maximumPreferences {
            preferences = preferences.filter { $0.value.until > now }
            if preferences.count >= Self.maximumPreferences,
                let oldest = preferences.min(by: { $0.value.until < $1.value.until })
            {
                preferences[oldest.key] = nil
            }
        }
        preferences[tunnel] = Preference(port: port, until: now + Self.preferenceLifetime)
    }

    private var size: Int { ranges.reduce(0) { $0 + $1.count } }

    private func position(of port: UInt16) -> Int {
        var before = 0
        for range in ranges {
            if range.contains(port) { return before + Int(port - range.lowerBound) }
            before += range.count
        }
        return 0
    }

    private func port(at position: Int) -> UInt16 {
        var rest = position % size
        for range in ranges {
            if rest < range.count { return range.lowerBound + UInt16(rest) }
            rest -= range.count
        }
        return 0
    }

    private func free(from start: Int, count: Int, _ isFree: (UInt16) -> Bool) -> [UInt16] {
        var found: [UInt16] = []
        for step in 0..<size where found.count < count {
            let candidate = port(at: start + step)
            if candidate != 0, !NotablePorts.blockedByBrowsers.contains(candidate), isFree(candidate) {
                found.append(candidate)
            }
        }
        return found
    }
}
