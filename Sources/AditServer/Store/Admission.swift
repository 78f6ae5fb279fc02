// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import GRDB
package import NIOCore

/// What the store says about a device that has proven its key.
package enum Admission: Sendable, Equatable {
    /// It is a member; `isNew` when it became one just now.
    case member(name: String, isNew: Bool)
    /// It is not a member and brought neither an invite nor a token.
    case unknown
    /// The owner removed it.
    case removed(at: UnixTime)
    /// The invite is used up; who took the last use, and when.
    case inviteUsed(by: String, at: UnixTime, usesAllowed: Int)
    /// The invite's time was over at `at`.
    case inviteExpired(at: UnixTime)
    /// No such invite was made here.
    case inviteWrong
    /// The server has as many members as it may.
    case full(limit: Int)
}

/// What a device brings beside its proven key.
package enum Credential: Sendable, Equatable {
    /// Nothing: it has to be a member already.
    case none
    /// An invite, as the lower-case hexadecimal SHA-256 of its secret.
    case invite(digest: String)
    /// A token whose proof was checked.
    case token
}

/// An invite as the owner sees it; the secret itself is never stored.
package struct InviteRecord: Sendable, Hashable {
    /// The lower-case hexadecimal SHA-256 of the secret.
    package let digest: String
    /// What the owner called it, or empty.
    package let label: String
    /// When it stops working.
    package let expires: UnixTime
    /// How many devices may join with it.
    package let usesAllowed: Int
    /// How many did.
    package let usesTaken: Int
}

extension Store {
    /// How many members a server has at most.
    package static let memberLimit = 10_000

    /// Stores a new invite and forgets invites that expired more than 90 days ago.
    package func addInvite(
        digest: String,
        label: String,
        expires: UnixTime,
        usesAllowed: Int,
        at now: UnixTime
    ) throws {
        try performBlocking { database in
            try database.execute(
                sql: "DELETE FROM invite WHERE expires < ?",
                arguments: [(now + LeaseTerms.reservation.negated).seconds]
            )
            try database.execute(
                sql: "INSERT INTO invite (digest, label, created, expires, usesAllowed) VALUES (?, ?, ?, ?, ?)",
                arguments: [digest, label, now.seconds, expires.seconds, usesAllowed]
            )
        }
    }

    /// Invites that still work at `now`, the soonest to expire first.
    package func openInvites(at now: UnixTime) throws -> [InviteRecord] {
        try performBlocking { database in
            try Row.fetchAll(
                database,
                sql: "SELECT * FROM invite WHERE expires > ? AND usesTaken < usesAllowed ORDER BY expires",
                arguments: [now.seconds]
            ).map {
                InviteRecord(
                    digest: $0["digest"],
                    label: $0["label"],
                    expires: UnixTime(seconds: $0["expires"]),
                    usesAllowed: $0["usesAllowed"],
                    usesTaken: $0["usesTaken"]
                )
            }
        }
    }

    /// Decides whether a device that has proven `key` is let in, and takes one use of its invite if that is what lets it in.
    ///
    /// It is one transaction: of two devices that bring the last use of an invite at once, exactly one gets it.
    package func admit(
        key: String,
        wantedName: String,
        credential: Credential,
        at now: UnixTime,
        on loop: any EventLoop
    ) -> EventLoopFuture<Admission> {
        perform(on: loop) { database in
            let device = try DeviceRecord.find(key: key, in: database)
            if let device, device.removed == nil, !device.isByToken || credential == .token {
                try database.execute(
                    sql: "UPDATE device SET lastSeen = ? WHERE key = ?",
                    arguments: [now.seconds, key]
                )
                return .member(name: device.name, isNew: false)
            }
            let members =
                try Int.fetchOne(database, sql: "SELECT count(*) FROM device WHERE removed IS NULL") ?? 0
            guard credential == .none || members < Self.memberLimit else { return .full(limit: Self.memberLimit) }
            switch credential {
            case .none:
                return device?.removed.map { .removed(at: $0) } ?? .unknown
            case .token:
                // A shared token does not undo the owner's removal of one device: only a new invite does.
                if let removed = device?.removed { return .removed(at: removed) }
            case .invite(let digest):
                if let refusal = try Self.takeUse(of: digest, by: key, named: wantedName, at: now, in: database) {
                    return refusal
                }
            }
            let admitted = try DeviceRecord.admit(
                key: key,
                wantedName: wantedName,
                byToken: credential == .token,
                at: now,
                in: database
            )
            return .member(name: admitted.name, isNew: true)
        }
    }

    /// Takes one use; the reason when there is none to take.
    private static func takeUse(
        of digest: String,
        by key: String,
        named name: String,
        at now: UnixTime,
        in database: Database
    ) throws -> Admission? {
        guard
            let invite = try Row.fetchOne(database, sql: "SELECT * FROM invite WHERE digest = ?", arguments: [digest])
        else { return .inviteWrong }
        let usesTaken: Int = invite["usesTaken"]
        let usesAllowed: Int = invite["usesAllowed"]
        let expires = UnixTime(seconds: invite["expires"])
        guard usesTaken < usesAllowed else {
            let last = try Row.fetchOne(
                database,
                sql: "SELECT deviceName, at FROM inviteUse WHERE digest = ? ORDER BY at DESC, rowid DESC LIMIT 1",
                arguments: [digest]
            )
            return .inviteUsed(
                by: last?["deviceName"] ?? "",
                at: UnixTime(seconds: last?["at"] ?? now.seconds),
                usesAllowed: usesAllowed
            )
        }
        guard now < expires else { return .inviteExpired(at: expires) }
        try database.execute(
            sql: "UPDATE invite SET usesTaken = usesTaken + 1 WHERE digest = ? AND usesTaken < usesAllowed",
            arguments: [digest]
        )
        guard database.changesCount == 1 else { return .inviteWrong }
        try database.execute(
            sql: "INSERT OR REPLACE INTO inviteUse (digest, device, deviceName, at) VALUES (?, ?, ?, ?)",
            arguments: [digest, key, name, now.seconds]
        )
        return nil
    }
}

extension Duration {
    var negated: Duration { .zero - self }
}
