// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// The connections from a punching port to STUN servers (RFC 8489 section 6.2.2): they learn how the port is seen, and stay open so
/// that its mapping does.
struct PunchServerLinks: Sendable {
    /// The longest message that is read, in bytes.
    static let byteLimit = 4096

    private struct Link: Sendable {
        var server: Int
        var transaction: STUNTransaction?
        var pending: [UInt8] = []
    }

    private var links: [PunchSocketID: Link] = [:]
    private var mapped: [Int: IPEndpoint] = [:]
    private var waiting: Set<Int> = []

    /// How the servers see the port, in their order.
    var endpoints: [IPEndpoint] { mapped.sorted { $0.key < $1.key }.map(\.value) }
    /// Whether every server has answered or is lost.
    var isSettled: Bool { waiting.isEmpty }
    /// The connections, in their order.
    var ids: [PunchSocketID] { links.keys.sorted { $0.number < $1.number } }

    func owns(_ id: PunchSocketID) -> Bool { links[id] != nil }

    mutating func add(_ id: PunchSocketID, server: Int) {
        links[id] = Link(server: server)
        waiting.insert(server)
    }

    /// The connection is there; what is to be written to it.
    mutating func connected(
        _ id: PunchSocketID,
        _ remote: IPEndpoint,
        _ random: inout any RandomNumberGenerator & Sendable,
        at now: Instant
    ) -> [UInt8] {
        let isV6 = if case .v6 = remote.address { true } else { false }
        let request = STUNMessage.bindingRequest(STUNTransactionID(using: &random), isV6: isV6)
        var transaction = STUNTransaction(request, timing: .reliable, at: now)
        let bytes = transaction.nextTransmission(at: now) ?? []
        links[id]?.transaction = transaction
        return bytes
    }

    /// Bytes came; false when the server does not speak STUN, or its connection grows.
    mutating func take(_ bytes: [UInt8], _ id: PunchSocketID, at now: Instant) -> Bool {
        guard var link = links[id] else { return true }
        link.pending += bytes
        guard link.pending.count <= Self.byteLimit else { return false }
        defer { if links[id] != nil { links[id] = link } }
        while link.pending.count >= 4 {
            guard let count = try? STUNMessage.byteCount(inStream: link.pending.span.bytes, limit: Self.byteLimit)
            else { return false }
            guard link.pending.count >= count else { return true }
            let message = Array(link.pending.prefix(count))
            link.pending.removeFirst(count)
            guard let outcome = link.transaction?.handle(message.span.bytes, at: now) else { continue }
            if case .success(let answer, _) = outcome { mapped[link.server] = answer.mappedEndpoint }
            waiting.remove(link.server)
        }
        return true
    }

    mutating func remove(_ id: PunchSocketID) {
        guard let link = links.removeValue(forKey: id) else { return }
        waiting.remove(link.server)
    }
}
