// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// How public addresses are written, for people and for frp.
package enum PublicAddress {
    /// `http://host`, with the port unless it is 80.
    package static func web(host: String, port: UInt16) -> String {
        "http://" + authority(host: host, port: port, standard: [80])
    }

    /// `https://host`, with the port unless it is 443.
    package static func secureWeb(host: String, port: UInt16) -> String {
        "https://" + secureAuthority(host: host, port: port)
    }

    /// The host, with the port unless it is 443.
    package static func secureAuthority(host: String, port: UInt16) -> String {
        authority(host: host, port: port, standard: [443])
    }

    /// `host:port`, with brackets around an IPv6 address.
    package static func endpoint(host: String, port: UInt16) -> String {
        authority(host: host, port: port, standard: [])
    }

    /// What frps answers for a name: the host, with the port unless it is 80 or 443.
    package static func frpName(host: String, port: UInt16) -> String {
        authority(host: host, port: port, standard: [80, 443])
    }

    private static func authority(host: String, port: UInt16, standard: Set<UInt16>) -> String {
        let name = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        return standard.contains(port) ? name : "\(name):\(port)"
    }
}
