// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditCrypto
import AditTransport
import AditTunnel
package import NIOCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension AditServer {
    /// What the server tells about itself: every member, online or not, and every frp client that is connected.
    package func status(on loop: any EventLoop) -> EventLoopFuture<ServerStatus> {
        parts.store.devices(on: loop).map { self.status(members: $0.filter { $0.removed == nil }) }
    }

    /// Takes up what another process changed in the store: removed devices are sent away.
    package func recheck() async throws {
        _ = try await policy.recheck(on: loop).get()
    }

    private func status(members: [DeviceRecord]) -> ServerStatus {
        let setup = policy.setup
        let sessions = table.sessions
        let tunnels = Dictionary(grouping: table.tunnels) { ObjectIdentifier($0.session) }
        let describe = { (session: ServerSession) in (tunnels[ObjectIdentifier(session)] ?? []).map(Self.describe) }
        var online: [String: [ServerSession]] = [:]
        var clients: [ServerStatus.Client] = []
        for session in sessions {
            switch session.identity {
            case .device(let key, _): online[key.hexadecimal, default: []].append(session)
            // Its frp session is there beside it.
            case .guest: break
            case .frp(let user, let clientID):
                clients.append(
                    ServerStatus.Client(
                        name: LineLogHandler.printable(user.isEmpty ? clientID : user),
                        kind: "frp",
                        key: "",
                        isOnline: true,
                        addresses: [session.remoteAddress].compactMap { $0?.description },
                        lastSeen: nil,
                        tunnels: describe(session)
                    )
                )
            }
        }
        let devices = members.map { member in
            let sessions = online[member.key] ?? []
            return ServerStatus.Client(
                name: member.name,
                kind: "device",
                key: Hexadecimal.decode(member.key).map { KeyFingerprint(of: $0).description } ?? "",
                isOnline: !sessions.isEmpty,
                addresses: sessions.compactMap { $0.remoteAddress?.description },
                lastSeen: member.lastSeen.seconds,
                tunnels: sessions.flatMap(describe)
            )
        }
        return ServerStatus(
            version: parts.version,
            process: Int(getpid()),
            since: since.seconds,
            host: setup.publicHost,
            domain: setup.domain,
            sessionPort: sessionPort,
            httpPort: httpPort == 0 ? nil : httpPort,
            httpsPort: policy.httpsPort == 0 ? nil : policy.httpsPort,
            certificates: certificates.isEmpty ? nil : certificates.status(at: parts.unixClock.now()),
            stun: stunStatus,
            turn: turnStatus,
            signals: setup.role == .adit ? policy.signalling.status : nil,
            publicPorts: setup.publicPorts.description,
            fingerprint: fingerprint.description,
            allowsFRP: setup.allowsFRP && setup.token != nil,
            isStopping: isStopping,
            clients: devices
                + clients.sorted { ($0.name, $0.addresses.first ?? "") < ($1.name, $1.addresses.first ?? "") }
        )
    }

    private static func describe(_ tunnel: OpenTunnel) -> ServerStatus.Tunnel {
        let figures = tunnel.counters.current
        return ServerStatus.Tunnel(
            name: LineLogHandler.printable(tunnel.shownName),
            kind: tunnel.terms.kind.rawValue,
            target: tunnel.terms.target,
            addresses: tunnel.addresses,
            since: tunnel.openedAt.seconds,
            expires: tunnel.expiresAt?.seconds,
            visitors: figures.visitors,
            openVisitors: figures.openVisitors,
            refusedVisitors: figures.refused,
            bytesIn: figures.bytesIn,
            bytesOut: figures.bytesOut,
            datagramsIn: tunnel.terms.kind.hasDatagrams ? figures.datagramsIn : nil,
            datagramsOut: tunnel.terms.kind.hasDatagrams ? figures.datagramsOut : nil,
            droppedDatagrams: tunnel.terms.kind.hasDatagrams ? figures.droppedDatagrams : nil,
            lastError: figures.lastError
        )
    }
}
