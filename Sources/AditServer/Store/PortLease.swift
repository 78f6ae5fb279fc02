// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import GRDB
package import NIOCore

/// A public port that belongs to a device.
package struct PortLease: Sendable, Hashable {
    /// The port of TCP.
    package let port: UInt16
    /// The device's public key in hexadecimal.
    package let device: String
    /// The device's name.
    package let deviceName: String
    /// What the port led to when it was last used.
    package let target: String
    /// When it was last in use.
    package let lastUsed: UnixTime

    /// Makes a lease from its parts.
    package init(port: UInt16, device: String, deviceName: String, target: String, lastUsed: UnixTime) {
        self.port = port
        self.device = device
        self.deviceName = deviceName
        self.target = target
        self.lastUsed = lastUsed
    }

    init(row: Row) {
        port = row["port"]
        device = row["device"]
        deviceName = row["deviceName"]
        target = row["target"]
        lastUsed = UnixTime(seconds: row["lastUsed"])
    }
}

extension Store {
    /// Every lease of a port, the longest unused first.
    package func portLeases(on loop: any EventLoop) -> EventLoopFuture<[PortLease]> {
        perform(on: loop) { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT portLease.*, device.name AS deviceName FROM portLease
                    JOIN device ON device.key = portLease.device ORDER BY lastUsed, port
                    """
            ).map(PortLease.init)
        }
    }

    /// The ports that a device had for `target`, the last used first.
    package func stickyPorts(
        device: String,
        target: String,
        on loop: any EventLoop
    ) -> EventLoopFuture<[UInt16]> {
        perform(on: loop) { database in
            try UInt16.fetchAll(
                database,
                sql: "SELECT port FROM portLease WHERE device = ? AND target = ? ORDER BY lastUsed DESC, port",
                arguments: [device, target]
            )
        }
    }

    /// Gives a port to a device for a target; whoever held it before loses it.
    ///
    /// The caller has bound the port, so nobody else uses it. Beyond the limit of ports a device may hold, its longest unused
    /// one is forgotten.
    package func keepPort(
        _ port: UInt16,
        device: String,
        target: String,
        at now: UnixTime,
        on loop: any EventLoop
    ) -> EventLoopFuture<Void> {
        perform(on: loop) { database in
            try database.execute(
                sql: "INSERT OR REPLACE INTO portLease (port, device, target, lastUsed) VALUES (?, ?, ?, ?)",
                arguments: [port, device, target, now.seconds]
            )
            try database.execute(
                sql: """
                    DELETE FROM portLease WHERE device = ? AND port NOT IN
                        (SELECT port FROM portLease WHERE device = ? ORDER BY lastUsed DESC, port = ? DESC LIMIT ?)
                    """,
                arguments: [device, device, port, LeaseTerms.portsPerDevice]
            )
        }
    }
}
