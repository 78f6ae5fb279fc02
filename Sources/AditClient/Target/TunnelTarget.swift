// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What a tunnel leads to: a port of this machine, or of another that this machine can reach.
package struct TunnelTarget: Hashable, Sendable, CustomStringConvertible {
    /// What the target speaks.
    package enum Scheme: String, Sendable {
        case tcp
        case http
        case https
    }

    /// What the target speaks.
    package var scheme: Scheme
    /// A DNS name or an IP address without brackets; `localhost` when only a port was said.
    package var host: String
    /// The port, 1 to 65535.
    package var port: UInt16

    /// Makes a target from its parts.
    package init(scheme: Scheme, host: String, port: UInt16) {
        self.scheme = scheme
        self.host = host
        self.port = port
    }

    /// Reads `3000`, `:3000`, `host:port`, `[::1]:port`, and for web names `http://host[:port]` and `https://host[:port]`.
    ///
    /// - Throws: an `AditError` with `ErrorCode.usage` that shows the accepted forms.
    package init(parsing text: String, scheme: Scheme) throws(AditError) {
        var spoken = scheme
        var rest = Substring(text)
        var defaultPort: UInt16?
        for candidate in [Scheme.http, .https, .tcp] where text.lowercased().hasPrefix(candidate.rawValue + "://") {
            guard (candidate == .tcp) == (scheme == .tcp) else { throw Self.unreadable(text, scheme) }
            spoken = candidate
            rest = rest.dropFirst(candidate.rawValue.count + 3)
            if rest.hasSuffix("/") { rest = rest.dropLast() }
            defaultPort = candidate == .http ? 80 : candidate == .https ? 443 : nil
        }
        if rest.hasPrefix(":") { rest = rest.dropFirst() }
        if !rest.isEmpty, rest.utf8.allSatisfy({ (48...57).contains($0) }) {
            guard let port = UInt16(rest), port > 0 else { throw Self.unreadable(text, scheme) }
            self.init(scheme: spoken, host: "localhost", port: port)
            return
        }
        guard let place = HostPort(String(rest), defaultPort: defaultPort) else { throw Self.unreadable(text, scheme) }
        self.init(scheme: spoken, host: place.host.lowercased(), port: place.port)
    }

    /// The `http://` target that an `h2c://` one means, whose app speaks cleartext HTTP/2; nil for any other text.
    package static func http2Place(_ text: String) -> String? {
        let scheme = "h2c://"
        return text.lowercased().hasPrefix(scheme) ? "http://" + text.dropFirst(scheme.count) : nil
    }

    /// Whether the target is this machine by its loopback address.
    package var isLoopback: Bool {
        host == "localhost" || host.hasSuffix(".localhost") || IPAddress(host)?.isLoopback == true
    }

    /// The host and the port, as the `Host` header of a request to the target has them (RFC 9110 section 7.2).
    package var authority: String {
        let bracketed = host.contains(":") ? "[\(host)]" : host
        let isDefault = (scheme == .http && port == 80) || (scheme == .https && port == 443)
        return isDefault ? bracketed : "\(bracketed):\(port)"
    }

    /// `http://localhost:3000` for web targets, `localhost:22` for others.
    package var description: String {
        scheme == .tcp ? HostPort(host: host, port: port).description : "\(scheme.rawValue)://\(authority)"
    }

    /// The word after `adit http` or `adit tcp` that means this target: a port alone where it is on this machine.
    package var argument: String {
        if scheme == .https { return description }
        return host == "localhost" ? String(port) : HostPort(host: host, port: port).description
    }

    private static func unreadable(_ text: String, _ scheme: Scheme) -> AditError {
        let shown = String(text.prefix(80))
        let forms =
            scheme == .tcp
            ? "22 · 192.168.1.5:22 · [::1]:22" : "3000 · localhost:3000 · http://localhost:3000 · [::1]:3000"
        return AditError(
            .usage,
            Text("\"\(shown)\" is not a place to forward to", zh: "“\(shown)” 不是可以转发到的地址"),
            why: [Text("a target is one of: \(forms)", zh: "目标可以写成：\(forms)")],
            fix: Text(verbatim: scheme == .tcp ? "adit tcp 22" : "adit http 3000")
        )
    }
}
