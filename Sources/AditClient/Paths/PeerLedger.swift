// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCrypto
package import AditWire

/// Signs what this run says to other devices, and decides which of what others say was really said by them, now, to this run.
///
/// The server in between can drop signals. It cannot make one, change one, give one to another device, or bring one back:
/// each is signed for its receiver, and an envelope that does not name this run by its epoch is taken once, within ten minutes,
/// and only while nothing is known that does.
package struct PeerLedger: Sendable {
    /// What a signal turned out to be.
    package enum Verdict: Sendable, Equatable {
        /// It is the device's, and new.
        case accepted(PeerMessage)
        /// It is the device's, and may be an old one: the device is asked to say it again, with this run's epoch.
        case unproven(PeerMessage)
        /// It is not what it says.
        case refused(Refusal)
    }

    /// Why a signal is not taken.
    package enum Refusal: Sendable, Hashable {
        /// Its fields cannot be those of a signal.
        case malformed
        /// Another key than this one, which the device had before, signs for the name.
        case keyChanged(known: KeyFingerprint, now: KeyFingerprint)
        /// The signature is not the key's, or was made for another receiver or server.
        case forged
        /// It came before.
        case replayed
    }

    private struct Peer: Sendable {
        var key: [UInt8]
        /// Its epoch; 0 while it is not known.
        var epoch: UInt64 = 0
        /// Whether an envelope of that epoch named ours.
        var isProven = false
        var window = ReplayWindow()
        var lastUse: UInt64 = 0
    }

    /// How far the clocks of two devices may be apart for a first signal to be taken without a question, in seconds.
    package static let patience: Int64 = 600
    private static let capacity = 512

    private let key: DeviceKey
    private let own: [UInt8]
    private let epoch: UInt64
    private var peers: [PeerRun: Peer] = [:]
    private var sent: UInt64 = 0
    private var uses: UInt64 = 0
    /// The name of this device at the server; empty before the login.
    package var ownName = ""
    /// The fingerprint of the server's key, 32 bytes.
    package var server = [UInt8](repeating: 0, count: 32)

    /// Makes an empty ledger; `epoch` is a random number that is not 0.
    package init(key: DeviceKey, epoch: UInt64) {
        self.key = key
        own = KeyFingerprint(of: key.publicKey.bytes).bytes
        self.epoch = max(1, epoch)
    }

    /// How many runs of devices it knows.
    package var count: Int { peers.count }

    /// Signs a payload for a device; nil when it is longer than an envelope's limit, or there is no way to sign.
    ///
    /// - Parameters:
    ///   - receiver: the fingerprint of the receiver's key, nil while it is not known.
    ///   - time: now, in Unix seconds.
    ///   - echo: the run that it is for; nil for the one that was heard last.
    package mutating func seal(
        _ payload: [UInt8],
        for name: String,
        run: String,
        receiver: KeyFingerprint?,
        time: Int64,
        echo: UInt64? = nil
    ) -> AditPeerSignal? {
        guard payload.count <= PeerEnvelope.payloadLimit else { return nil }
        sent += 1
        let envelope = PeerEnvelope(
            epoch: epoch,
            echo: echo ?? peers[PeerRun(name: name, run: run)]?.epoch ?? 0,
            number: sent,
            time: time,
            receiver: receiver?.bytes ?? [],
            payload: payload
        )
        let body = envelope.encode()
        let input = PeerEnvelope.signatureInput(
            sender: key.publicKey.bytes,
            server: server,
            receiver: name,
            body: body
        )
        guard let signature = try? key.sign(input) else { return nil }
        return AditPeerSignal(peer: name, run: run, body: body, signature: signature)
    }

    /// Judges a signal that the server says is of `signal.peer`.
    ///
    /// - Parameters:
    ///   - known: the fingerprint of the key that the name had before; nil at the first time.
    ///   - time: now, in Unix seconds.
    package mutating func open(_ signal: AditPeerSignal, known: KeyFingerprint?, time: Int64) -> Verdict {
        guard signal.isWellFormed, let sender = try? DevicePublicKey(bytes: signal.key) else {
            return .refused(.malformed)
        }
        let fingerprint = KeyFingerprint(of: sender.bytes)
        if let known, known != fingerprint { return .refused(.keyChanged(known: known, now: fingerprint)) }
        let input = PeerEnvelope.signatureInput(
            sender: sender.bytes,
            server: server,
            receiver: ownName,
            body: signal.body
        )
        guard sender.verify(signature: signal.signature, of: input) else { return .refused(.forged) }
        guard let envelope = try? PeerEnvelope.decode(signal.body) else { return .refused(.malformed) }
        guard !envelope.namesReceiver || envelope.receiver == own else { return .refused(.forged) }
        let place = PeerRun(name: signal.peer, run: signal.run)
        var peer = peers[place] ?? Peer(key: sender.bytes)
        if peer.key != sender.bytes { peer = Peer(key: sender.bytes) }
        let namesThisRun = envelope.echo == epoch
        let message = PeerMessage(
            name: signal.peer,
            run: signal.run,
            key: fingerprint,
            publicKey: sender.bytes,
            epoch: envelope.epoch,
            isNewRun: envelope.epoch != peer.epoch,
            namesThisRun: namesThisRun,
            payload: envelope.payload
        )
        let isNear = envelope.echo == 0 && Self.areNear(time, envelope.time)
        guard namesThisRun || (isNear && !peer.isProven) else { return .unproven(message) }
        if envelope.epoch != peer.epoch {
            peer.epoch = envelope.epoch
            peer.isProven = false
            peer.window = ReplayWindow()
        }
        guard peer.window.take(envelope.number) else { return .refused(.replayed) }
        if namesThisRun { peer.isProven = true }
        keep(peer, place)
        return .accepted(message)
    }

    private static func areNear(_ one: Int64, _ other: Int64) -> Bool {
        let (distance, isFar) = one.subtractingReportingOverflow(other)
        return !isFar && distance.magnitude <= UInt64(patience)
    }

    /// Forgets a run of a device; the next signal of it counts as the first.
    package mutating func forget(_ name: String, run: String) {
        peers[PeerRun(name: name, run: run)] = nil
    }

    private mutating func keep(_ peer: Peer, _ place: PeerRun) {
        uses += 1
        var peer = peer
        peer.lastUse = uses
        peers[place] = peer
        guard peers.count > Self.capacity, let oldest = peers.min(by: { $0.value.lastUse < $1.value.lastUse }) else {
            return
        }
        peers[oldest.key] = nil
    }
}

