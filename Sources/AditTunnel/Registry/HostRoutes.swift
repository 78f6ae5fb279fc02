// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// What selects a tunnel of HTTP: a host or a pattern, the beginning of a path, and a user of HTTP authentication.
package struct HostRoute: Hashable, Sendable, CustomStringConvertible {
    /// The host: a name, `*.parent` or `*`.
    package var host: HostName
    /// The path has to begin with this text; empty for every path.
    package var location: String
    /// The user of HTTP Basic authentication; empty for every user.
    package var user: String

    /// Makes a route from its parts.
    package init(host: HostName, location: String = "", user: String = "") {
        self.host = host
        self.location = location
        self.user = user
    }

    /// `host/location`, and the user when there is one.
    package var description: String {
        host.text + location + (user.isEmpty ? "" : " (user \(user))")
    }
}

/// The table that finds the tunnel for a request, as frps does.
///
/// The host is looked up exactly, then as `*.parent` for each parent down to three labels in the pattern (so
/// `*.com` never matches), at last as `*`. At each of these levels routes for the very user go before routes for every
/// user, and among them the longest location that the path begins with wins; a level without a match passes on to the
/// next.
package struct HostRoutes: Sendable {
    private struct Entry: Sendable {
        var location: String
        var user: String
        var tunnel: TunnelID
    }

    private var hosts: [String: [Entry]] = [:]

    /// How many routes there are.
    package private(set) var count = 0

    /// Makes an empty table.
    package init() {}

    /// Adds a route; false, and nothing changed, when the very same route exists.
    package mutating func insert(_ route: HostRoute, _ tunnel: TunnelID) -> Bool {
        var entries = hosts[route.host.text] ?? []
        guard !entries.contains(where: { $0.location == route.location && $0.user == route.user }) else { return false }
        let entry = Entry(location: route.location, user: route.user, tunnel: tunnel)
        let place = entries.firstIndex { $0.location.utf8.count < route.location.utf8.count } ?? entries.endIndex
        entries.insert(entry, at: place)
        hosts[route.host.text] = entries
        count += 1
        return true
    }

    /// Takes a route out; nil when there is none.
    @discardableResult
    package mutating func remove(_ route: HostRoute) -> TunnelID? {
        guard var entries = hosts[route.host.text],
            let index = entries.firstIndex(where: { $0.location == route.location && $0.user == route.user })
        else { return nil }
        let entry = entries.remove(at: index)
        hosts[route.host.text] = entries.isEmpty ? nil : entries
        count -= 1
        return entry.tunnel
    }

    /// The tunnel of exactly this route.
    package subscript(route: HostRoute) -> TunnelID? {
        hosts[route.host.text]?.first { $0.location == route.location && $0.user == route.user }?.tunnel
    }

    /// Every tunnel with a route on exactly this host or pattern.
    package func tunnels(on host: HostName) -> [TunnelID] {
        hosts[host.text]?.map(\.tunnel) ?? []
    }

    /// The host or pattern under which a host has routes, whatever their locations and users; nil when it has none.
    package func pattern(for host: HostName) -> String? {
        guard !host.text.utf8.contains(UInt8(ascii: "*")) else { return nil }
        if hosts[host.text] != nil { return host.text }
        var labels = host.labels[...]
        while labels.count >= 3 {
            labels = labels.dropFirst()
            let pattern = "*." + labels.joined(separator: ".")
            if hosts[pattern] != nil { return pattern }
        }
        return hosts["*"] == nil ? nil : "*"
    }

    /// The tunnel for a request; nil when no route matches.
    ///
    /// - Parameters:
    ///   - host: the request's host as it came, with or without a port.
    ///   - path: the request's path, beginning with `/`.
    ///   - user: the user of HTTP Basic authentication, if any.
    package func lookup(host: String, path: String, user: String?) -> TunnelID? {
        guard let name = HostName(host) else { return nil }
        return lookup(name, path: path, user: user)
    }

    /// The tunnel for a request; nil when no route matches.
    package func lookup(_ host: HostName, path: String, user: String?) -> TunnelID? {
        // A star in a request is no name: it must not reach a wildcard's own entry.
        guard !host.text.utf8.contains(UInt8(ascii: "*")) else { return nil }
        if let found = match(host.text, path, user) { return found }
        var labels = host.labels[...]
        while labels.count >= 3 {
            labels = labels.dropFirst()
            if let found = match("*." + labels.joined(separator: "."), path, user) { return found }
        }
        return match("*", path, user)
    }

    private func match(_ host: String, _ path: String, _ user: String?) -> TunnelID? {
        guard let entries = hosts[host] else { return nil }
        if let user, !user.isEmpty,
            let entry = entries.first(where: { $0.user == user && path.utf8.starts(with: $0.location.utf8) })
        {
            return entry.tunnel
        }
        return entries.first { $0.user.isEmpty && path.utf8.starts(with: $0.location.utf8) }?.tunnel
    }
}
