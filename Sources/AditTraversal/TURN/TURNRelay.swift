// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

/// A TURN server's core (RFC 8656): allocations, permissions, channels and what is relayed through them.
///
/// It owns no socket: a driver hands in what clients and peers send, and performs the outputs. Data has a path without
/// copies: `forward` and `deliver` work on the driver's buffer and say which bytes of it go where.
package struct TURNRelay: Sendable {
    /// How many bytes a buffer has to have before the bytes that are given to `forward` or `deliver`.
    package static let headroom = 48
    /// How many bytes a buffer has to have behind them.
    package static let tailroom = 3

    /// What is allowed; changes count from the next request on.
    package var configuration: TURNRelayConfiguration
    /// What was done so far.
    package private(set) var counters = TURNRelayCounters()
    /// The Unix time at the driver's `Instant.zero`, in seconds: credentials expire by it.
    package var unixSecondsAtZero: Int64
    private var outputs: [TURNRelayOutput] = []

    /// Makes a relay without allocations.
    ///
    /// - Parameter random: a generator that others cannot predict: keys of nonces, reservation tokens.
    package init(
        _ configuration: TURNRelayConfiguration,
        unixSecondsAtZero: Int64,
        random: any RandomNumberGenerator & Sendable
    ) {
        self.configuration = configuration
        self.unixSecondsAtZero = unixSecondsAtZero
    }

    /// When `timer(at:)` is to be called; nil for never.
    package var nextDeadline: Instant? { nil }

    /// What is to be done next; nil when there is nothing until the next input.
    package mutating func nextOutput() -> TURNRelayOutput? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    /// Takes a message of a client: a datagram, or one message of its connection (see `ChannelData.byteCount(inStream:)`).
    package mutating func handle(_ bytes: RawSpan, from client: TURNClientTuple, at now: Instant) {
    }

    /// Forwards ChannelData or a Send indication in `buffer[message]`, around which there is `headroom` and `tailroom`.
    package mutating func forward(
        _ buffer: inout MutableRawSpan,
        _ message: Range<Int>,
        from client: TURNClientTuple,
        at now: Instant
    ) -> TURNForward {
        .control
    }

    /// Frames a peer's datagram in `buffer[payload]`, around which there is `headroom` and `tailroom`, for the client.
    package mutating func deliver(
        _ buffer: inout MutableRawSpan,
        _ payload: Range<Int>,
        from peer: IPEndpoint,
        on relay: TURNRelayID,
        at now: Instant
    ) -> TURNForward {
        .dropped
    }

    /// Takes a peer's datagram, as `deliver` does, with an output instead of bytes in place.
    package mutating func received(_ bytes: RawSpan, from peer: IPEndpoint, on relay: TURNRelayID, at now: Instant) {
    }

    /// Takes an ICMP error about a datagram of a relay's socket (RFC 8656 section 11.5).
    package mutating func refused(_ refusal: SocketRefusal, on relay: TURNRelayID, at now: Instant) {
    }

    /// A relay's socket is open, and is announced as `relayed`; the kept one, if any, has the port above.
    package mutating func opened(_ relay: TURNRelayID, at relayed: IPEndpoint, now: Instant) {
    }

    /// A relay's socket could not be opened.
    package mutating func notOpened(_ relay: TURNRelayID, now: Instant) {
    }

    /// A client's connection is over: its allocation ends with it.
    package mutating func disconnected(_ client: TURNClientTuple, at now: Instant) {
    }

    /// Ends every allocation of a device, whose credentials are not to be valid any more.
    package mutating func release(device: String, at now: Instant) {
    }

    /// The deadline passed.
    package mutating func timer(at now: Instant) {
    }

    /// A nonce to be given to a device at login, which saves it the round trip of the first 401.
    package func nonce(for username: String, at now: Instant) -> String {
        ""
    }

    /// How many allocations there are.
    package var allocationCount: Int { 0 }

    /// How many allocations each device has, and what was relayed for it.
    package var devices: [TURNDeviceUsage] { [] }
}
