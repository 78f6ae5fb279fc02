// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire

/// A private service that a person offers to other devices of the server: where it leads, and which of them may come.
package struct ServiceOrder: Sendable, Hashable {
    /// What visitors speak.
    package enum Kind: String, Sendable, CaseIterable {
        case tcp
        case udp
        /// TCP and UDP on the same port.
        case game

        /// Whether a stream of that kind leads to the service.
        package func carries(_ kind: ServiceKind) -> Bool {
            switch self {
            case .tcp: kind == .tcp
            case .udp: kind == .udp
            case .game: true
            }
        }
    }

    /// What other devices call it, 1 to 64 bytes; unique in a process.
    package var name: String
    /// What visitors speak.
    package var kind: Kind
    /// Where it leads.
    package var target: TunnelTarget
    /// The devices that may come, by their names at the server; empty for every device of the server.
    package var allow: [String] = []
    /// The users of frp clients that may come, `*` for all; nil for a service of devices. A user is the client's own word.
    package var users: [String]?
    /// What visitors have to know beside being allowed; empty for nothing.
    package var secret = ""
    /// Hosts that may be the target although their address is refused by default.
    package var targetAllow: Set<String> = []
    /// How long a silent flow of datagrams is remembered; nil for a minute.
    package var idleTimeout: Duration?

    /// Makes an order with nothing but a target; its name comes from the port.
    package init(kind: Kind, target: TunnelTarget, name: String? = nil) {
        self.kind = kind
        self.target = target
        self.name = name ?? Self.defaultName(kind, target)
    }

    /// Whether a device of that name is on the list, or the user of a guest.
    package func names(_ device: String) -> Bool {
        guard let users else { return allow.isEmpty || allow.contains(device) }
        return users.contains("*") || FRPGuestName(device).map { users.contains($0.user) } ?? false
    }

    /// What a port is called, where everybody calls it so.
    package static let words: [String: UInt16] = [
        "ssh": 22, "rdp": 3389, "vnc": 5900, "smb": 445, "postgres": 5432, "mysql": 3306, "redis": 6379,
        "mongodb": 27017,
        "docker": 2375, "elasticsearch": 9200,
    ]

    /// `ssh` for port 22, else the port's own word or `tcp-8080`, with the host in front where that is another machine.
    package static func defaultName(_ kind: Kind, _ target: TunnelTarget) -> String {
        let word = kind == .udp ? nil : words.first { $0.value == target.port }?.key
        let name = kind == .game ? String(target.port) : word ?? "\(kind.rawValue)-\(target.port)"
        guard !target.isLoopback, kind != .game else { return name }
        let host = target.host.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
        return "\(String(host).prefix(40))-\(name)"
    }

    /// Reads `ssh` or another word of a port, else what `TunnelTarget` reads.
    ///
    /// - Throws: an `AditError` with `ErrorCode.usage` that shows the accepted forms.
    package static func target(parsing text: String) throws(AditError) -> TunnelTarget {
        if let port = words[text.lowercased()] { return TunnelTarget(scheme: .tcp, host: "localhost", port: port) }
        return try TunnelTarget(parsing: text, scheme: .tcp)
    }

    /// Whether a person can type it in `NAME/SERVICE`: letters, digits, `.`, `_` and `-`, at most 64.
    package static func isTypable(_ name: String) -> Bool {
        (1...ServiceRequest.nameByteLimit).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                    || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
            }
    }
}

/// A service of another device: `desk/ssh`.
package struct ServicePlace: Sendable, Hashable, CustomStringConvertible {
    /// The device's name at the server; empty for a private proxy of an frp client, which the server finds by its name.
    package var device: String
    /// The service's name there.
    package var service: String

    /// Makes a place from its parts.
    package init(device: String, service: String) {
        self.device = device
        self.service = service
    }

    /// Reads `NAME/SERVICE`; nil for any other text.
    package init?(_ text: String) {
        guard let slash = text.firstIndex(of: "/") else { return nil }
        device = String(text[..<slash])
        service = String(text[text.index(after: slash)...])
        guard (1...256).contains(device.utf8.count), ServiceRequest.isName(service) else { return nil }
    }

    /// `desk/ssh`; the service alone where nobody knows which device has it.
    package var description: String { device.isEmpty ? service : "\(device)/\(service)" }

    /// What to call the other end.
    package var owner: String { device.isEmpty ? service : device }
}
