// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire
import Logging
import NIOCore
import NIOSSL

/// Puts the handlers on an accepted connection, layer by layer, as its bytes ask for them.
final class ConnectionIntake {
    /// A peer that has not logged in needs one stream for that; a few more are harmless.
    private static let maximumStrangeStreams = 8

    private let connection: AcceptedConnection
    private let shared: SessionAcceptor.Shared
    /// How many streams of one connection may end without a first frame, beyond those that brought one.
    private static let maximumWastedStreams = 1024
    /// So many streams to other devices that were turned away are forgiven for each one that was not.
    private static let refusedStreamsForgiven = 64
    /// A peer that breaks the protocol on every stream is not worth a line in the log for each.
    private static let maximumLogLines = 5

    private let patience: TimeAmount
    private let firstFrames: FirstFrameWait
    private var logLines = 0
    /// How many streams to other devices were turned away, less some for each one that was not.
    private var refusedStreams = 0
    private var wastedStreams = 0

    init(connection: AcceptedConnection, shared: SessionAcceptor.Shared) {
        self.connection = connection
        self.shared = shared
        patience = .nanoseconds(shared.configuration.sniffTimeout.wholeNanoseconds)
        firstFrames = FirstFrameWait(eventLoop: connection.channel.eventLoop, patience: patience)
    }

    func sniffer(isOutermost: Bool) -> SniffHandler {
        SniffHandler(patience: patience) { [self] found, handler in
            do {
                return try serve(found, isOutermost: isOutermost, after: handler)
            } catch {
                shared.logger.warning("a connection could not be prepared", metadata: ["error": "\(error)"])
                return false
            }
        }
    }

    private func serve(_ found: FirstBytes, isOutermost: Bool, after handler: SniffHandler) throws -> Bool {
        let pipeline = connection.channel.pipeline.syncOperations
        switch found {
        case .tls, .markedTLS:
            guard isOutermost else { return false }
            if found == .tls, let visitors = shared.tlsVisitors {
                try pipeline.addHandler(chooser(visitors), position: .after(handler))
                return true
            }
            return try beginTLS(behind: handler)
        case .http:
            guard isOutermost, let initializer = shared.httpInitializer else { return false }
            // A visitor of a name is not a stranger to the session port; HTTP has limits of its own.
            connection.authenticated()
            initializer(connection.channel).whenFailure { [channel = connection.channel] _ in
                channel.close(promise: nil)
            }
            return true
        case .yamux, .v1, .v2:
            guard connection.isTLS || !shared.configuration.requiresTLS else { return false }
            if connection.isTLS {
                connection.isTLS13 = try connection.channel.pipeline.syncOperations.nioSSL_tlsVersion() == .tlsv13
            }
            if found == .yamux {
                try multiplex(after: handler)
            } else {
                try pipeline.addHandler(opening(on: connection.channel), position: .after(handler))
            }
            return true
        case .undecided, .unknown:
            return false
        }
    }

    /// Ends a session's TLS; false when there is no certificate for that.
    private func beginTLS(behind handler: any ChannelHandler) throws -> Bool {
        guard let tls = shared.tls else { return false }
        let (tlsHandler, fingerprint) = tls.makeHandler()
        connection.isTLS = true
        connection.fingerprint = fingerprint
        try connection.channel.pipeline.syncOperations.addHandlers(
            [tlsHandler, TLSCloseHandler(), sniffer(isOutermost: false)],
            position: .after(handler)
        )
        return true
    }

    /// Tells visitors from sessions by the ClientHello.
    private func chooser(_ visitors: TLSVisitors) -> ClientHelloHandler {
        ClientHelloHandler(patience: patience) { [self] found, handler in
            if case .success(let hello) = found, visitors.claims(hello) {
                // A visitor is not a stranger to the session port; those who serve it count their own.
                connection.authenticated()
                return visitors.serve(hello, connection.channel, handler)
            }
            do {
                return try beginTLS(behind: handler) ? .serve : .drop
            } catch {
                shared.logger.warning("a connection could not be prepared", metadata: ["error": "\(error)"])
                return .drop
            }
        }
    }

    private func multiplex(after handler: SniffHandler) throws {
        var configuration = YamuxConfiguration()
        configuration.pingInterval = shared.configuration.muxPingInterval
        configuration.pingTimeout = shared.configuration.muxPingTimeout
        configuration.maximumStreams = shared.configuration.maximumStreams
        let bound = NIOLoopBound(self, eventLoop: connection.channel.eventLoop)
        let yamux = YamuxHandler(role: .server, configuration: configuration) { stream in
            stream.eventLoop.makeCompletedFuture { try bound.value.accept(stream) }
        }
        let watcher = ConnectionWatcher { [connection] event in
            if case .failed(let failure) = event { connection.lostReason = .connectionLost("\(failure)") }
        }
        try connection.channel.pipeline.syncOperations.addHandlers([yamux, watcher], position: .after(handler))
        connection.multiplexer = yamux.multiplexer
    }

