// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditWire
import ArgumentParser
import NIOPosix
import Synchronization

/// `adit join INVITE`
struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join",
        abstract: "Connect this computer to a server, once.",
        discussion: "The server's owner makes an invite with:  adit server invite"
    )

    @Argument(help: "The invite, HOST/XXXX-XXXX-…")
    var invite: String

    @Option(help: "What the server shall call this computer. Without it, its host name.")
    var name: String?

    @Option(help: ArgumentHelp("The framing of sessions with this server, kept with it. (v2)", valueName: "v1|v2"))
    var wire: FRPWireVersion?

    @Flag(help: "One JSON object.")
    var json = false

    @Flag(help: "Try once; exit code 3 when the server cannot be reached.")
    var once = false

    func run() async throws {
        let style = ProcessFacts.style()
        let home = try ProcessFacts.home()
        let operation = try JoinOperation(
            invite: invite,
            name: name ?? ProcessFacts.hostName(),
            home: home,
            wireVersion: wire ?? .v2,
            logger: CommandLog.silent
        )
        let task = Task { [once] in
            try await operation.run(
                on: MultiThreadedEventLoopGroup.singleton.next(),
                isOnce: once,
                waiting: WaitingWords().tell
            )
        }
        let signals = CommandSignal.watch { _ in task.cancel() }
        defer { signals.cancel() }
        let server: JoinedServer
        do {
            server = try await task.value
        } catch is CancellationError {
            throw ExitCode.failure
        }
        if json {
            return StandardStream.line(
                JSONLine([
                    "event": "joined", "server": .string(server.place.description),
                    "device": .string(server.deviceName),
                    "serverName": .string(server.serverName), "domain": .string(server.domain),
                    "fingerprint": .string(server.fingerprint),
                ]).text
            )
        }
        StandardStream.line(JoinWords.joined(server, style))
    }
}

/// What a join says.
enum JoinWords {
    /// `✓ joined as "mei-laptop"        next:  adit http 3000`
    static func joined(_ server: JoinedServer, _ style: ScreenStyle) -> String {
        let place = server.shownPlace
        let name = Foreign.clean(server.deviceName, limit: 80)
        let words = Text(
            "joined \(place) as \"\(name)\"        next:  adit http 3000",
            zh: "已加入 \(place)，名称 “\(name)”        下一步：  adit http 3000"
        )
        return (style.isTerminal ? "  " : "") + style.paint(style.spell("✓"), .green) + " "
            + style.spell(words.in(style.language))
    }
}

/// Tells on standard error why joining takes longer: each reason once, then the waits.
private final class WaitingWords: Sendable {
    private let shown = Mutex<AditError?>(nil)

    func tell(_ error: AditError, _ retryAfter: Duration) {
        let style = ProcessFacts.asideStyle()
        let isNews = shown.withLock { shown in
            defer { shown = error }
            return shown != error
        }
        if isNews {
            for line in ErrorWords.lines(error, style) { StandardStream.aside(line) }
        }
        let seconds = Int(retryAfter.inSeconds.rounded(.up))
        guard seconds > 0 else { return }
        let words = Text("retrying in \(seconds) s …", zh: "\(seconds) s 后重试 …").in(style.language)
        StandardStream.aside((style.isTerminal ? "    " : "") + style.spell(words))
    }
}
