// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditTunnel
import GRDB
package import NIOCore

/// A name that belongs to a device: a label under the server's domain, or a whole host name of the device's own.
package struct NameLease: Sendable, Hashable {
    /// A label such as `calm-otter`, or a host name such as `blog.example.com`, in lower case.
    package let name: String
    /// The device's public key in hexadecimal.
    package let device: String
    /// The device's name.
    package let deviceName: String
    /// What the name led to when it was last used.
    package let target: String
    /// When it was last in use.
    package var lastUsed: UnixTime
    /// When the owner removed the device; nil for a member.
    package let deviceRemoved: UnixTime?

    /// Makes a lease from its parts.
    package init(
        name: String,
        device: String,
        deviceName: String,
        target: String,
        lastUsed: UnixTime,
        deviceRemoved: UnixTime? = nil
    ) {
        self.name = name
        self.device = device
        self.deviceName = deviceName
        self.target = target
        self.lastUsed = lastUsed
        self.deviceRemoved = deviceRemoved
    }

    init(row: Row) {
        name = row["name"]
        device = row["device"]
        deviceName = row["deviceName"]
        target = row["target"]
        lastUsed = UnixTime(seconds: row["lastUsed"])
        deviceRemoved = (row["removed"] as Int64?).map { UnixTime(seconds: $0) }
    }

    static func find(name: String, in database: Database) throws -> NameLease? {
        try Row.fetchOne(database, sql: selection + " WHERE nameLease.name = ?", arguments: [name]).map(NameLease.init)
    }

    fileprivate static let selection = """
        SELECT nameLease.*, device.name AS deviceName, device.removed FROM nameLease
        JOIN device ON device.key = nameLease.device
        """
}

/// The answer to a claim of a name.
package enum NameClaim: Sendable, Equatable {
    /// It is the device's now.
    case granted
    /// It belongs to another device.
    case taken(by: NameLease)
    /// The device holds as many names as it may.
    case limitReached(Int)
}

extension Store {
    /// Every lease of a name, for the pages shown while a device is away.
    package func nameLeases(on loop: any EventLoop) -> EventLoopFuture<[NameLease]> {
        perform(on: loop) { database in
            try Row.fetchAll(database, sql: NameLease.selection).map(NameLease.init)
        }
    }

    /// The names that a device got for `target` without asking for one by name, the last used first.
    package func stickyNames(
        device: String,
        target: String,
        on loop: any EventLoop
    ) -> EventLoopFuture<[String]> {
        perform(on: loop) { database in
            try String.fetchAll(
                database,
                sql: """
                    SELECT name FROM nameLease WHERE device = ? AND target = ? AND wanted = 0
                    ORDER BY lastUsed DESC, name
                    """,
                arguments: [device, target]
            )
        }
    }

    /// Claims a name for a device, or renews its claim; a name that nobody used for 90 days is anybody's.
    package func claimName(
        _ name: String,
        device: String,
        target: String,
        wanted: Bool,
        at now: UnixTime,
        on loop: any EventLoop
    ) -> EventLoopFuture<NameClaim> {
        perform(on: loop) { database in
            if let lease = try NameLease.find(name: name, in: database) {
                if lease.device == device {
                    try database.execute(
                        sql: "UPDATE nameLease SET target = ?, wanted = min(wanted, ?), lastUsed = ? WHERE name = ?",
                        arguments: [target, wanted, now.seconds, name]
                    )
                    return .granted
                }
                guard lease.lastUsed + LeaseTerms.reservation <= now else { return .taken(by: lease) }
                try database.execute(sql: "DELETE FROM nameLease WHERE name = ?", arguments: [name])
            }
            let held =
                try Int.fetchOne(database, sql: "SELECT count(*) FROM nameLease WHERE device = ?", arguments: [device])
                ?? 0
            guard held < LeaseTerms.namesPerDevice else { return .limitReached(LeaseTerms.namesPerDevice) }
            try database.execute(
                sql: "INSERT INTO nameLease (name, device, target, wanted, lastUsed) VALUES (?, ?, ?, ?, ?)",
                arguments: [name, device, target, wanted, now.seconds]
            )
            return .granted
        }
    }

    /// The lease that keeps a name from others at `now`; nil when the name is free.
    package func holder(
        ofName name: String,
        at now: UnixTime,
        on loop: any EventLoop
    ) -> EventLoopFuture<NameLease?> {
        perform(on: loop) { database in
            guard let lease = try NameLease.find(name: name, in: database),
                lease.lastUsed + LeaseTerms.reservation > now
            else { return nil }
            return lease
        }
    }

    /// Notes that names and ports were in use until `now`.
    package func noteUsed(
        names: [String],
        ports: [PublicPort] = [],
        at now: UnixTime,
        on loop: any EventLoop
    ) -> EventLoopFuture<Void> {
        perform(on: loop) { database in
            for port in ports {
                try database.execute(
                    sql: "UPDATE portLease SET lastUsed = max(lastUsed, ?) WHERE port = ? AND transport = ?",
                    arguments: [now.seconds, port.number, port.kind.rawValue]
                )
            }
            for name in names {
                try database.execute(
                    sql: "UPDATE nameLease SET lastUsed = max(lastUsed, ?) WHERE name = ?",
                    arguments: [now.seconds, name]
                )
            }
        }
    }

    /// Forgets names, ports that were not used for 90 days.
    package func purgeLeases(at now: UnixTime, on loop: any EventLoop) -> EventLoopFuture<Void> {
        let limit = (now + LeaseTerms.reservation.negated).seconds
        return perform(on: loop) { database in
            try database.execute(sql: "DELETE FROM nameLease WHERE lastUsed <= ?", arguments: [limit])
            try database.execute(sql: "DELETE FROM portLease WHERE lastUsed <= ?", arguments: [limit])
        }
    }
}
