// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

/// One private service of a device's configuration file, for other devices alone.
package struct ServiceConfiguration: Sendable, Equatable {
    /// What visitors speak.
    package enum Kind: String, Sendable, Hashable, CaseIterable {
        case tcp
        case udp
        /// TCP and UDP on the same port.
        case game
    }

    /// What visitors speak.
    package var kind = Kind.tcp
    /// Where it leads, as written: `ssh`, a port, or `host:port`.
    package var target: String
    /// What other devices call it; nil for the name that comes from the port.
    package var name: String?
    /// The devices that may come, by their names at the server; empty for every device of the server.
    package var allow: [String] = []
    /// What visitors have to know beside being allowed; empty for nothing.
    package var secret = ""
    /// How long a silent flow of UDP is remembered; nil for a minute.
    package var idle: Duration?
    /// Where the service stands in the file.
    package var position: SourcePosition

    /// Makes a service with the defaults of every key but its target.
    package init(target: String, position: SourcePosition = .start) {
        self.target = target
        self.position = position
    }
}
