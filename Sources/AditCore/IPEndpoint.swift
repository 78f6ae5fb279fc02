// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// An IP address and a port of TCP or UDP.
package struct IPEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// The address.
    package var address: IPAddress
    /// The port; 0 means that none was chosen.
    package var port: UInt16

    /// Makes an endpoint from its parts.
    package init(_ address: IPAddress, _ port: UInt16) {
        self.address = address
        self.port = port
    }

    /// `203.0.113.7:80` or `[2001:db8::1]:80`.
    package var description: String {
        switch address {
        case .v4: "\(address):\(port)"
        case .v6: "[\(address)]:\(port)"
        }
    }
}

/// A host, by name or by address, and a port.
package struct HostPort: Hashable, Sendable, CustomStringConvertible {
    /// A DNS name or an IP address, without brackets.
    package var host: String
    /// The port, 1 to 65535.
    package var port: UInt16

    /// Makes it from its parts.
    package init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `[v6]:port`, or, when `defaultPort` is given, a host alone; nil for anything else.
    package init?(_ text: String, defaultPort: UInt16? = nil) {
        var host = Substring(text)
        var port = defaultPort
        if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { return nil }
            host = text[text.index(after: text.startIndex)..<close]
            guard IPAddress(host) != nil else { return nil }
            let rest = text[text.index(after: close)...]
            if !rest.isEmpty {
                guard rest.first == ":", let number = Self.port(rest.dropFirst()) else { return nil }
                port = number
            }
        } else if let colon = text.lastIndex(of: ":") {
            if text.firstIndex(of: ":") == colon {
                guard let number = Self.port(text[text.index(after: colon)...]) else { return nil }
                host = text[..<colon]
                port = number
            } else {
                guard IPAddress(text) != nil else { return nil }
            }
        }
        guard let port, !host.isEmpty, host.utf8.count <= 253,
            host.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "@") })
        else { return nil }
        self.init(host: String(host), port: port)
    }

    /// `host:port`, with brackets around an IPv6 address.
    package var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }

    private static func port(_ text: Substring) -> UInt16? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }), let port = UInt16(text), port > 0 else {
            return nil
        }
        return port
    }
}
