// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditTunnel
import GRDB
package import NIOCore

/// A public port of one transport; the same number of the other is another port.
package struct PublicPort: Sendable, Hashable {
    /// The transport.
    package let kind: PortKind
    /// The number.
    package let number: UInt16

    /// Makes a port from its parts.
    package init(_ kind: PortKind, _ number: UInt16) {
        self.kind = kind
        self.number = number
    }
}

/// A public port that belongs to a device.
package struct PortLease: Sendable, Hashable {
    /// The port's transport.
    package let kind: PortKind
    /// The port's number.
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
    package init(
        kind: PortKind = .tcp,
        port: UInt16,
        device: String,
        deviceName: String,
        target: String,
        lastUsed: UnixTime
    ) {
        self.kind = kind
        self.port = port
        self.device = device
        self.deviceName = deviceName
        self.target = target
        self.lastUsed = lastUsed
    }

    init(row: Row) {
        kind = PortKind(rawValue: row["transport"]) ?? .tcp
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

    /// The ports that a device had for `target` in all of these transports, the last used first.
    package func stickyPorts(
        device: String,
        target: String,
        kinds: [PortKind] = [.tcp],
        on loop: any EventLoop
    ) -> EventLoopFuture<[UInt16]> {
        perform(on: loop) { database in
            try UInt16.fetchAll(
                database,
                sql: """
                    SELECT port FROM portLease WHERE device = ? AND target = ? AND (transport = ? OR transport = ?)
                    GROUP BY port HAVING count(*) = ? ORDER BY max(lastUsed) DESC, port
                    """,
                arguments: [device, target, kinds.first?.rawValue, kinds.last?.rawValue, kinds.count]
            )
        }
    }

    /// Gives a port to a device for a target, in these transports; whoever held it before loses it.
    ///
    /// The caller has bound the port, so nobody else uses it. Beyond the limit of ports a device may hold, its longest unused
    /// one is forgotten.
    package func keepPort(
        _ port: UInt16,
        kinds: [PortKind] = [.tcp],
        device: String,
        target: String,
        at now: UnixTime,
        on loop: any EventLoop
    ) -> EventLoopFuture<Void> {
        perform(on: loop) { database in
            for kind in kinds {
                try database.execute(
                    sql: """
                        INSERT OR REPLACE INTO portLease (port, transport, device, target, lastUsed)
                        VALUES (?, ?, ?, ?, ?)
                        """,
                    arguments: [port, kind.rawValue, device, target, now.seconds]
                )
            }
            try database.execute(
                sql: """
                    DELETE FROM portLease WHERE device = ? AND rowid NOT IN
                        (SELECT rowid FROM portLease WHERE device = ? ORDER BY lastUsed DESC, port = ? DESC LIMIT ?)
                    """,
                arguments: [device, device, port, LeaseTerms.portsPerDevice]
            )
        }
    }
}
