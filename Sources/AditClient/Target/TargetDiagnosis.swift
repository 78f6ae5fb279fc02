// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore

/// Turns what a probe found, and what is known about this machine, into words with a next step.
package struct TargetDiagnosis: Sendable {
    /// What listens on this machine.
    package var listening: [ListeningPort]
    /// Whether Adit runs inside a container.
    package var isInContainer: Bool

    /// Makes a diagnosis from facts.
    package init(listening: [ListeningPort], isInContainer: Bool) {
        self.listening = listening
        self.isInContainer = isInContainer
    }

    /// The facts of this machine as they are now.
    package static func ofThisMachine() -> TargetDiagnosis {
        TargetDiagnosis(listening: ListeningPorts.read(), isInContainer: ContainerFacts.isInContainer())
    }

    /// How the target is; `command` is the word after `adit` that opens this kind of tunnel.
    package func health(_ result: ProbeResult, of target: TunnelTarget, command: String) -> TargetHealth {
        switch result {
        case .accepts(let after), .silent(let after): .answers(status: nil, after: after)
        case .answered(let status, let after, _): .answers(status: status, after: after)
        case .speaksTLS: .fails(wrongScheme(target, command, speaks: "https"))
        case .speaksClear: .fails(wrongScheme(target, command, speaks: "http"))
        case .unproven: .unknown
        case .failed(let failure): .fails(error(failure, target, command))
        }
    }

    private func wrongScheme(_ target: TunnelTarget, _ command: String, speaks scheme: String) -> AditError {
        var other = target
        other.scheme = scheme == "https" ? .https : .http
        return AditError(
            .wrongScheme,
            Text(
                "\(target.host):\(target.port) speaks \(scheme.uppercased()), not \(target.scheme.rawValue.uppercased())",
                zh: "\(target.host):\(target.port) 使用 \(scheme.uppercased())，而不是 \(target.scheme.rawValue.uppercased())"
            ),
            fix: Text(verbatim: "adit \(command) \(scheme)://\(HostPort(host: other.host, port: other.port))")
        )
    }

    private func error(_ failure: TargetFailure, _ target: TunnelTarget, _ command: String) -> AditError {
        let place = HostPort(host: target.host, port: target.port)
        switch failure {
        case .forbidden(let error): return error
        case .refused:
            guard target.isLoopback else { return refusedElsewhere(place) }
            if let port = listening.first(where: { $0.endpoint.port == target.port }),
                !port.endpoint.address.isUnspecified,
                !(port.endpoint.address.isLoopback && IPAddress(target.host) == nil),
                IPAddress(target.host) != port.endpoint.address
            {
                return otherAddress(place, port, target, command)
            }
            if isInContainer, likely(for: target) == nil { return inContainer(place, target, command) }
            return nothing(place, target, command)
        case .unresolved(let words):
            return AditError(
                .nothingListens,
                Text("\(target.host) does not resolve", zh: "\(target.host) 无法解析"),
                why: [Text(verbatim: words)],
                fix: Text("correct the name, or use an address", zh: "改正名称，或使用 IP 地址")
            )
        case .timedOut:
            return AditError(
                .nothingListens,
                Text("no answer from \(place)", zh: "\(place) 没有应答"),
                fix: Text("is that machine on, and in the same network?", zh: "那台机器是否开机，且在同一网络？")
            )
        case .tls(let words), .other(let words):
            return AditError(
                .nothingListens,
                Text("cannot connect to \(place)", zh: "无法连接 \(place)"),
                why: [Text(verbatim: words)]
            )
        }
    }

    private func refusedElsewhere(_ place: HostPort) -> AditError {
        AditError(
            .nothingListens,
            Text("nothing answers on \(place)", zh: "\(place) 没有应答"),
            why: [Text("the machine is there and refused the connection", zh: "机器在线，但拒绝了连接")],
            fix: Text("start the service there, or name its port", zh: "在那里启动服务，或改正端口")
        )
    }

    private func otherAddress(
        _ place: HostPort,
        _ port: ListeningPort,
        _ target: TunnelTarget,
        _ command: String
    ) -> AditError {
        let name = port.process.map { "\($0) " } ?? ""
        return AditError(
            .otherAddress,
            Text("\(place) refused", zh: "\(place) 拒绝连接"),
            why: [Text("\(name)listens on \(port.endpoint)", zh: "\(name)监听在 \(port.endpoint)")],
            fix: Text(verbatim: "adit \(command) \(port.endpoint)")
        )
    }

    private func inContainer(_ place: HostPort, _ target: TunnelTarget, _ command: String) -> AditError {
        AditError(
            .refusedInContainer,
            Text("\(place) refused, and Adit runs inside a container", zh: "\(place) 拒绝连接，且 Adit 运行在容器中"),
            why: listeningWords(except: target.port),
            fix: Text(
                "adit \(command) host.docker.internal:\(target.port)   or the service name, e.g. web:\(target.port)",
                zh: "adit \(command) host.docker.internal:\(target.port)   或服务名，如 web:\(target.port)"
            )
        )
    }

    private func nothing(_ place: HostPort, _ target: TunnelTarget, _ command: String) -> AditError {
        let guess = likely(for: target)
        return AditError(
            .nothingListens,
            Text("nothing answers on \(place)", zh: "\(place) 没有应答"),
            why: listeningWords(except: target.port),
            fix: guess.map {
                Text(
                    "did you mean:  adit \(command) \($0.endpoint.port)",
                    zh: "是否想用：  adit \(command) \($0.endpoint.port)"
                )
            }
                ?? Text("start the app; the tunnel opens by itself", zh: "启动程序，隧道会自动开放")
        )
    }

    /// `listening here: 5173 node · 8080 java`, at most eight of them, without the ports of the system.
    private func listeningWords(except wanted: UInt16) -> [Text] {
        let others = listening.filter { $0.endpoint.port != wanted && isReachable($0) && $0.process != "adit" }
        guard !others.isEmpty else { return [] }
        let shown = others.sorted { rank($0) > rank($1) }.prefix(8).sorted { $0.endpoint.port < $1.endpoint.port }
        let list = shown.map { "\($0.endpoint.port)" + ($0.process.map { " \($0)" } ?? "") }.joined(separator: " · ")
        return [Text("listening here: \(list)", zh: "本机正在监听：\(list)")]
    }

    /// The port that was probably meant: of a program that serves web pages, for a web name.
    private func likely(for target: TunnelTarget) -> ListeningPort? {
        let candidates = listening.filter { isReachable($0) && $0.process != "adit" }
        return candidates.filter { target.scheme != .tcp && rank($0) >= 2 }.max { rank($0) < rank($1) }
    }

    private func isReachable(_ port: ListeningPort) -> Bool {
        port.endpoint.address.isLoopback || port.endpoint.address.isUnspecified
    }

    private func rank(_ port: ListeningPort) -> Int {
        let servers = ["node", "python", "ruby", "java", "php", "deno", "bun", "vite", "dotnet", "caddy", "nginx"]
        let process = port.process ?? ""
        var rank = servers.contains { process.hasPrefix($0) } ? 2 : 0
        switch port.endpoint.port {
        case 3000...3010, 4200, 4321, 5000, 5173...5180, 8000...8100, 8888: rank += 2
        case ..<1024: rank -= 1
        default: break
        }
        return rank
    }
}

/// Whether this process runs inside a container.
package enum ContainerFacts {
    /// Looks for the marks that Docker, Podman and Kubernetes leave.
    package static func isInContainer() -> Bool {
        for mark in ["/.dockerenv", "/run/.containerenv"] where (try? SmallFile.bytes(at: mark, limit: 1)) != nil {
            return true
        }
        return SmallFile.text(at: "/proc/1/cgroup", limit: 16_384).map(namesContainer) ?? false
    }

    /// Whether the text of /proc/1/cgroup names a container runtime (cgroups(7)).
    static func namesContainer(_ text: String) -> Bool {
        ["docker", "kubepods", "containerd", "libpod", "/lxc/"].contains { text.contains($0) }
    }
}