/// What another device said.
package struct PeerMessage: Sendable, Equatable {
    /// The device's name at the server.
    package var name: String
    /// The run of it that said so.
    package var run: String
    /// The fingerprint of its key, which signed.
    package var key: KeyFingerprint
    /// The key itself, 32 bytes.
    package var publicKey: [UInt8]
    /// Names its run, a random number.
    package var epoch: UInt64
    /// Whether it is the first that is heard of that run.
    package var isNewRun: Bool
    /// Whether it was said to this very run of this device.
    package var namesThisRun: Bool
    /// What it said; empty when it only shows itself.
    package var payload: [UInt8]
}

/// Which numbers of a sender came: each is taken once, those far behind the highest not at all.
struct ReplayWindow: Sendable, Equatable {
    private var highest: UInt64 = 0
    private var seen: UInt64 = 0

    /// Takes a number from 1; false when it came before or is more than 63 behind.
    mutating func take(_ number: UInt64) -> Bool {
        guard number > 0 else { return false }
        if number > highest {
            let distance = number - highest
            seen = distance < 64 ? seen << distance | 1 : 1
            highest = number
            return true
        }
        let behind = highest - number
        guard behind < 64, seen & (1 << behind) == 0 else { return false }
        seen |= 1 << behind
        return true
    }
}
