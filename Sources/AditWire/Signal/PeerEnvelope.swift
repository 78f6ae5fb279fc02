// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore

/// What a device signs for another: a payload, and what makes a copy of it worthless (docs/wire.md, Signals between devices).
///
/// `epoch` names the sender's run for its receivers and `number` counts in it. `echo` is the receiver's epoch as the sender
/// last heard it: a receiver that finds its own there knows that the envelope was made for this very run of it.
package struct PeerEnvelope: Sendable, Equatable {
    /// The only version.
    package static let version: UInt8 = 1
    /// The bytes before the payload.
    package static let headerByteCount = 1 + 8 + 8 + 8 + 8 + 32
    /// The longest payload, in bytes.
    package static let payloadLimit = AditPeerSignal.bodyLimit - headerByteCount

    /// The sender's run, a random number that is not 0.
    package var epoch: UInt64
    /// The receiver's epoch; 0 while the sender does not know it.
    package var echo: UInt64
    /// Counts the envelopes of an epoch to this receiver, from 1.
    package var number: UInt64
    /// When it was made, in Unix seconds by the sender's clock.
    package var time: Int64
    /// The SHA-256 of the receiver's public key, 32 bytes; all zero while the sender does not know it.
    package var receiver: [UInt8]
    /// A `PathSignal`, or nothing: then it only tells the epoch.
    package var payload: [UInt8]

    /// Makes an envelope from its fields; a receiver that has not 32 bytes counts as not known.
    package init(
        epoch: UInt64,
        echo: UInt64 = 0,
        number: UInt64,
        time: Int64,
        receiver: [UInt8] = [],
        payload: [UInt8] = []
    ) {
        self.epoch = epoch
        self.echo = echo
        self.number = number
        self.time = time
        self.receiver = receiver.count == 32 ? receiver : [UInt8](repeating: 0, count: 32)
        self.payload = payload
    }

    /// Whether the receiver's key is named.
    package var namesReceiver: Bool { receiver.contains { $0 != 0 } }

    /// The bytes of the body of a signal.
    package func encode() -> [UInt8] {
        var bytes: [UInt8] = [Self.version]
        bytes.reserveCapacity(Self.headerByteCount + payload.count)
        bytes.appendBigEndian(epoch)
        bytes.appendBigEndian(echo)
        bytes.appendBigEndian(number)
        bytes.appendBigEndian(UInt64(bitPattern: time))
        bytes += receiver
        bytes += payload
        return bytes
    }

    /// Reads the body of a signal.
    ///
    /// - Throws: `WireError.truncated` when it is shorter than the header, `length` when the payload is over the limit,
    ///   `invalidField` for another version, an epoch or a number of 0.
    package static func decode(_ bytes: [UInt8]) throws(WireError) -> PeerEnvelope {
        guard bytes.count >= headerByteCount else {
            throw .truncated(expected: headerByteCount, found: bytes.count)
        }
        guard bytes.count - headerByteCount <= payloadLimit else {
            throw .length(Int64(bytes.count - headerByteCount), limit: payloadLimit)
        }
        let span = unsafe bytes.span.bytes
        let found = span.byte(at: 0)
        guard found == version else { throw .invalidField(offset: 0, found: UInt64(found)) }
        let envelope = PeerEnvelope(
            epoch: span.bigEndianUInt64(at: 1),
            echo: span.bigEndianUInt64(at: 9),
            number: span.bigEndianUInt64(at: 17),
            time: Int64(bitPattern: span.bigEndianUInt64(at: 25)),
            receiver: Array(bytes[33..<65]),
            payload: Array(bytes[65...])
        )
        guard envelope.epoch != 0 else { throw .invalidField(offset: 1, found: 0) }
        guard envelope.number != 0 else { throw .invalidField(offset: 17, found: 0) }
        return envelope
    }

    /// What the sender's key signs: who says it, at which server, to whom, and the body of the signal.
    ///
    /// - Parameters:
    ///   - sender: the sender's public key, 32 bytes.
    ///   - server: the fingerprint of the server's key, 32 bytes; zero bytes without TLS.
    ///   - receiver: the receiver's name at the server, at most 256 bytes.
    package static func signatureInput(
        sender: [UInt8],
        server: [UInt8],
        receiver: String,
        body: [UInt8]
    ) -> [UInt8] {
        var bytes = Array("adit peer signal v1".utf8) + [0]
        bytes += sender
        bytes += server
        bytes.appendBigEndian(UInt16(clamping: receiver.utf8.count))
        bytes += Array(receiver.utf8)
        bytes += body
        return bytes
    }
}
