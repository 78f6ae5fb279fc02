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
/// A peer with a private address may be a forwarder before the server that keeps the ports of those it forwards, so that a
/// stranger would choose what is connected to in the server's own network; only public addresses are served, and this
/// machine's own at ports that programs get by chance. Each source may ask for so many in a minute, and all together, in
/// memory that does not grow.
package struct ConnectBackResponder: Sendable {
    /// How many connections a source may ask for in a minute: several machines behind one address look at their NAT at once.
    package static let limitPerMinute = 60
    /// How many connections all sources may ask for in a minute: each keeps a port of the server for about as long
    /// (TIME-WAIT, RFC 9293 section 3.6.1).
    package static let totalPerMinute = 4096
    /// How long a connection may take to come to be; there is no second try.
    package static let patience = Duration.seconds(3)
    /// How many connections may be coming to be at once, over all sources.
    package static let pendingLimit = 256
    /// Where the ports end that services have (RFC 6335 section 6).
    private static let systemPortEnd: UInt16 = 1024

    private let ownPorts: Set<UInt16>
    private var counts: [IPAddress: Int] = [:]
    private var total = 0
    private var minute: Instant?

    /// Makes it with nothing counted.
    ///
    /// - Parameter ownPorts: the ports that the server itself listens on.
    package init(ownPorts: Set<UInt16> = []) {
        self.ownPorts = ownPorts
    }

    /// What a request asks for, promised in its response; nil when it asks for nothing, or for more than there is or may be.
    ///
    /// - Parameters:
    ///   - source: the other end of the connection.
    ///   - own: the address of this machine that the connection came to.
    ///   - hasOtherAddress: whether the server has a second address of that family.
    ///   - response: the response as it would be without; an error is not changed, and promises nothing.
    package mutating func plan(
        for request: RawSpan,
        from source: IPEndpoint,
        at own: IPAddress,
        hasOtherAddress: Bool,
        now: Instant,
        promisedIn response: inout [UInt8]
    ) -> ConnectBackPlan? {
        guard Self.asks(request), isServed(source, at: own), let message = try? STUNMessage.decode(request),
            message.kind == .request, message.method == .binding, let test = ConnectBack.test(in: message),
            test == .port || hasOtherAddress, !message.isClassic, !message.hasFingerprint,
            Self.isSuccess(response), admit(source.address.source, at: now)
        else { return nil }
        var bytes: [UInt8] = []
        STUNMessage(.indication, transactionID: message.transactionID).encode(into: &bytes)
        Self.promise(test, in: &response)
        return ConnectBackPlan(isFromOtherAddress: test == .address, destination: source, bytes: bytes)
    }

    private func isServed(_ source: IPEndpoint, at own: IPAddress) -> Bool {
        let address = source.address.unmapped
        if address.isLoopback || address == own.unmapped {
            return source.port >= Self.systemPortEnd && !ownPorts.contains(source.port)
        }
        return source.port != 0 && AddressRealm(address) == .public
    }

    private static func isSuccess(_ response: [UInt8]) -> Bool {
        response.count >= STUNMessage.headerByteCount && response[0] == 0x01 && response[1] == 0x01
    }

    /// Adds the promise of a connection to a success response without FINGERPRINT.
    private static func promise(_ test: FilteringTest, in response: inout [UInt8]) {
        response.appendBigEndian(ConnectBack.type)
        response.appendBigEndian(UInt16(4))
        response.appendBigEndian(UInt32(test == .address ? 6 : 2))
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
            total = 0
        }
        let count = counts[source] ?? 0
        guard count < Self.limitPerMinute, total < Self.totalPerMinute else { return false }
        counts[source] = count + 1
        total += 1
        return true
    }
}
