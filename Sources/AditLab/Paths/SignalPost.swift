// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
package import AditTraversal
internal import AditWire

/// The server's part in signalling: it carries messages between devices, in order, as bytes.
///
/// Sessions are TCP connections, on which a lost packet costs time and nothing else; what is sent while a session is down is
/// lost.
package final class SignalPost {
    /// How long TCP takes to send a lost segment again.
    static let retransmission = Duration.milliseconds(220)
    /// How many messages wait between two devices.
    static let limit = 256

    private let lab: Lab
    private let scenario: PathScenario
    private var random: SeededGenerator
    private var readers: [PathPeerID: (PathSignal, PathPeerID) -> Void] = [:]
    private var lastArrivals: [PathPeerID: Instant] = [:]
    private var waiting = 0
    /// How many messages were handed in.
    package private(set) var count = 0
    /// How many bytes they had.
    package private(set) var byteCount = 0
    /// How many were longer than the wire allows or did not decode to what was sent.
    package private(set) var faultCount = 0
    /// What happens to each message on its way, for hostile plays: the messages that arrive in its place.
    package var tamper: ((PathSignal, _ from: PathPeerID, _ to: PathPeerID) -> [PathSignal])?

    /// Makes a post office for the devices of a scenario.
    package init(_ scenario: PathScenario, in lab: Lab) {
        self.lab = lab
        self.scenario = scenario
        random = lab.generator(for: 6 << 32)
    }

    /// Hands messages for a device to `read`.
    package func deliver(to device: PathPeerID, _ read: @escaping (PathSignal, PathPeerID) -> Void) {
        readers[device] = read
    }

    /// Carries a message.
    package func carry(_ signal: PathSignal, from sender: PathPeerID, to receiver: PathPeerID) {
        count += 1
        let bytes = signal.bytes
        byteCount += bytes.count
        guard bytes.count <= PathSignal.byteLimit, let arrived = try? PathSignal.decode(bytes.span.bytes),
            arrived == signal
        else {
            faultCount += 1
            return
        }
        let age = lab.now - .zero
        guard !scenario.outages.contains(where: { $0.contains(age) }), waiting < Self.limit else { return }
        for message in tamper?(arrived, sender, receiver) ?? [arrived] { post(message, from: sender, to: receiver) }
    }

    private func post(_ signal: PathSignal, from sender: PathPeerID, to receiver: PathPeerID) {
        var delay = scenario.base.latency * 2 + scenario.base.jitter * Int(2 * random.nextFraction())
        for _ in 0..<2 {
            while scenario.base.loss > 0, random.nextFraction() < scenario.base.loss { delay += Self.retransmission }
        }
        let arrival = max(lab.now + delay, lastArrivals[receiver] ?? .zero)
        lastArrivals[receiver] = arrival
        waiting += 1
        lab.at(arrival) { [self] in
            waiting -= 1
            readers[receiver]?(signal, sender)
        }
    }
}
