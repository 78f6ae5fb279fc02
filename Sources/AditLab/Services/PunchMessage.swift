// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

/// What the punching hosts of the lab say to the rendezvous and to each other: 58 bytes over both transports.
///
/// ```
/// 0      4     5     6      7      8       10
/// ┌──────┬─────┬─────┬──────┬──────┬───────┬───────────────────────────┐
/// │ pair │kind │site │flags │count │ pause │ up to 8 × address + port  │
/// └──────┴─────┴─────┴──────┴──────┴───────┴───────────────────────────┘
/// ```
package struct PunchMessage: Sendable, Hashable {
    /// What it is for.
    package enum Kind: UInt8, Sendable {
        /// To the rendezvous: here are my addresses.
        case hello = 1
        /// From the rendezvous: these are your peer's addresses, begin.
        case go = 2
        /// To the peer: do you hear me?
        case probe = 3
        /// To the peer: I heard you just now.
        case answer = 4
        /// To the peer through the rendezvous: this is my address.
        case tell = 5
        /// To the peer through the rendezvous: my NAT is open, begin to search.
        case opened = 6
    }

    /// How many bytes every message has.
    package static let byteCount = 58

    /// The number of the pair, so that nobody else's packets are taken for the peer's.
    package var pair: UInt32
    /// What it is for.
    package var kind: Kind
    /// Who sends it, or for `go` to whom it is sent.
    package var site: SiteName
    /// Whether the sender has heard the peer.
    package var hasHeard = false
    /// Whether the sender knows that both directions work.
    package var isDone = false
    /// How much later the peer is told to begin, in milliseconds; only for `go`.
    package var pause: UInt16 = 0
    /// Addresses, at most eight: for `hello` the one that the server saw, the host's own, and samples of the ports of a burst;
    /// for `go` the peer's two, the receiver's own that the server saw, and the peer's samples.
    package var addresses: [IPEndpoint] = []

    /// Makes a message.
    package init(pair: UInt32, _ kind: Kind, site: SiteName) {
        self.pair = pair
        self.kind = kind
        self.site = site
    }

    /// Reads a message; nil when the bytes are none.
    package init?(_ bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == Self.byteCount, let kind = Kind(rawValue: bytes[4]), bytes[5] < 2, bytes[7] <= 8 else {
            return nil
        }
        let number = { (start: Int, count: Int) in
            bytes[start..<start + count].reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        }
        pair = number(0, 4)
        self.kind = kind
        site = bytes[5] == 0 ? .a : .b
        hasHeard = bytes[6] & 1 != 0
        isDone = bytes[6] & 2 != 0
        pause = UInt16(number(8, 2))
        addresses = (0..<Int(bytes[7])).map { index in
            IPEndpoint(.v4(number(10 + 6 * index, 4)), UInt16(number(14 + 6 * index, 2)))
        }
    }

    /// The 58 bytes; addresses of IPv6 are left out.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: pair >> UInt32(shift))) }
        bytes += [kind.rawValue, site == .a ? 0 : 1, (hasHeard ? 1 : 0) | (isDone ? 2 : 0), 0]
        bytes += [UInt8(pause >> 8), UInt8(truncatingIfNeeded: pause)]
        for endpoint in addresses.prefix(8) {
            guard case .v4(let number) = endpoint.address else { continue }
            bytes[7] += 1
            for shift in [24, 16, 8, 0] { bytes.append(UInt8(truncatingIfNeeded: number >> UInt32(shift))) }
            bytes += [UInt8(endpoint.port >> 8), UInt8(truncatingIfNeeded: endpoint.port)]
        }
        bytes += Array(repeating: 0, count: Self.byteCount - bytes.count)
        return bytes
    }
}

/// Cuts a stream into messages.
struct PunchMessageStream: Sendable {
    private var pending: [UInt8] = []

    /// The messages that are now whole; nil when the stream holds something else.
    mutating func take(_ bytes: [UInt8]) -> [PunchMessage]? {
        pending += bytes
        var messages: [PunchMessage] = []
        while pending.count >= PunchMessage.byteCount {
            guard let message = PunchMessage(pending.prefix(PunchMessage.byteCount)) else { return nil }
            messages.append(message)
            pending.removeFirst(PunchMessage.byteCount)
        }
        return messages
    }
}