    private func accept(_ stream: any Channel) throws {
        if !connection.isAuthenticated {
            connection.strangeStreams += 1
            guard connection.strangeStreams <= Self.maximumStrangeStreams else {
                connection.channel.close(promise: nil)
                return
            }
        }
        guard firstFrames.hasRoom else {
            wasteStream()
            throw YamuxStreamError.tooManyStreams
        }
        try stream.pipeline.syncOperations.addHandler(opening(on: stream))
    }

    /// Ends a connection whose streams come to nothing one after the other: each costs much more here than there.
    private func wasteStream() {
        wastedStreams += 1
        guard wastedStreams == Self.maximumWastedStreams else { return }
        connection.lostReason = .protocolBroken("too many streams came to nothing")
        connection.channel.close(promise: nil)
    }

    /// Ends a session that goes on opening streams to other devices, although it may open no more.
    private func refuseStream() {
        refusedStreams += 1
        guard refusedStreams == Self.maximumWastedStreams else { return }
        connection.lostReason = .protocolBroken("too many streams to other devices")
        connection.channel.close(promise: nil)
    }

    private func opening(on channel: any Channel) -> FirstFrameHandler {
        FirstFrameHandler(
            framing: .either,
            wait: firstFrames,
            onFrame: { [self] frame, version, handler in
                wastedStreams = max(0, wastedStreams - 1)
                do {
                    try begin(frame, version, handler, on: channel)
                } catch {
                    refuse(channel, "\(error)")
                }
            },
            onEnd: { [self] reason in
                wasteStream()
                if case .protocolBroken(let detail) = reason { log(detail) }
            }
        )
    }

    private func begin(
        _ frame: FRPFrame,
        _ version: FRPWireVersion,
        _ opening: FirstFrameHandler,
        on channel: any Channel
    ) throws {
        let pipeline = channel.pipeline.syncOperations
        switch frame {
        case .clientHello, .message(.login):
            // One login for each connection, so that the bounds on connections bound the guesses too.
            guard !connection.hasLogin else { return refuse(channel, "a second login on one connection") }
            connection.hasLogin = true
            let control = ServerControlHandler(
                connection: connection,
                shared: shared,
                version: version,
                at: Instant(channel.eventLoop.now)
            )
            try pipeline.addHandler(control, position: .after(opening))
            control.begin(frame)
            opening.release()
        case .message(.newWorkConnection(let message)):
            guard let session = shared.directory.find(message.runID) else {
                shared.gate.recordFailure(connection.remoteAddress?.address, at: Instant(channel.eventLoop.now))
                return refuse(channel, "a work connection for an unknown run id")
            }
            connection.authenticated()
            try pipeline.addHandler(EarlyDataHandler(), position: .after(opening))
            let idle = IdleWorkConnection(channel: channel, version: version, opening: opening, random: shared.random)
            session.offer(idle, message)
        case .message(.peerStream(let message)):
            guard let session = connection.session, session.features.contains(.services) else {
                return refuse(channel, "a stream to another device that was not agreed on")
            }
            try pipeline.addHandler(EarlyDataHandler(), position: .after(opening))
            opening.release()
            if shared.policy.peerStream(message, channel: channel, from: session) {
                refusedStreams = max(0, refusedStreams - Self.refusedStreamsForgiven)
            } else {
                refuseStream()
            }
        case .message(.newVisitorConnection(let message)):
            let response = FRPNewVisitorConnectionResponse(
                proxyName: message.proxyName,
                error: "private services (stcp, sudp, xtcp) are not offered by this server"
            )
            let bytes = try WorkPipeline.bytes(.newVisitorConnectionResponse(response), version, withMagic: false)
            channel.writeAndFlush(bytes).whenComplete { _ in channel.close(promise: nil) }
        default:
            refuse(channel, "a first message that does not belong here")
        }
    }

    private func refuse(_ channel: any Channel, _ detail: String) {
        log(detail)
        channel.close(promise: nil)
    }

    private func log(_ detail: String) {
        logLines += 1
        guard logLines <= Self.maximumLogLines else { return }
        var details: Logger.Metadata = ["reason": "\(detail)"]
        if let address = connection.remoteAddress { details["address"] = "\(address)" }
        shared.logger.info("connection refused", metadata: details)
    }
}
