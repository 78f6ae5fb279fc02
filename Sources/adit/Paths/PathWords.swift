// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal

/// Paths in words.
enum PathWords {
    /// `direct`, `direct TCP`, `relay`, `relay TCP`, `no path`.
    static func kind(_ kind: PathKind) -> Text {
        switch kind {
        case .none: Text("no path", zh: "无路径")
        case .direct(.udp): Text("direct", zh: "直连")
        case .direct(.tcp): Text("direct TCP", zh: "TCP 直连")
        case .relayed(.udp): Text("relay", zh: "中继")
        case .relayed(.tcp): Text("relay TCP", zh: "TCP 中继")
        case .relayed(.session): Text("relay by session", zh: "会话中继")
        case .relayed(.tls): Text("relay TLS", zh: "TLS 中继")
        }
    }

    /// The same from a status.
    static func kind(_ kind: String, _ transport: String?) -> Text {
        switch (kind, transport) {
        case ("direct", "tcp"): self.kind(.direct(.tcp))
        case ("direct", _): self.kind(.direct(.udp))
        case ("relayed", "tcp"): self.kind(.relayed(.tcp))
        case ("relayed", "tls"): self.kind(.relayed(.tls))
        case ("relayed", "session"): self.kind(.relayed(.session))
        case ("relayed", _): self.kind(.relayed(.udp))
        default: self.kind(.none)
        }
    }

    /// `0.3 ms`, `14 ms`, `1.2 s`.
    static func trip(_ time: Duration) -> String {
        let microseconds = time.wholeNanoseconds / 1000
        guard microseconds < 9_950 else { return Figures.duration(time) }
        let tenths = max(1, (microseconds + 50) / 100)
        return tenths % 10 == 0 ? "\(tenths / 10) ms" : "\(tenths / 10).\(tenths % 10) ms"
    }

    /// What `PathFailure` means.
    ///
    /// - Parameter reason: why packets go no way, where that was found out.
    static func failure(_ failure: PathFailure, _ peer: String, reason: Text? = nil) -> AditError {
        switch failure {
        case .noAnswer: PathProblem.silent(peer)
        case .left, .disconnected:
            AditError(.deviceOffline, Text("\(peer) has left", zh: "\(peer) 已离开"))
        case .tooManyPeers:
            PathProblem.tooMany
        case .noPath:
            AditError(
                .noPath,
                Text("no path to \(peer)", zh: "没有到 \(peer) 的路径"),
                why: reason.map { [$0] } ?? [],
                fix: Text("every step:  adit ping \(peer) --trace", zh: "查看每一步：  adit ping \(peer) --trace")
            )
        }
    }
}

/// Paths as JSON objects; members are only ever added.
enum PathJSON {
    /// What is known of a path.
    static func members(_ peer: String, _ report: PathReport, own: String, _ language: Language) -> JSONLine {
        let status = DeviceStatus.Path(peer, report, own: own, at: 0)
        return JSONLine([
            "peer": .string(peer), "path": .string(status.kind), "transport": status.transport.map { .string($0) },
            "roundTripMs": report.roundTrip.map(milliseconds),
            "reason": .string(report.sentence(local: own, remote: peer).in(language)),
            "tactic": report.tactic.map { .string($0.rawValue) },
            "timeToPathMs": report.timeToPath.map(milliseconds),
            "timeToDirectMs": report.timeToDirect.map(milliseconds),
            "packetsSpent": .number(Int64(report.packetsSpent)),
            "local": .object(end(report.localEndpoint, report.localType, report.local)),
            "remote": .object(end(report.remoteEndpoint, report.remoteType, report.remote)),
        ])
    }

    private static func end(_ endpoint: IPEndpoint?, _ type: ICECandidateType?, _ nat: PathNAT) -> JSONLine {
        JSONLine([
            "endpoint": endpoint.map { .string($0.description) }, "candidate": type.map { .string(Self.name($0)) },
            "udp": nat.udp.kind.map { .string($0.rawValue) }, "tcp": nat.tcp.kind.map { .string($0.rawValue) },
            "address": nat.address.map { .string($0.description) },
        ])
    }

    private static func name(_ type: ICECandidateType) -> String {
        switch type {
        case .host: "host"
        case .serverReflexive: "srflx"
        case .peerReflexive: "prflx"
        case .relayed: "relay"
        }
    }

    /// Milliseconds with two digits behind the point.
    static func milliseconds(_ time: Duration) -> JSONLine.Value {
        .decimal(Double(time.wholeNanoseconds / 10_000) / 100)
    }
}
