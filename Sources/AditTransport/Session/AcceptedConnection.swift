// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTunnel
import NIOCore

/// What the server knows about one accepted connection; lives on its event loop.
final class AcceptedConnection {
    /// How long the streams of a session that ended may take to say goodbye.
    private static let farewell = TimeAmount.milliseconds(500)

    let channel: any Channel
    let remoteAddress: IPEndpoint?
    var isTLS = false
    var isTLS13 = false
    var fingerprint: KeyFingerprint?
    var multiplexer: YamuxMultiplexer?
    /// Why the connection broke, when the multiplexer said so.
    var lostReason: SessionEnd?
    /// How many streams the peer opened before it logged in.
    var strangeStreams = 0
    /// The session that is open on it.
    weak var session: ServerSession?
    /// Whether a login has begun on it.
    var hasLogin = false
    private(set) var isAuthenticated = false
    private var isCounted = true
    private let shared: SessionAcceptor.Shared
    private var loginTimeout: Scheduled<Void>?

    /// Counts the connection in; nil when the gate is shut.
    init?(channel: any Channel, shared: SessionAcceptor.Shared) {
        self.channel = channel
        self.shared = shared
        remoteAddress = channel.remoteAddress.flatMap(IPEndpoint.init)
        guard shared.gate.enter(remoteAddress?.address) else { return nil }
        // First bytes, TLS, and then a login on some stream: twice the patience of each.
        let patience = TimeAmount.nanoseconds(shared.configuration.control.loginTimeout.wholeNanoseconds * 2)
        loginTimeout = channel.eventLoop.assumeIsolated().scheduleTask(in: patience) { [self] in
            if !isAuthenticated { channel.close(promise: nil) }
        }
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in
            loginTimeout?.cancel()
            loginTimeout = nil
            leaveGate()
        }
    }

    /// A login or a known run id was shown: the connection does not count as a stranger's any more.
    func authenticated() {
        guard !isAuthenticated else { return }
        isAuthenticated = true
        loginTimeout?.cancel()
        loginTimeout = nil
        leaveGate()
    }

    private func leaveGate() {
        guard isCounted else { return }
        isCounted = false
        shared.gate.leave(remoteAddress?.address)
    }

    /// Closes what a session lived on, after what was written to it.
    func end(control: (any Channel)?) {
        control?.close(promise: nil)
        guard let multiplexer else { return }
        multiplexer.shutdown()
        channel.eventLoop.scheduleTask(in: Self.farewell) { [channel] in channel.close(promise: nil) }
    }
}
