// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditCrypto
package import AditTransport
import AditTunnel
package import AditWire
import Logging
package import NIOCore

extension ServerPolicy {
    /// How many ports are tried when another program holds the one that was chosen.
    private static let portTries = 5
    /// The longest proxy name.
    private static let maximumNameLength = 256

    package func openTunnel(
        _ request: FRPNewProxy,
        for session: ServerSession
    ) -> EventLoopFuture<FRPNewProxyResponse> {
        let loop = session.eventLoop
        let setup = self.setup
        if session.identity.isGuest { return loop.makeSucceededFuture(openPrivate(request, for: session)) }
        let opened: EventLoopFuture<OpenTunnel>
        do {
            guard (1...Self.maximumNameLength).contains(request.proxyName.utf8.count) else {
                throw AditError(.usage, Text("a tunnel's name has 1 to 256 bytes", zh: "隧道名长度为 1 到 256 字节"))
            }
            let terms = try TunnelTerms(request)
            opened =
                switch terms.kind {
                case .tcp, .udp, .game: openPort(request, terms, session, setup)
                case .http, .https: try openNames(request, terms, session, setup)
                }
        } catch {
            opened = loop.makeFailedFuture(error)
        }
        return opened.flatMapThrowing { tunnel in
            guard tunnel.open(addresses: self.addresses(of: tunnel, setup)) else { throw TunnelFault.closed }
            self.scheduleEnd(of: tunnel)
            self.log.info(
                "[\(tunnel.shownName)] \(tunnel.terms.kind) proxy is open: \(tunnel.addresses.joined(separator: ", "))",
                metadata: ["run": "\(session.runID)"]
            )
            return self.response(for: tunnel, setup)
        }.flatMapErrorThrowing { error in
            let refusal = self.refusal(for: error)
            self.log.info(
                "[\(request.proxyName)] new proxy refused: \(refusal.error.what.english)",
                metadata: ["run": "\(session.runID)"]
            )
            return FRPNewProxyResponse(
                proxyName: request.proxyName,
                error: setup.detailedErrors || session.isAdit
                    ? refusal.frpText : "new proxy [\(request.proxyName)] error",
                adit: session.isAdit ? AditTunnelResponse(error: AditErrorMessage(refusal.error)) : nil
            )
        }
    }

    /// Gives a guest's private proxy its name: nothing is opened, other guests find it there.
    private func openPrivate(_ request: FRPNewProxy, for session: ServerSession) -> FRPNewProxyResponse {
        let name = request.proxyName
        let error: AditError?
        if PrivateProxies<ServerSession>.kinds.contains(request.proxyType) {
            error = Refusal.privateName(signalling.claim(name, for: session), name)
        } else {
            error = Refusal.onlyPrivate(request.proxyType)
        }
        let shown = LineLogHandler.printable(name)
        let run: Logger.Metadata = ["run": "\(session.runID)"]
        if let error {
            log.info("[\(shown)] new proxy refused: \(error.what.english)", metadata: run)
        } else {
            log.info("[\(shown)] \(request.proxyType) proxy is open", metadata: run)
        }
        return FRPNewProxyResponse(
            proxyName: name,
            error: error?.what.english ?? "",
            adit: AditTunnelResponse(error: error.map { AditErrorMessage($0) })
        )
    }

    // MARK: Names

    private func openNames(
        _ request: FRPNewProxy,
        _ terms: TunnelTerms,
        _ session: ServerSession,
        _ setup: ServerSetup
    ) throws -> EventLoopFuture<OpenTunnel> {
        let role = session.isAdit ? ServerSetup.Role.adit : setup.role
        let choice = try HostChoice(request, domain: setup.domain, role: role, reserved: setup.reservedNames)
        if terms.kind == .https {
            try checkTLSNames(choice, session, setup)
        } else if httpPort == 0, !session.isAdit || !choice.hosts.isEmpty {
            throw AditError(
                .kindUnavailable,
                Text("type [http] not supported when vhost http port is not set", zh: "未设置 HTTP 端口，不支持 http 类型"),
                fix: Text(
                    "set  httpPort  (frps: vhostHTTPPort)  on the server",
                    zh: "请在服务器上设置 httpPort（frps：vhostHTTPPort）"
                )
            )
        }
        if choice.hosts.isEmpty {
            guard session.isAdit else {
                throw AditError(
                    .nameInvalid,
                    Text(
                        "custom domains and subdomain should set at least one of them",
                        zh: "custom_domains 和 subdomain 至少设置一项"
                    )
                )
            }
            if terms.kind == .http, setup.domain == nil || httpPort == 0 {
                if let port = terms.port, NotablePorts.blockedByBrowsers.contains(port) {
                    throw Refusal.browserBlocked(port)
                }
                return openPort(request, terms, session, setup)
            }
        }
        return stickyNames(request, terms, session, isNeeded: choice.hosts.isEmpty).flatMap { sticky in
            let loop = session.eventLoop
            let claimed: TunnelTable.Claimed
            do {
                claimed = try self.table.claimHosts(
                    choice,
                    sticky: sticky,
                    request: request,
                    terms: terms,
                    session: session
                )
            } catch {
                return loop.makeFailedFuture((error as? TunnelConflict).map { self.explain($0, session) } ?? error)
            }
            return self.makeRoom(claimed, on: loop)
                .flatMap { self.leaseNames(of: claimed.tunnel, isWanted: !choice.hosts.isEmpty, on: loop) }
                .map { claimed.tunnel }
                .flatMapErrorThrowing { error in
                    self.giveUp(claimed.tunnel)
                    throw error
                }
        }
    }

