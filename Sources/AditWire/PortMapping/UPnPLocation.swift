// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// Where a router's description is: an address and port, and a path there.
///
/// A description may name URLs. Only those on the very address and port that it came from are followed; a router, or whoever
/// plays one, could otherwise make this machine send requests to others in its name.
package struct UPnPLocation: Sendable, Hashable {
    /// The address and port.
    package var endpoint: IPEndpoint
    /// The path and query, beginning with a slash.
    package var path: String

    /// The longest URL, in bytes.
    package static var byteLimit: Int { 512 }

    /// Makes it from its parts.
    package init(endpoint: IPEndpoint, path: String) {
        self.endpoint = endpoint
        self.path = path
    }

    /// Reads `http://address:port/path`; nil for another scheme, a name in place of an address, a user, or anything else.
    package init?(_ text: String) {
        guard text.utf8.count <= Self.byteLimit, let rest = Self.afterScheme(text) else { return nil }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
        guard let authority = HostPort(String(rest[..<end]), defaultPort: 80), let address = IPAddress(authority.host),
            let path = Self.path(rest[end...])
        else { return nil }
        self.init(endpoint: IPEndpoint(address, authority.port), path: path)
    }

    /// The path that a reference of the description leads to, nil when it leads to another address, port or scheme.
    ///
    /// `base` is the description's URLBase, which counts only when it is on the same address and port.
    package func resolve(_ reference: String, base: String? = nil) -> UPnPLocation? {
        guard reference.utf8.count <= Self.byteLimit, !reference.isEmpty else { return nil }
        if reference.hasPrefix("//") || Self.hasScheme(reference) {
            guard let absolute = UPnPLocation(reference), absolute.endpoint == endpoint else { return nil }
            return absolute
        }
        if reference.hasPrefix("/") {
            return Self.path(Substring(reference)).map { UPnPLocation(endpoint: endpoint, path: $0) }
        }
        var folder = path
        if let base, !base.isEmpty {
            guard let location = UPnPLocation(base), location.endpoint == endpoint else { return nil }
            folder = location.path
        }
        folder = String(folder.prefix { $0 != "?" })
        let slash = folder.lastIndex(of: "/") ?? folder.startIndex
        return Self.path(Substring(folder[...slash] + reference)).map { UPnPLocation(endpoint: endpoint, path: $0) }
    }

    private static func afterScheme(_ text: String) -> Substring? {
        let scheme = "http://"
        guard text.utf8.count > scheme.utf8.count, text.prefix(scheme.count).lowercased() == scheme else { return nil }
        return text.dropFirst(scheme.count)
    }

    private static func hasScheme(_ text: String) -> Bool {
        let head = text.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        return head.contains(":")
    }

    /// The path without a fragment, when it is printable ASCII without space.
    private static func path(_ text: Substring) -> String? {
        var path = String(text.prefix { $0 != "#" })
        if !path.hasPrefix("/") { path = "/" + path }
        guard path.utf8.count <= byteLimit, path.utf8.allSatisfy({ $0 > 32 && $0 < 127 }) else { return nil }
        return path
    }
}
