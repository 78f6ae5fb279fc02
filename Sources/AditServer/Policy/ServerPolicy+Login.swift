// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
package import AditTunnel
import AditWire
import Logging
import NIOConcurrencyHelpers
package import NIOCore

extension ServerPolicy {
    /// How long the answer to a wrong token or invite is held back.
    package static let refusalDelay: TimeAmount = .milliseconds(300)

    package func authorize(_ request: LoginRequest, on eventLoop: any EventLoop) -> EventLoopFuture<LoginDecision> {
        let setup = self.setup
        guard !changeable.withLockedValue({ $0.isStopping }) else {
            return eventLoop.makeSucceededFuture(.refuse(SessionEnd.draining.error))
        }
        let decision: LoginDecision
        if let device = request.device {
            guard device.isGuest else { return authorize(device, request, setup, on: eventLoop) }
            decision = decideGuest(device, request, setup)
        } else {
            decision = decideFRP(request, setup)
        }
        guard case .refuse(let error, _) = decision, error.code == .tokenRefused else {
            return eventLoop.makeSucceededFuture(decision)
        }
        return refuseLater(decision, request, on: eventLoop)
    }

    private func authorize(
        _ device: LoginRequest.Device,
        _ request: LoginRequest,
        _ setup: ServerSetup,
        on loop: any EventLoop
    ) -> EventLoopFuture<LoginDecision> {
        let credential: Credential
        let offersToken = !device.tokenProof.isEmpty
        let isTokenRight = request.tokenProofMatches(token: setup.token ?? "")
        if isTokenRight {
            credential = .token
        } else if offersToken {
            // Also for a device that is known: whoever names a secret is told when it is the wrong one.
            return refuseLater(.refuse(setup.token == nil ? Refusal.noToken : Refusal.tokenWrong), request, on: loop)
        } else if !device.invite.isEmpty {
            credential = .invite(digest: SHA256Digest(of: device.invite).description)
        } else {
            credential = .none
        }
        let now = unixClock.now()
        let admission = store.admit(
            key: device.key.hexadecimal,
            wantedName: Self.deviceName(device.name),
            credential: credential,
            at: now,
            on: loop
        )
        return admission.flatMap { admission in
            if case .member(let name, let isNew) = admission {
                if isNew {
                    self.log.notice(
                        "device joined",
                        metadata: ["device": "\(name)", "key": "\(device.key.fingerprint)", "by": "\(credential.word)"]
                    )
                }
                let acceptance = LoginAcceptance(
                    identity: .device(device.key, name: name),
                    response: AditLoginResponse(
                        deviceName: name,
                        serverName: setup.publicHost,
                        domain: setup.domain ?? "",
                        httpPort: self.httpPort,
                        stun: self.stunOffer(to: request.remoteAddress?.address),
                        turn: self.turnOffer(to: name, key: device.key, at: request.remoteAddress?.address)
                    )
                )
                return loop.makeSucceededFuture(.accept(acceptance))
            }
            let error = Refusal.invite(admission, now: now) ?? Refusal.storeFailed
            switch error.code {
            case .inviteWrong, .inviteUsed, .tokenRefused:
                return self.refuseLater(.refuse(error), request, on: loop)
            default:
                return loop.makeSucceededFuture(.refuse(error))
            }
        }.flatMapErrorThrowing { error in
            self.log.error("the database failed: \(error)")
            return .refuse(Refusal.storeFailed)
        }
    }

    private func decideFRP(_ request: LoginRequest, _ setup: ServerSetup) -> LoginDecision {
        let login = request.login
        guard setup.allowsFRP else {
            return refuse(Refusal.frpOff, "frp clients are not allowed on this server", setup)
        }
        guard let token = setup.token, !token.isEmpty || setup.allowsEmptyToken else {
            return refuse(Refusal.noToken, "this server has no token for frp clients", setup)
        }
        guard FRPTokenKey(token: token).accepts(privilegeKey: login.privilegeKey, timestamp: login.timestamp) else {
            return refuse(Refusal.tokenWrong, "token in login doesn't match token from configuration", setup)
        }
        return .accept(
            LoginAcceptance(identity: .frp(user: login.user, clientID: login.clientID), token: token)
        )
    }

    /// A guest has the right of an frp client, and shows a key of its own. Nothing of it is kept.
    private func decideGuest(
        _ guest: LoginRequest.Device,
        _ request: LoginRequest,
        _ setup: ServerSetup
    ) -> LoginDecision {
        guard setup.allowsFRP else { return .refuse(Refusal.frpOff) }
        guard let token = setup.token, !token.isEmpty || setup.allowsEmptyToken else {
            return .refuse(Refusal.noToken)
        }
        guard token.isEmpty || request.tokenProofMatches(token: token) else { return .refuse(Refusal.tokenWrong) }
        let fingerprint = guest.key.fingerprint.description
        guard let name = FRPGuestName(user: request.login.user, fingerprint: fingerprint)?.description else {
            return .refuse(Refusal.userInvalid)
        }
        let address = request.remoteAddress?.address
        return .accept(
            LoginAcceptance(
                identity: .guest(guest.key, name: name),
                response: AditLoginResponse(
                    deviceName: name,
                    serverName: setup.publicHost,
                    domain: setup.domain ?? "",
                    httpPort: httpPort,
                    stun: stunOffer(to: address),
                    turn: turnOffer(to: name, key: guest.key, at: address)
                )
            )
        )
    }

    /// Without detailed errors frps tells its clients only which step failed.
    private func refuse(_ error: AditError, _ frpText: String, _ setup: ServerSetup) -> LoginDecision {
        .refuse(error, frpText: setup.detailedErrors ? frpText : "register control error")
    }

    /// Answers a wrong secret after a pause, so that guessing is slow even below the acceptor's own limits.
    private func refuseLater(
        _ decision: LoginDecision,
        _ request: LoginRequest,
        on loop: any EventLoop
    ) -> EventLoopFuture<LoginDecision> {
        if case .refuse(let error, _) = decision {
            log.warning(
                "login refused: \(error.code) \(error.what.english)",
                metadata: ["remote": "\(request.remoteAddress.map(\.description) ?? "-")"]
            )
        }
        return loop.scheduleTask(in: Self.refusalDelay) { decision }.futureResult
    }

    /// The name a device is stored under: printable, at most 40 characters, never empty.
    static func deviceName(_ wanted: String) -> String {
        let name = LineLogHandler.printable(wanted).split(separator: " ").joined(separator: "-")
        return name.isEmpty ? "device" : String(name.prefix(40))
    }
}

extension Credential {
    fileprivate var word: String {
        switch self {
        case .none: "nothing"
        case .invite: "invite"
        case .token: "token"
        }
    }
}
