// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditTunnel
import AditWire
package import Logging
package import NIOCore
import NIOSSL

/// Takes the connections of one session port: every framing, with and without TLS and multiplexing.
package final class SessionAcceptor: Sendable {
    /// What the server's owner decides about the port.
    package struct Configuration: Sendable {
        /// The rules of control streams.
        package var control = ServerControl.Configuration()
        /// How long the first bytes may take, and a TLS handshake.
        package var sniffTimeout = Duration.seconds(10)
        /// How many sessions may be open.
        package var maximumSessions = 10_000
        /// How many connections that have not logged in may be open, together and from one address.
        package var maximumStrangers = 1024
        /// See `maximumStrangers`.
        package var maximumStrangersPerAddress = 64
        /// How many failed logins an address has free.
        package var failedLoginBurst = 10
        /// The time after which one failed login is forgiven.
        package var failedLoginRecovery = Duration.seconds(6)
        /// How many streams one session may have open.
        package var maximumStreams = 8192
        /// The time between two pings of the multiplexer.
        package var muxPingInterval: Duration? = .seconds(10)
        /// How long the multiplexer waits for the answer to a ping.
        package var muxPingTimeout = Duration.seconds(5)
        /// Whether a connection without TLS is turned away (frp: transport.tls.force).
        package var requiresTLS = false

        /// Makes a configuration with the defaults; heartbeats are watched where there is no multiplexer, as in frps.
        package init() {
            control.heartbeatTimeout = .seconds(90)
        }
    }

    final class Shared: Sendable {
        let configuration: Configuration
        let policy: any ServerSessionPolicy
        let tls: ServerTLS?
        let httpInitializer: (@Sendable (any Channel) -> EventLoopFuture<Void>)?
        let tlsVisitors: TLSVisitors?
        let directory: SessionDirectory
        let gate: AcceptGate
        let random: RandomBytes
        let logger: Logger

        init(
            configuration: Configuration,
            policy: any ServerSessionPolicy,
            tls: ServerTLS?,
            httpInitializer: (@Sendable (any Channel) -> EventLoopFuture<Void>)?,
            tlsVisitors: TLSVisitors?,
            random: RandomBytes,
            logger: Logger
        ) {
            self.tlsVisitors = tlsVisitors
            self.configuration = configuration
            self.policy = policy
            self.tls = tls
            self.httpInitializer = httpInitializer
            directory = SessionDirectory(capacity: configuration.maximumSessions)
            gate = AcceptGate(
                maximumTotal: configuration.maximumStrangers,
                maximumPerAddress: configuration.maximumStrangersPerAddress,
                limiter: AttemptLimiter(
                    burst: configuration.failedLoginBurst,
                    recovery: configuration.failedLoginRecovery
                )
            )
            self.random = random
            self.logger = logger
        }
    }

    private let shared: Shared

    /// Makes an acceptor.
    ///
    /// - Parameters:
    ///   - tls: the server's certificate; nil turns TLS away.
    ///   - httpInitializer: prepares a connection that begins with a request of HTTP; nil turns it away.
    ///   - tlsVisitors: serves visitors' TLS connections; nil takes every TLS connection for a session's.
    package init(
        configuration: Configuration = Configuration(),
        policy: any ServerSessionPolicy,
        tls: ServerTLS?,
        httpInitializer: (@Sendable (any Channel) -> EventLoopFuture<Void>)? = nil,
        tlsVisitors: TLSVisitors? = nil,
        random: RandomBytes = .system,
        logger: Logger
    ) {
        shared = Shared(
            configuration: configuration,
            policy: policy,
            tls: tls,
            httpInitializer: httpInitializer,
            tlsVisitors: tlsVisitors,
            random: random,
            logger: logger
        )
    }

    /// How many sessions are open.
    package var sessionCount: Int { shared.directory.count }

    /// How many connections are open that have not logged in.
    package var strangerCount: Int { shared.gate.count }

    /// Every open session.
    package var sessions: [ServerSession] { shared.directory.all }

    /// Prepares an accepted connection; to be called as the child channel initializer of the listening socket.
    package func initialize(_ channel: any Channel) -> EventLoopFuture<Void> {
        channel.eventLoop.makeCompletedFuture { [shared] in
            guard let connection = AcceptedConnection(channel: channel, shared: shared) else {
                channel.close(promise: nil)
                return
            }
            let intake = ConnectionIntake(connection: connection, shared: shared)
            try channel.pipeline.syncOperations.addHandler(intake.sniffer(isOutermost: true))
        }
    }
}
