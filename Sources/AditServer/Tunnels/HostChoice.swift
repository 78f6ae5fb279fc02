// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditTunnel
package import AditWire

/// Which hosts an http tunnel asks for, and whether it may.
package struct HostChoice: Sendable, Equatable {
    /// A host and the name under which its lease is kept.
    package struct Host: Sendable, Hashable {
        /// The host or pattern that visitors use.
        package var host: HostName
        /// The label in front of the server's domain, or the whole host.
        package var leaseName: String
    }

    /// The hosts that were asked for; empty when the server is to choose one.
    package var hosts: [Host] = []

    /// Reads a request; throws what is wrong with it.
    ///
    /// frps's rules differ: names that Adit keeps back are free there, and a custom domain under the server's own is not.
    package init(_ request: FRPNewProxy, domain: String?, role: ServerSetup.Role, reserved: Set<String>)
        throws(AditError)
    {
        var labels: [String] = []
        if let wanted = request.adit?.name, !wanted.isEmpty { labels.append(wanted) }
        if !request.subdomain.isEmpty { labels.append(request.subdomain) }
        var customDomains = request.customDomains
        for label in labels {
            if label.contains("."), request.subdomain != label {
                customDomains.append(label)
            } else {
                try append(label: label.lowercased(), domain: domain, role: role, reserved: reserved)
            }
        }
        for text in customDomains {
            guard let host = HostName(text), host.isPattern else {
                throw Self.invalid(text, "it is not a host name", zh: "它不是主机名")
            }
            if let domain, host.text == domain || host.text.hasSuffix("." + domain) {
                let label = String(host.text.dropLast(domain.utf8.count + 1))
                guard role == .adit else {
                    throw Self.invalid(
                        text,
                        "custom domain [\(host)] should not belong to subdomain host [\(domain)]",
                        zh: "自定义域名不应属于 \(domain)"
                    )
                }
                try append(label: label, domain: domain, role: role, reserved: reserved)
                continue
            }
            if role == .adit, host.text.hasPrefix("*"), domain.map({ Self.covers(host, $0) }) ?? (host.text == "*") {
                throw Self.invalid(text, "it would cover the names of other devices", zh: "它会覆盖其他设备的名字")
            }
            hosts.append(Host(host: host, leaseName: host.text))
        }
    }

    private mutating func append(
        label: String,
        domain: String?,
        role: ServerSetup.Role,
        reserved: Set<String>
    ) throws(AditError) {
        guard let domain else {
            throw AditError(
                .nameInvalid,
                Text("this server has no domain, so it gives no names", zh: "此服务器没有域名，无法分配名字"),
                why: [Text("its web tunnels have ports of their own", zh: "它的网站隧道使用独立端口")],
                fix: Text("leave out  --name", zh: "请去掉 --name")
            )
        }
        if role == .adit {
            if let fault = TunnelName.fault(in: label) { throw fault }
            guard !reserved.contains(label) else {
                throw AditError(
                    .nameReserved,
                    Text("the name \(label) is kept by the server's owner", zh: "名字 \(label) 由服务器所有者保留"),
                    fix: Text("use  --name my-\(label)", zh: "请用 --name my-\(label)")
                )
            }
        }
        guard let host = HostName(label + "." + domain), !label.contains("*"), !label.contains(".") else {
            throw Self.invalid(label, "'.' and '*' are not supported in a subdomain", zh: "子域名中不能有 . 和 *")
        }
        hosts.append(Host(host: host, leaseName: label))
    }

    /// Whether a pattern matches names in front of the domain.
    private static func covers(_ pattern: HostName, _ domain: String) -> Bool {
        pattern.text == "*" || domain.hasSuffix(pattern.text.dropFirst(1))
    }

    private static func invalid(_ text: String, _ why: String, zh: String) -> AditError {
        let shown = LineLogHandler.printable(String(text.prefix(80)))
        return AditError(
            .nameInvalid,
            Text("the name \(shown) cannot be used", zh: "名字 \(shown) 不能使用"),
            why: [Text(why, zh: zh)]
        )
    }
}
