// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

/// CONNECT-BACK, Adit's own attribute (docs/wire.md, STUN): asks a server to connect over TCP to where the request came from.
enum ConnectBack {
    /// The number of the attribute, among those that need not be understood.
    static let type: UInt16 = 0xFAD3

    /// The attribute, with the flags of CHANGE-REQUEST (RFC 5780 section 7.2).
    static func attribute(_ test: FilteringTest) -> STUNAttribute {
        .other(type: type, [0, 0, 0, test == .address ? 6 : 2])
    }

    /// What a message asks or promises; nil when it has no such attribute.
    static func test(in message: STUNMessage) -> FilteringTest? {
        for case .other(type, let value) in message.attributes where value.count == 4 {
            if value[3] & 4 != 0 { return .address }
            if value[3] & 2 != 0 { return .port }
        }
        return nil
    }
}

/// The connection that a server makes to a client that asked for one.
package struct ConnectBackPlan: Sendable, Equatable {
    /// Whether it comes from the server's other address; else from the same one, and from a port that no service has.
    package var isFromOtherAddress: Bool
    /// To whom: where the request came from, and nowhere else.
    package var destination: IPEndpoint
    /// What to write once it is there; then it is closed.
    package var bytes: [UInt8]
}

/// Decides which requests over TCP a server answers with a connection of its own (CONNECT-BACK).
///
/// Only the peer of a connection is connected to, at the very port that it connects from: it has proven that it is there.
/// Each source may ask for so many in a minute, in memory that does not grow.
package struct ConnectBackResponder: Sendable {
    /// How many connections a source may ask for in a minute.
    package static let limitPerMinute = 16
    /// How many sources are remembered; a minute in which there are more serves no further ones.
    package static let sourceLimit = 4096
    /// How long a connection may take to come to be; there is no second try.
    package static let patience = Duration.seconds(3)
    /// How many connections may be coming to be at once, over all sources.
    package static let pendingLimit = 64

    private var counts: [IPAddress: Int] = [:]
    private var minute: Instant?

    /// Makes it with nothing counted.
    package init() {}

    /// What a request asks for; nil when it asks for nothing, or for more than there is or may be.
    ///
    /// - Parameters:
    ///   - source: the other end of the connection.
    ///   - hasOtherAddress: whether the server has a second address of that family.
    package mutating func plan(
        for request: RawSpan,
        from source: IPEndpoint,
        hasOtherAddress: Bool,
        now: Instant
    ) -> ConnectBackPlan? {
        guard source.port != 0, Self.asks(request), let message = try? STUNMessage.decode(request),
            message.kind == .request, message.method == .binding, let test = ConnectBack.test(in: message),
            test == .port || hasOtherAddress, message.unknownRequiredTypes.isEmpty, !message.hasFingerprint,
            admit(source.address.source, at: now)
        else { return nil }
        var bytes: [UInt8] = []
        STUNMessage(.indication, transactionID: message.transactionID).encode(into: &bytes)
        return ConnectBackPlan(isFromOtherAddress: test == .address, destination: source, bytes: bytes)
    }

    /// Adds the promise of a connection to a success response, which must not end in FINGERPRINT.
    package static func promise(_ plan: ConnectBackPlan, in response: inout [UInt8]) {
        guard response.count >= STUNMessage.headerByteCount, response[0] == 0x01, response[1] == 0x01 else { return }
        response.appendBigEndian(ConnectBack.type)
        response.appendBigEndian(UInt16(4))
        response.appendBigEndian(UInt32(plan.isFromOtherAddress ? 6 : 2))
        let length = response.count - STUNMessage.headerByteCount
        response[2] = UInt8(truncatingIfNeeded: length >> 8)
        response[3] = UInt8(truncatingIfNeeded: length)
    }

    /// Whether a message has the attribute, found out without making a `STUNMessage`.
    private static func asks(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount > STUNMessage.headerByteCount else { return false }
        var walk = STUNAttributeWalk()
        while let field = try? walk.next(in: bytes) {
            if field.type == ConnectBack.type { return true }
        }
        return false
    }

    private mutating func admit(_ source: IPAddress, at now: Instant) -> Bool {
        if minute.map({ now - $0 >= .seconds(60) }) ?? true {
            minute = now
            counts.removeAll(keepingCapacity: true)
        }
        let count = counts[source] ?? 0
        guard count < Self.limitPerMinute, count > 0 || counts.count < Self.sourceLimit else { return false }
        counts[source] = count + 1
        return true
    }
}
