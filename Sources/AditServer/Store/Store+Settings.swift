// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import GRDB

/// What `adit server init` settles once and every later start uses.
package struct ServerSettings: Sendable, Hashable {
    /// The domain under which names are given out, in lower case; nil when the server has none.
    package var domain: String?
    /// The address or name that devices and visitors use; nil means the domain.
    package var publicHost: String?

    /// Makes settings from their parts.
    package init(domain: String? = nil, publicHost: String? = nil) {
        self.domain = domain
        self.publicHost = publicHost
    }

    /// The domain in the spelling that is stored; nil for text that is no domain for names.
    package static func domain(reading text: String) -> String? {
        guard !text.contains(":"), !text.contains("*"), IPAddress(text) == nil, let host = HostName(text) else {
            return nil
        }
        return host.text
    }
}

extension Store {
    /// The settings; all nil when the server was never initialised.
    package func settings() throws -> ServerSettings {
        try performBlocking { database in
            ServerSettings(
                domain: try Self.setting("domain", in: database),
                publicHost: try Self.setting("publicHost", in: database)
            )
        }
    }

    /// Replaces the settings.
    package func save(_ settings: ServerSettings) throws {
        try performBlocking { database in
            for (name, value) in [("domain", settings.domain), ("publicHost", settings.publicHost)] {
                if let value {
                    try database.execute(
                        sql: "INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)",
                        arguments: [name, value]
                    )
                } else {
                    try database.execute(sql: "DELETE FROM setting WHERE name = ?", arguments: [name])
                }
            }
        }
    }

    private static func setting(_ name: String, in database: Database) throws -> String? {
        try String.fetchOne(database, sql: "SELECT value FROM setting WHERE name = ?", arguments: [name])
    }
}
