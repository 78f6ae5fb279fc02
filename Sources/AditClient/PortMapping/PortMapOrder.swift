// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTraversal
import AditTunnel
import AditWire

/// A port of this computer that the router is to open to the internet.
package struct PortMapOrder: Sendable, Hashable {
    /// The port here, 1 to 65535.
    package var port: UInt16
    /// Whether TCP is wanted.
    package var isTCP: Bool
    /// Whether UDP is wanted.
    package var isUDP: Bool
    /// The wanted port outside; nil for the same.
    package var external: UInt16?
    /// Whether no other port outside will do.
    package var isExact: Bool
    /// How long the router is asked to keep it each time, in seconds, from 10 s to a day.
    package var lifetime: UInt32

    /// How long a router may be asked to keep a port, in seconds.
    package static let lifetimes: ClosedRange<UInt32> = 10...86_400

    /// Makes it from its parts.
    package init(
        port: UInt16,
        isTCP: Bool = true,
        isUDP: Bool = true,
        external: UInt16? = nil,
        isExact: Bool = false,
        lifetime: UInt32 = 7200
    ) {
        self.port = port
        self.isTCP = isTCP
        self.isUDP = isUDP
        self.external = external
        self.isExact = isExact
        self.lifetime = lifetime
    }

    /// What the router is asked for.
    package var wishes: [PortMappingWish] {
        [isUDP ? PortMappingTransport.udp : nil, isTCP ? .tcp : nil].compactMap { $0 }.map { transport in
            PortMappingWish(
                transport,
                internalPort: port,
                externalPort: external,
                isExact: isExact,
                lifetime: lifetime
            )
        }
    }

    /// The gate in front of a risky port: an error unless the person said `--public`.
    package func riskyPortGate(isPublic: Bool) -> AditError? {
        let named = [port, external].compactMap { $0 }.first { NotablePorts.risky[$0] != nil }
        guard let named, let service = NotablePorts.risky[named], !isPublic else { return nil }
        return AditError(
            .riskyPort,
            Text(
                "port \(named) (\(service)) open to the whole internet is attacked within a day",
                zh: "端口 \(named)（\(service)）对整个互联网开放，一天之内就会被攻击"
            ),
            why: [
                Text("a router cannot limit who comes in", zh: "路由器无法限制谁可以进来"),
                Text(
                    "safer:  adit tcp \(port) --allow 203.0.113.0/24    only visitors from there",
                    zh: "更安全：adit tcp \(port) --allow 203.0.113.0/24    只允许来自该网段的访客"
                ),
            ],
            fix: Text("continue anyway:  adit map \(port) --public", zh: "仍要继续：adit map \(port) --public")
        )
    }
}

extension PortMappingWish {
    /// `udp` or `tcp`.
    package var transportName: String { transport == .udp ? "udp" : "tcp" }
}

extension JoinedServer {
    /// Where this server tries a port from outside, by STUN; nil when it does not.
    package var portMapTester: HostPort? {
        guard let stun, stun.port > 0 else { return nil }
        return HostPort(host: host, port: stun.port)
    }
}
