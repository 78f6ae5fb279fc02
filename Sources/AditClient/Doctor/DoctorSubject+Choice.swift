// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import AditWire

extension DoctorSubject {
    /// Chooses what to look at: the server that is named, else the one that was joined last; nil when there is none.
    ///
    /// - Throws: `ErrorCode.usage` when the text names no server, `state` when what was joined cannot be read.
    package static func choose(
        _ text: String?,
        home: DeviceHome?,
        processes: [DeviceStatus]
    ) throws(AditError) -> DoctorSubject? {
        let servers = try home?.servers() ?? []
        guard let text else { return servers.first.map { joined($0, processes) } }
        guard let place = HostPort(text, defaultPort: 7000) else {
            throw AditError(
                .usage,
                Text("\"\(text.prefix(80))\" is not a server", zh: "“\(text.prefix(80))” 不是服务器"),
                fix: "adit doctor tunnel.example.com:7000"
            )
        }
        if let server = servers.first(where: { $0.place == place }) { return joined(server, processes) }
        return DoctorSubject(server: place, trust: .unverified(name: place.host), isJoined: false)
    }

    private static func joined(_ server: JoinedServer, _ processes: [DeviceStatus]) -> DoctorSubject {
        let trust = KeyFingerprint(server.fingerprint).map(ServerTrust.pinned) ?? .unverified(name: server.host)
        var subject = DoctorSubject(
            server: server.place,
            trust: trust,
            isJoined: true,
            domain: server.domain,
            httpPort: server.domain.isEmpty ? nil : server.httpPort,
            stun: server.stun,
            turn: server.turn
        )
        // The addresses that running tunnels were given tell on which ports names are shown.
        for process in processes where process.server == server.place.description {
            subject.stun = subject.stun ?? process.stun
            for address in process.tunnels.flatMap(\.addresses) {
                if subject.httpPort == nil { subject.httpPort = port(of: address, "http://", 80) }
                if subject.httpsPort == nil { subject.httpsPort = port(of: address, "https://", 443) }
            }
        }
        return subject
    }

    /// The port of an address that begins with `scheme`; nil for another.
    static func port(of address: String, _ scheme: String, _ usual: UInt16) -> UInt16? {
        guard address.hasPrefix(scheme) else { return nil }
        let rest = address.dropFirst(scheme.count).prefix { $0 != "/" }
        return HostPort(String(rest), defaultPort: usual)?.port
    }
}
