// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Recognizes an app that answers only to Host headers that it knows, as development servers do against DNS rebinding.
enum HostCheck {
    /// What the app says when it rejects a name: Vite, Rails, webpack and Angular, Django.
    private static let signs = [
        "Blocked request", "Blocked host", "Invalid Host header", "DisallowedHost", "Invalid HTTP_HOST header",
    ]

    /// The error that tells so; nil when the app took the public name, or rejects its own as well.
    static func rejection(publicName: ProbeResult, ownName: ProbeResult, target: TunnelTarget) -> AditError? {
        guard case .answered(let status, _, let start) = publicName, (400..<500).contains(status) || status == 200,
            let sign = signs.first(where: { start.contains($0) }),
            case .answered(_, _, let ownStart) = ownName, !ownStart.contains(sign)
        else { return nil }
        return AditError(
            .hostRejected,
            Text("the app answered \(status) \"\(sign)\" to its public name", zh: "程序对公网名称应答 \(status) “\(sign)”"),
            why: [
                Text(
                    "it checks the Host header; sending \(target.authority) instead",
                    zh: "它会检查 Host 头；已改为发送 \(target.authority)"
                )
            ],
            fix: Text("to stop this:  --host-header keep", zh: "如不需要：  --host-header keep")
        )
    }
}
