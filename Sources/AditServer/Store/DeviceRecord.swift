// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import GRDB

/// A device that joined.
package struct DeviceRecord: Sendable, Hashable {
    /// The device's public key, 64 lower-case hexadecimal digits.
    package let key: String
    /// The name by which people know it, unique among devices that are not removed.
    package let name: String
    /// When it joined.
    package let joined: UnixTime
    /// When it was last connected.
    package let lastSeen: UnixTime
    /// When the owner removed it; nil for a member.
    package let removed: UnixTime?
    /// Whether it came with the server's token and has to show it each time, instead of having joined by invite.
    package let isByToken: Bool

    init(row: Row) {
        key = row["key"]
        name = row["name"]
        joined = UnixTime(seconds: row["joined"])
        lastSeen = UnixTime(seconds: row["lastSeen"])
        removed = (row["removed"] as Int64?).map { UnixTime(seconds: $0) }
        isByToken = row["byToken"]
    }
}

extension DeviceRecord {
    static func find(key: String, in database: Database) throws -> DeviceRecord? {
        try Row.fetchOne(database, sql: "SELECT * FROM device WHERE key = ?", arguments: [key]).map(DeviceRecord.init)
    }

    static func all(in database: Database) throws -> [DeviceRecord] {
        try Row.fetchAll(database, sql: "SELECT * FROM device ORDER BY removed IS NOT NULL, name")
            .map(DeviceRecord.init)
    }

    /// Stores a device under `wantedName`, or under the first of `wantedName-2`, `-3` … that no member has.
    static func admit(
        key: String,
        wantedName: String,
        byToken: Bool,
        at now: UnixTime,
        in database: Database
    ) throws -> DeviceRecord {
        var name = wantedName
        var number = 1
        while try Bool.fetchOne(
            database,
            sql: "SELECT 1 FROM device WHERE name = ? AND removed IS NULL AND key <> ?",
            arguments: [name, key]
        ) != nil {
            number += 1
            name = "\(wantedName)-\(number)"
        }
        try database.execute(
            sql: """
                INSERT INTO device (key, name, joined, lastSeen, byToken) VALUES (?, ?, ?, ?, ?)
                ON CONFLICT (key) DO UPDATE SET name = excluded.name, lastSeen = excluded.lastSeen, removed = NULL,
                    byToken = excluded.byToken
                """,
            arguments: [key, name, now.seconds, now.seconds, byToken]
        )
        return DeviceRecord(
            row: [
                "key": key, "name": name, "joined": now.seconds, "lastSeen": now.seconds, "removed": nil,
                "byToken": byToken,
            ]
        )
    }
}
