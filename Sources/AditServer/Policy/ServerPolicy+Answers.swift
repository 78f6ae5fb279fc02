// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTunnel
import AditWire
import Logging
import NIOCore

/// How the outcome of a request for a tunnel is put into words, for Adit devices and for frp clients.
extension ServerPolicy {
    /// A refusal in both forms.
    struct Answer {
        var error: AditError
        var frpText: String
    }

    func addresses(of tunnel: OpenTunnel, _ setup: ServerSetup) -> [String] {
        let host = setup.publicHost
        if tunnel.hosts.isEmpty {
            return switch tunnel.terms.kind {
            case .tcp, .udp, .game: [PublicAddress.endpoint(host: host, port: tunnel.port)]
            case .http: [PublicAddress.web(host: host, port: tunnel.port)]
            case .https: []
            }
        }
        if tunnel.terms.kind == .https {
            return tunnel.hosts.map { PublicAddress.secureWeb(host: $0.host.text, port: httpsPort) }
        }
        let secure = tunnel.hosts.filter { httpsPort != 0 && certificates.certificate(for: $0.host) != nil }
        return secure.map { PublicAddress.secureWeb(host: $0.host.text, port: httpsPort) }
            + tunnel.hosts.map { PublicAddress.web(host: $0.host.text, port: httpPort) }
    }

    func response(for tunnel: OpenTunnel, _ setup: ServerSetup) -> FRPNewProxyResponse {
        let port = tunnel.terms.kind == .https ? httpsPort : httpPort
        let names = tunnel.hosts.map { PublicAddress.frpName(host: $0.host.text, port: port) }
        let remote = names.isEmpty ? ":\(tunnel.port)" : names.joined(separator: ",")
        guard tunnel.session.isAdit else {
            return FRPNewProxyResponse(proxyName: tunnel.proxyName, remoteAddress: remote)
        }
        return FRPNewProxyResponse(
            proxyName: tunnel.proxyName,
            remoteAddress: remote,
            adit: AditTunnelResponse(
                addresses: tunnel.addresses,
                name: tunnel.hosts.first?.leaseName ?? "",
                port: tunnel.port,
                expiresAt: tunnel.expiresAt?.seconds ?? 0
            )
        )
    }

    func refusal(for error: any Error) -> Answer {
        switch error {
        case let error as AditError:
            let detail = error.why.first.map { " (\($0.english))" } ?? ""
            return switch error.code {
            case .portOutsideRange: Answer(error: error, frpText: "port not allowed")
            case .portTaken: Answer(error: error, frpText: "port already used")
            case .nameInvalid: Answer(error: error, frpText: error.what.english + detail)
            default: Answer(error: error, frpText: error.what.english)
            }
        case let conflict as TunnelConflict:
            return Answer(error: conflict.error, frpText: conflict.frpText)
        case let unavailable as PortUnavailable:
            return Answer(error: unavailable.error, frpText: "port unavailable")
        case let fault as TunnelFault:
            let error = AditError(.takenOver, Text("the session ended meanwhile", zh: "会话已在此期间结束"))
            return Answer(error: error, frpText: fault.description)
        default:
            log.error("a tunnel could not be opened: \(error)")
            return Answer(error: Refusal.storeFailed, frpText: Refusal.storeFailed.what.english)
        }
    }

    /// A conflict of the registry with the facts that a person wants: who has it, and what is free.
    func explain(_ conflict: TunnelConflict, _ session: ServerSession) -> any Error {
        switch conflict {
        case .portTaken(let kind, let port, _):
            let holder = table.lease(of: PublicPort(kind, port))?.deviceName
            return Refusal.portTaken(port, by: holder, nearest: table.portsNear(port, [kind], for: session))
        case .hostTaken(let route, _):
            guard session.isAdit else { return conflict }
            let name = TunnelTable.leaseName(of: route.host, domain: setup.domain)
            return Refusal.nameTaken(
                name,
                by: table.lease(ofName: name),
                alternatives: table.names(like: name, for: session)
            )
        case .proxyNameInUse, .limitReached:
            return conflict
        }
    }

    /// What is told when the system does not let a port be bound.
    func bindingFault(_ error: any Error, _ port: UInt16, _ session: ServerSession) -> any Error {
        if error is AditError || error is TunnelFault { return error }
        let reason = (error as? IOError).map(\.words) ?? String(describing: error)
        return PortUnavailable(
            error: AditError(
                .portTaken,
                Text("the server cannot open public port \(port)", zh: "服务器无法打开公网端口 \(port)"),
                why: [Text(verbatim: reason)],
                fix: Text("ask for another port, or for none to get any", zh: "请换一个端口，或不指定端口")
            )
        )
    }
}

/// A port that the system did not give: held by another program, or not this process's to open.
struct PortUnavailable: Error {
    var error: AditError
}