    /// A tls tunnel lives by its name: there is no port of its own to fall back to.
    private func checkTLSNames(_ choice: HostChoice, _ session: ServerSession, _ setup: ServerSetup) throws {
        guard httpsPort != 0 else {
            throw AditError(
                .kindUnavailable,
                Text("type [https] not supported when vhost https port is not set", zh: "未设置 HTTPS 端口，不支持 https 类型"),
                fix: Text(
                    "set  httpsPort  (frps: vhostHTTPSPort)  on the server",
                    zh: "请在服务器上设置 httpsPort（frps：vhostHTTPSPort）"
                )
            )
        }
        guard choice.hosts.isEmpty, session.isAdit, setup.domain == nil else { return }
        throw AditError(
            .nameInvalid,
            Text("a tls tunnel is found by its name, and this server has no domain", zh: "tls 隧道按名字访问，而此服务器没有域名"),
            fix: Text(
                "name a domain of your own:  --domain NAME   or use a port:  adit tcp PORT",
                zh: "请指定自己的域名：--domain 域名   或使用端口：adit tcp 端口"
            )
        )
    }

    private func stickyNames(
        _ request: FRPNewProxy,
        _ terms: TunnelTerms,
        _ session: ServerSession,
        isNeeded: Bool
    ) -> EventLoopFuture<[String]> {
        guard isNeeded, case .device(let key, _) = session.identity else {
            return session.eventLoop.makeSucceededFuture([])
        }
        return store.stickyNames(device: key.hexadecimal, target: terms.target, on: session.eventLoop)
    }

    private func leaseNames(of tunnel: OpenTunnel, isWanted: Bool, on loop: any EventLoop) -> EventLoopFuture<Void> {
        let now = unixClock.now()
        guard case .device(let key, let deviceName) = tunnel.session.identity else {
            // An frp client leaves no lease, but it must not take a name from a device that is away.
            let holders = tunnel.hosts.map { store.holder(ofName: $0.leaseName, at: now, on: loop) }
            return EventLoopFuture.whenAllSucceed(holders, on: loop).flatMapThrowing { holders in
                guard let holder = holders.compactMap({ $0 }).first else { return }
                throw Refusal.nameTaken(holder.name, by: holder, alternatives: [])
            }
        }
        let claims = tunnel.hosts.map { host in
            store.claimName(
                host.leaseName,
                device: key.hexadecimal,
                target: tunnel.terms.target,
                wanted: isWanted,
                at: now,
                on: loop
            ).flatMapThrowing { claim in
                switch claim {
                case .granted:
                    self.table.keep(
                        NameLease(
                            name: host.leaseName,
                            device: key.hexadecimal,
                            deviceName: deviceName,
                            target: tunnel.terms.target,
                            lastUsed: now
                        )
                    )
                case .taken(let lease):
                    let near = self.table.names(like: host.leaseName, for: tunnel.session)
                    throw Refusal.nameTaken(host.leaseName, by: lease, alternatives: near)
                case .limitReached(let limit):
                    throw AditError(
                        .limitReached,
                        Text("this device holds \(limit) names, its limit", zh: "这台设备已持有 \(limit) 个名字，达到上限")
                    )
                }
            }
        }
        return EventLoopFuture.andAllSucceed(claims, on: loop)
    }

    // MARK: Ports

    private func openPort(
        _ request: FRPNewProxy,
        _ terms: TunnelTerms,
        _ session: ServerSession,
        _ setup: ServerSetup
    ) -> EventLoopFuture<OpenTunnel> {
        let loop = session.eventLoop
        if setup.maximumPortsPerClient > 0, !session.isAdit,
            table.portCount(of: session) >= setup.maximumPortsPerClient
        {
            return loop.makeFailedFuture(TunnelConflict.limitReached(setup.maximumPortsPerClient))
        }
        if let port = terms.port {
            guard setup.allowedPorts?.contains(port) ?? true else {
                return loop.makeFailedFuture(Refusal.portOutside(port, setup.allowedPorts ?? setup.publicPorts))
            }
            if terms.kind == .tcp || terms.kind == .game, NotablePorts.blockedByBrowsers.contains(port) {
                log.warning("\(Refusal.browserBlocked(port).what.english); other programs can use it")
            }
            return claimAndBind(port, request, terms, session)
        }
        guard case .device(let key, _) = session.identity else {
            return tryPorts(sticky: [], busy: [], request, terms, session, setup)
        }
        let kinds = terms.kind.portKinds
        return store.stickyPorts(device: key.hexadecimal, target: terms.target, kinds: kinds, on: loop).flatMap {
            sticky in
            self.tryPorts(sticky: sticky, busy: [], request, terms, session, setup)
        }
    }

