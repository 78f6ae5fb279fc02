// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import GRDB
package import NIOCore

extension Store {
    /// Every device that ever joined, members first, by name.
    package func devices() throws -> [DeviceRecord] {
        try performBlocking { try DeviceRecord.all(in: $0) }
    }

    /// Every device that ever joined, members first, by name.
    package func devices(on loop: any EventLoop) -> EventLoopFuture<[DeviceRecord]> {
        perform(on: loop) { try DeviceRecord.all(in: $0) }
    }

    /// The member called `name`; nil when there is none.
    func device(named name: String, on loop: any EventLoop) -> EventLoopFuture<DeviceRecord?> {
        perform(on: loop) { database in
            try Row.fetchOne(
                database,
                sql: "SELECT * FROM device WHERE name = ? AND removed IS NULL",
                arguments: [name]
            ).map(DeviceRecord.init)
        }
    }

    /// Notes that a device was connected at `now`.
    package func noteSeen(key: String, at now: UnixTime, on loop: any EventLoop) -> EventLoopFuture<Void> {
        perform(on: loop) { database in
            try database.execute(
                sql: "UPDATE device SET lastSeen = max(lastSeen, ?) WHERE key = ?",
                arguments: [now.seconds, key]
            )
        }
    }

    /// Removes the member called `name` and returns it; nil when there is none.
    ///
    /// Its names stay reserved for 90 days.
    package func removeDevice(named name: String, at now: UnixTime) throws -> DeviceRecord? {
        try performBlocking { database in
            guard
                let row = try Row.fetchOne(
                    database,
                    sql: "SELECT * FROM device WHERE name = ? AND removed IS NULL",
                    arguments: [name]
                )
            else { return nil }
            let device = DeviceRecord(row: row)
            try database.execute(
                sql: "UPDATE device SET removed = ? WHERE key = ?",
                arguments: [now.seconds, device.key]
            )
            try database.execute(
                sql: "UPDATE nameLease SET lastUsed = ? WHERE device = ?",
                arguments: [now.seconds, device.key]
            )
            try database.execute(sql: "DELETE FROM portLease WHERE device = ?", arguments: [device.key])
            return device
        }
    }
}
