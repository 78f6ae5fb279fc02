// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal
import ArgumentParser
import NIOPosix

/// `adit doctor nat`
struct DoctorNATCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "nat",
        abstract: "What the NAT in front of this computer does, and whom it lets reach directly.",
        discussion: """
            Asks the server that this computer joined, or the STUN servers named with --stun, and this network's
            router; nobody else. It takes a few seconds and changes nothing.
            """
    )

    /// The port of STUN (RFC 8489 section 18.6).
    static let stunPort: UInt16 = 3478

    @Option(help: ArgumentHelp("A STUN server; may be repeated, and needs no joined server.", valueName: "host[:port]"))
    var stun: [String] = []

    @Flag(help: "Also how long an idle mapping lives; takes two minutes.")
    var lifetime = false

    @Option(help: ArgumentHelp("Ask through this interface alone, such as eth1.", valueName: "name"))
    var interface: String?

    @Option(
        help: ArgumentHelp(
            "A web page without TLS to look for a sign-in page in its place; without it, the joined server's own.",
            valueName: "http://…"
        )
    )
    var page: String?

    @Option(help: "The language of the report: en or zh. Without it, the system's.")
    var language: Language?

    @Flag(help: "One JSON object.")
    var json = false

    func run() async throws {
        var style = ProcessFacts.style()
        if let language { style.language = language }
        let question = try question(joined: { try ProcessFacts.home().servers().first })
        let progress = NATDoctorProgress(isShown: !json, language: style.language)
        let doctor = NATDoctor(question, on: MultiThreadedEventLoopGroup.singleton.next())
        let task = Task { try await doctor.run(progress.tell) }
        let signals = CommandSignal.watch { _ in task.cancel() }
        defer { signals.cancel() }
        let result = await task.result
        progress.end()
        let report: NATReport
        do {
            report = try result.get()
        } catch is CancellationError {
            throw ExitCode.failure
        }
        if json {
            StandardStream.line(NATDoctorJSON.line(report).text)
        } else {
            for line in NATDoctorScreen.lines(report, style) { StandardStream.line(line) }
        }
        guard report.isDiagnosis else {
            throw Self.silence(question)
        }
    }

    /// What the flags and the joined server ask for.
    ///
    /// - Throws: `ErrorCode.usage` for a wrong flag, `notJoined` when there is nobody to ask.
    func question(joined: () throws -> JoinedServer?) throws -> NATDoctor.Question {
        let named = try stun.map { text in
            guard let place = HostPort(text, defaultPort: Self.stunPort) else {
                let shown = Foreign.clean(text, limit: 80)
                throw AditError(
                    .usage,
                    Text("\"\(shown)\" is not a server", zh: "“\(shown)” 不是服务器"),
                    fix: "adit doctor nat --stun stun.example.com:3478"
                )
            }
            return place
        }
        let page = try page.map { text in
            guard let page = NATDoctor.WebPage(text) else {
                throw AditError(
                    .usage,
                    Text("--page is a web page without TLS on port 80", zh: "--page 须为 80 端口上不带 TLS 的网页"),
                    fix: "adit doctor nat --page http://www.example.com/"
                )
            }
            return page
        }
        guard named.isEmpty else {
            return NATDoctor.Question(servers: named, page: page, measuresLifetime: lifetime, interface: interface)
        }
        guard let server = try joined() else {
            throw AditError(
                .notJoined,
                Text("there is no STUN server to ask", zh: "没有可询问的 STUN 服务器"),
                why: [
                    Text(
                        "this computer has not joined a server, and others are not asked unless you name them",
                        zh: "本机尚未加入服务器，且不会询问未指定的第三方"
                    )
                ],
                fix: Text(
                    "adit doctor nat --stun HOST    (or first:  adit join INVITE)",
                    zh: "adit doctor nat --stun 主机    （或先：  adit join 邀请）"
                )
            )
        }
        return NATDoctor.Question(
            servers: [server.stunPlace],
            page: page ?? NATDoctor.WebPage(of: server),
            measuresLifetime: lifetime,
            interface: interface
        )
    }

    /// Nothing answered, so that nothing can be said.
    private static func silence(_ question: NATDoctor.Question) -> AditError {
        let names = question.servers.prefix(4).map(\.description).joined(separator: ", ")
        return AditError(
            .stunSilent,
            Text("no STUN server answers, over UDP or TCP", zh: "没有 STUN 服务器应答（UDP 和 TCP 均无）"),
            why: [Text("asked: \(names)", zh: "已询问：\(names)")],
            fix: Text(
                "try another server:  adit doctor nat --stun HOST:PORT    (is it one that answers STUN?)",
                zh: "换一台服务器：  adit doctor nat --stun 主机:端口    （确认其提供 STUN）"
            )
        )
    }
}
