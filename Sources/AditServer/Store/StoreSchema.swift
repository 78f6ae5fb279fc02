// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import GRDB

/// The tables, as a list of migrations that only ever grows.
///
/// Keys and digests are lower-case hexadecimal, times are Unix seconds.
enum StoreSchema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("devices") { database in
            try database.execute(
                sql: """
                    CREATE TABLE device (
                        key TEXT NOT NULL PRIMARY KEY,
                        name TEXT NOT NULL COLLATE NOCASE,
                        joined INTEGER NOT NULL,
                        lastSeen INTEGER NOT NULL,
                        removed INTEGER,
                        byToken INTEGER NOT NULL
                    ) STRICT;
                    CREATE UNIQUE INDEX deviceName ON device (name) WHERE removed IS NULL;
                    """
            )
        }
        migrator.registerMigration("invites") { database in
            try database.execute(
                sql: """
                    CREATE TABLE invite (
                        digest TEXT NOT NULL PRIMARY KEY,
                        label TEXT NOT NULL,
                        created INTEGER NOT NULL,
                        expires INTEGER NOT NULL,
                        usesAllowed INTEGER NOT NULL,
                        usesTaken INTEGER NOT NULL DEFAULT 0 CHECK (usesTaken <= usesAllowed)
                    ) STRICT;
                    CREATE TABLE inviteUse (
                        digest TEXT NOT NULL REFERENCES invite (digest) ON DELETE CASCADE,
                        device TEXT NOT NULL,
                        deviceName TEXT NOT NULL,
                        at INTEGER NOT NULL,
                        PRIMARY KEY (digest, device)
                    ) STRICT;
                    """
            )
        }
        migrator.registerMigration("leases") { database in
            try database.execute(
                sql: """
                    CREATE TABLE nameLease (
                        name TEXT NOT NULL PRIMARY KEY,
                        device TEXT NOT NULL REFERENCES device (key) ON DELETE CASCADE,
                        target TEXT NOT NULL,
                        wanted INTEGER NOT NULL,
                        lastUsed INTEGER NOT NULL
                    ) STRICT;
                    CREATE INDEX nameLeaseDevice ON nameLease (device, target);
                    CREATE TABLE portLease (
                        port INTEGER NOT NULL PRIMARY KEY,
                        device TEXT NOT NULL REFERENCES device (key) ON DELETE CASCADE,
                        target TEXT NOT NULL,
                        lastUsed INTEGER NOT NULL
                    ) STRICT;
                    CREATE INDEX portLeaseDevice ON portLease (device, target);
                    """
            )
        }
        migrator.registerMigration("settings") { database in
            try database.execute(
                sql: """
                    CREATE TABLE setting (
                        name TEXT NOT NULL PRIMARY KEY,
                        value TEXT NOT NULL
                    ) STRICT;
                    """
            )
        }
        migrator.registerMigration("ports of udp") { database in
            try database.execute(
                sql: """
                    CREATE TABLE newPortLease (
                        port INTEGER NOT NULL,
                        transport TEXT NOT NULL,
                        device TEXT NOT NULL REFERENCES device (key) ON DELETE CASCADE,
                        target TEXT NOT NULL,
                        lastUsed INTEGER NOT NULL,
                        PRIMARY KEY (port, transport)
                    ) STRICT;
                    INSERT INTO newPortLease (port, transport, device, target, lastUsed)
                        SELECT port, 'tcp', device, target, lastUsed FROM portLease;
                    DROP TABLE portLease;
                    ALTER TABLE newPortLease RENAME TO portLease;
                    CREATE INDEX portLeaseDevice ON portLease (device, target);
                    """
            )
        }
        return migrator
    }
}
