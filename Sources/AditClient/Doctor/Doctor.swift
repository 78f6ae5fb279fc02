// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTransport
import AditTraversal
import AditWire

/// Looks at the way from this device to its server hop by hop, and says which is the first that is broken.
///
/// The name first; then the session's connection and everything beside it at once. It changes nothing, logs in nowhere
/// and needs no rights.
package struct Doctor: Sendable {
    /// How long one look may take.
    package static let stepLimit = Duration.seconds(3)
    /// How long connecting, TLS and the session's answer may take together.
    package static let sessionLimit = Duration.milliseconds(4500)

    private let probes: any DoctorProbes
    private let clock: @Sendable () -> Duration

    /// Makes a doctor.
    ///
    /// - Parameter clock: the time since some origin, for how long the examination takes.
    package init(probes: any DoctorProbes, clock: @escaping @Sendable () -> Duration) {
        self.probes = probes
        self.clock = clock
    }

    /// Looks at everything; without a subject at this computer alone.
    package func examine(_ subject: DoctorSubject?) async -> DoctorReport {
        let start = clock()
        let processes = probes.processes()
        guard let subject else {
            let hops = [computer(nil), DoctorJudgement.notJoined] + [tunnels(processes)].compactMap { $0 }
            return DoctorReport(server: nil, isJoined: false, hops: hops, time: clock() - start)
        }
        let computer = computer(subject)
        let name = await resolve(subject)
        let dns = DoctorJudgement.dns(name, subject)
        var hops = [computer, dns]
        if case .found(let addresses, _) = name, !addresses.isEmpty {
            hops += await way(subject, to: addresses)
        } else {
            hops += [.server, .tls, .session].map { DoctorHop($0, .skipped) }
        }
        if subject.isJoined, let tunnels = tunnels(processes.filter { $0.server == subject.server.description }) {
            hops.append(tunnels)
        }
        return DoctorReport(
            server: subject.server,
            isJoined: subject.isJoined,
            hops: hops,
            time: clock() - start
        )
    }

    private func computer(_ subject: DoctorSubject?) -> DoctorHop {
        let isLocal = subject.flatMap { IPAddress($0.server.host)?.isLoopback ?? ($0.server.host == "localhost") }
        return DoctorJudgement.computer(
            probes.network(),
            environment: probes.environment(),
            isLocal: isLocal ?? false
        )
    }

    private func tunnels(_ processes: [DeviceStatus]) -> DoctorHop? {
        DoctorJudgement.tunnels(processes)
    }

    private func resolve(_ subject: DoctorSubject) async -> NameFinding {
        if let address = IPAddress(subject.server.host) {
            return .found([IPEndpoint(address, subject.server.port)], after: .zero)
        }
        return await probes.resolve(subject.server.host, port: subject.server.port)
    }

    private func way(_ subject: DoctorSubject, to addresses: [IPEndpoint]) async -> [DoctorHop] {
        let host = subject.server.host
        let address = addresses[0].address
        let namesHost = subject.domain.isEmpty ? host : "adit-doctor.\(subject.domain)"
        async let session = probes.session(at: addresses, host: host, trust: subject.trust)
        async let http = names(address, namesHost, subject.httpPort, isTLS: false)
        async let https = names(address, namesHost, subject.httpsPort, isTLS: true)
        async let udp = stun(address, host, subject.stun?.port, over: .udp)
        async let tcp = stun(address, host, subject.stun?.port, over: .tcp)
        async let tls = stun(address, host, subject.stun?.tlsPort, over: .tls)
        async let relays = relays(address, host, subject)
        let found = await session
        var hops = DoctorJudgement.session(found, subject)
        let pages = await [(DoctorHop.Name.http, http), (.https, https)]
        let reached = found.address?.address == address
        let date = pages.lazy.compactMap { page -> Int64? in
            if case .answered(let answer)? = page.1, answer.isAdit { answer.date } else { nil }
        }.first
        hops.append(DoctorJudgement.clock(server: date, here: probes.unixTime()))
        for (name, finding) in pages {
            let port = name == .http ? subject.httpPort : subject.httpsPort
            if let finding, let port {
                hops.append(DoctorJudgement.names(name, finding, port: port, isReached: reached))
            }
        }
        let stun = await DoctorJudgement.stun(udp: udp, tcp: tcp, tls: tls, subject.stun, isReached: reached)
        return await hops + stun + DoctorJudgement.turn(relays, hasUser: true, isAskedFor: false)
    }

    /// The relay each way that the server offered, with credentials that are still good.
    private func relays(
        _ address: IPAddress,
        _ host: String,
        _ subject: DoctorSubject
    ) async -> [(way: TURNPlace.Way, finding: TURNFinding)] {
        guard let offer = subject.turn, offer.expiresAt > probes.unixTime() else { return [] }
        let tlsPort = offer.tlsPort == 0 && offer.isOnSessionPort ? subject.server.port : offer.tlsPort
        let ways = [
            TURNPlace.Way(transport: .udp, port: offer.port), TURNPlace.Way(transport: .tcp, port: offer.port),
            TURNPlace.Way(transport: .tls, port: tlsPort),
        ].filter { $0.port != 0 }
        let wish = TURNWish(offer)
        async let udp = relay(address, host, ways.first { $0.transport == .udp }, wish)
        async let tcp = relay(address, host, ways.first { $0.transport == .tcp }, wish)
        async let tls = relay(address, host, ways.first { $0.transport == .tls }, wish)
        return await [udp, tcp, tls].compactMap { $0 }
    }

    private func relay(
        _ address: IPAddress,
        _ host: String,
        _ way: TURNPlace.Way?,
        _ wish: TURNWish
    ) async -> (way: TURNPlace.Way, finding: TURNFinding)? {
        guard let way else { return nil }
        return (way, await probes.turn(at: IPEndpoint(address, way.port), host: host, over: way.transport, wish))
    }

    private func names(_ address: IPAddress, _ host: String, _ port: UInt16?, isTLS: Bool) async -> NamesFinding? {
        guard let port else { return nil }
        return await probes.names(at: IPEndpoint(address, port), host: host, isTLS: isTLS)
    }

    private func stun(
        _ address: IPAddress,
        _ host: String,
        _ port: UInt16?,
        over transport: STUNTransport
    ) async -> STUNFinding? {
        guard let port, port != 0 else { return nil }
        return await probes.stun(at: IPEndpoint(address, port), host: host, over: transport)
    }
}