    private func tryPorts(
        sticky: [UInt16],
        busy: Set<UInt16>,
        _ request: FRPNewProxy,
        _ terms: TunnelTerms,
        _ session: ServerSession,
        _ setup: ServerSetup
    ) -> EventLoopFuture<OpenTunnel> {
        let loop = session.eventLoop
        let port = table.choosePort(
            terms.kind.portKinds,
            sticky: sticky,
            request: request,
            session: session,
            busy: busy,
            at: clock.now()
        )
        guard let port else { return loop.makeFailedFuture(Refusal.noFreePort(setup.publicPorts)) }
        return claimAndBind(port, request, terms, session).flatMapError { error in
            guard error is PortUnavailable, busy.count < Self.portTries else {
                return loop.makeFailedFuture(error)
            }
            return self.tryPorts(
                sticky: sticky,
                busy: busy.union([port]),
                request,
                terms,
                session,
                setup
            )
        }
    }

    private func claimAndBind(
        _ port: UInt16,
        _ request: FRPNewProxy,
        _ terms: TunnelTerms,
        _ session: ServerSession
    ) -> EventLoopFuture<OpenTunnel> {
        let loop = session.eventLoop
        let claimed: TunnelTable.Claimed
        do {
            claimed = try table.claimPort(port, request: request, terms: terms, session: session)
        } catch {
            return loop.makeFailedFuture(explain(error, session))
        }
        let tunnel = claimed.tunnel
        return makeRoom(claimed, on: loop)
            .flatMap { self.listeners.listen(for: tunnel, setup: self.setup) }
            .flatMapErrorThrowing { error in
                throw self.bindingFault(error, port, session)
            }
            .flatMap { self.leasePort(of: tunnel, on: loop) }
            .map { tunnel }
            .flatMapErrorThrowing { error in
                self.giveUp(tunnel)
                throw error
            }
    }

    private func leasePort(of tunnel: OpenTunnel, on loop: any EventLoop) -> EventLoopFuture<Void> {
        guard case .device(let key, let deviceName) = tunnel.session.identity else {
            return loop.makeSucceededVoidFuture()
        }
        let now = unixClock.now()
        let kept = store.keepPort(
            tunnel.port,
            kinds: tunnel.terms.kind.portKinds,
            device: key.hexadecimal,
            target: tunnel.terms.target,
            at: now,
            on: loop
        )
        return kept.map {
            for port in tunnel.ports {
                self.table.keep(
                    PortLease(
                        kind: port.kind,
                        port: port.number,
                        device: key.hexadecimal,
                        deviceName: deviceName,
                        target: tunnel.terms.target,
                        lastUsed: now
                    )
                )
            }
        }
    }

    // MARK: Ends

    /// Closes the tunnels that made way and tells their sessions.
    private func makeRoom(_ claimed: TunnelTable.Claimed, on loop: any EventLoop) -> EventLoopFuture<Void> {
        let closing = claimed.displaced.map { earlier in
            // A session that asks again under the same name knows what it does.
            if earlier.key != claimed.tunnel.key { tell(earlier, Refusal.takenOver) }
            return earlier.close().hop(to: loop)
        }
        return EventLoopFuture.andAllSucceed(closing, on: loop)
    }

    private func giveUp(_ tunnel: OpenTunnel) {
        _ = table.remove(tunnel)
        tunnel.close()
    }

    private func scheduleEnd(of tunnel: OpenTunnel) {
        guard let life = tunnel.terms.life else { return }
        let timer = tunnel.session.eventLoop.scheduleTask(in: .nanoseconds(life.wholeNanoseconds)) {
            self.end(tunnel, Refusal.expired)
        }
        tunnel.adopt(expiry: timer)
    }

    /// Ends a tunnel against its device's will and says why.
    func end(_ tunnel: OpenTunnel, _ error: AditError) {
        guard table.remove(tunnel) != nil else { return }
        tunnel.close()
        noteUse(of: [tunnel], on: tunnel.session.eventLoop)
        tell(tunnel, error)
        log.info(
            "[\(tunnel.shownName)] proxy ended: \(error.what.english)",
            metadata: ["run": "\(tunnel.session.runID)"]
        )
    }

    private func tell(_ tunnel: OpenTunnel, _ error: AditError) {
        guard tunnel.session.isAdit else { return }
        tunnel.session.endTunnel(named: tunnel.proxyName, because: error)
    }
}
