// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import AditTunnel

/// Which addresses a tunnel may lead to, and which ports it may open to everybody.
///
/// An address is judged after its name was resolved, at every dial: a name that later resolves to a refused address
/// gains nothing.
package enum TargetRules {
    /// Why a tunnel may not lead to this address; nil when it may.
    ///
    /// `isAllowed` is the person's `--target-allow` for just this host.
    package static func refusal(of address: IPAddress, target: TunnelTarget, isAllowed: Bool) -> AditError? {
        let plain = address.unmapped
        if isAllowed { return nil }
        let why: Text
        if plain.isMetadataService {
            why = Text(
                "\(plain) hands out a cloud machine's credentials to whoever asks",
                zh: "\(plain) 会把云主机的凭据交给任何访问者"
            )
        } else if plain.isLinkLocal {
            why = Text("\(plain) is a link-local address", zh: "\(plain) 是链路本地地址")
        } else if plain.isUnspecified {
            why = Text("\(plain) is not the address of any machine", zh: "\(plain) 不是任何机器的地址")
        } else {
            return nil
        }
        return AditError(
            .targetRefused,
            Text("a tunnel may not lead to \(target)", zh: "隧道不能通向 \(target)"),
            why: [why],
            fix: Text(
                "if you are sure, add  --target-allow \(target.host)",
                zh: "如果确实需要，加上  --target-allow \(target.host)"
            )
        )
    }

    /// Why an order whose target is written as an address may not be opened at all; a name is judged at each dial.
    static func refusal(of order: TunnelOrder) -> AditError? {
        guard let address = IPAddress(order.target.host) else { return nil }
        let isAllowed = order.targetAllow.contains(order.target.host)
        return refusal(of: address, target: order.target, isAllowed: isAllowed)
    }

    /// The gate in front of a risky port: an error unless the person said `--public` or limited the visitors.
    package static func riskyPortGate(_ target: TunnelTarget, isPublic: Bool, allow: [CIDR]) -> AditError? {
        guard let service = NotablePorts.risky[target.port], !isPublic, allow.isEmpty else { return nil }
        return AditError(
            .riskyPort,
            Text(
                "port \(target.port) (\(service)) open to the whole internet is attacked within a day",
                zh: "端口 \(target.port)（\(service)）对整个互联网开放，一天之内就会被攻击"
            ),
            why: [
                Text(
                    "safer:  adit tcp \(target.argument) --allow 203.0.113.0/24    only visitors from there",
                    zh: "更安全：adit tcp \(target.argument) --allow 203.0.113.0/24    只允许来自该网段的访客"
                )
            ],
            fix: Text(
                "continue anyway:  adit tcp \(target.argument) --public",
                zh: "仍要继续：adit tcp \(target.argument) --public"
            )
        )
    }

    /// The tunnel that would lead into the server which serves it; nil when the target is something else.
    package static func loop(_ target: TunnelTarget, server: HostPort) -> AditError? {
        func isHere(_ host: String) -> Bool { host == "localhost" || IPAddress(host)?.isLoopback == true }
        let sameHost =
            target.host == server.host.lowercased() || (target.isLoopback && isHere(server.host.lowercased()))
        guard target.port == server.port, sameHost else { return nil }
        return AditError(
            .targetLoop,
            Text("\(target) is the tunnel's own server", zh: "\(target) 是隧道自己的服务器"),
            why: [Text("the server's session port is \(server)", zh: "服务器的会话端口是 \(server)")],
            fix: Text("name the port of the app:  adit http 3000", zh: "写应用的端口：  adit http 3000")
        )
    }
}
