// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditCrypto
import AditTransport
import AditTunnel
package import AditWire
package import Logging
package import NIOCore

/// Joins a server once with an invite, and remembers the server's whole key.
///
/// Before anything is sent the server has to show a key whose fingerprint begins as the invite says; from then on only
/// exactly that key is accepted.
package struct JoinOperation: Sendable {
    private let invite: InviteCode
    private let name: String
    private let home: DeviceHome
    private let wireVersion: FRPWireVersion
    private let logger: Logger

    /// Makes a join with an invite as it was pasted; `name` is what the device calls itself, and the framing is remembered
    /// with the server.
    ///
    /// - Throws: `ErrorCode.inviteWrong` or `versionsApart` when the text is not an invite.
    package init(
        invite: String,
        name: String,
        home: DeviceHome,
        wireVersion: FRPWireVersion = .v2,
        logger: Logger
    ) throws(AditError) {
        do {
            self.invite = try InviteCode(invite)
        } catch {
            throw error.error
        }
        self.name = name
        self.home = home
        self.wireVersion = wireVersion
        self.logger = logger
    }

    /// The server that will be joined.
    package var server: HostPort { invite.server }

    /// Joins; `waiting` hears why it takes longer, and the tries go on unless `isOnce`.
    ///
    /// - Throws: `AditError` when a person has to mend something, or when a single try failed.
    package func run(
        on loop: any EventLoop,
        isOnce: Bool,
        waiting: @escaping @Sendable (AditError, Duration) -> Void
    ) async throws -> JoinedServer {
        let key = try home.deviceKey()
        var configuration = DeviceSessionConfiguration(
            server: invite.server,
            credentials: .device(key, invite: invite.secret),
            serverTrust: .pinnedPrefix(invite.fingerprintPrefix)
        )
        configuration.deviceName = name
        configuration.wireVersion = wireVersion
        let delegate = JoinDelegate(isOnce: isOnce, waiting: waiting, result: loop.makePromise())
        let session = DeviceSession(
            configuration: configuration,
            eventLoop: loop,
            delegate: delegate,
            logger: logger
        )
        session.start()
        do {
            let connection = try await withTaskCancellationHandler {
                try await delegate.result.futureResult.get()
            } onCancel: {
                delegate.result.fail(CancellationError())
            }
            try? await session.stop().get()
            guard let fingerprint = connection.fingerprint else {
                throw AditError(.protocolBroken, Text("the server showed no key", zh: "服务器没有出示密钥"))
            }
            let joined = JoinedServer(
                host: invite.server.host,
                port: invite.server.port,
                fingerprint: fingerprint.description,
                deviceName: connection.adit?.deviceName ?? name,
                serverName: connection.adit?.serverName ?? "",
                domain: connection.adit?.domain ?? "",
                joinedAt: WallClock.unixSeconds(),
                httpPort: connection.adit.flatMap { $0.httpPort == 0 ? nil : $0.httpPort },
                stun: connection.adit?.stun,
                turn: connection.adit?.turn,
                wire: wireVersion == .v2 ? nil : wireVersion
            )
            try home.remember(joined)
            return joined
        } catch {
            try? await session.stop().get()
            throw error
        }
    }
}

/// Waits for the first login.
private final class JoinDelegate: DeviceSessionDelegate {
    let result: EventLoopPromise<DeviceConnection>
    private let isOnce: Bool
    private let waiting: @Sendable (AditError, Duration) -> Void

    init(
        isOnce: Bool,
        waiting: @escaping @Sendable (AditError, Duration) -> Void,
        result: EventLoopPromise<DeviceConnection>
    ) {
        self.isOnce = isOnce
        self.waiting = waiting
        self.result = result
    }

    func sessionEvent(_ event: DeviceSessionEvent) {
        switch event {
        case .connected(let connection): result.succeed(connection)
        case .refused(let error): result.fail(error)
        case .disconnected(let error, let retryAfter):
            if isOnce { result.fail(Unreachable(error: error)) } else { waiting(error, retryAfter) }
        default: break
        }
    }

    func workConnection(_ start: FRPStartWorkConnection, channel: any Channel) {
        channel.close(promise: nil)
    }
}

/// A single try did not reach the server; the exit code differs from that of a refusal.
package struct Unreachable: Error, Sendable, Equatable {
    /// Why.
    package var error: AditError

    /// Makes it from the reason.
    package init(error: AditError) {
        self.error = error
    }
}
