// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditServer
import ArgumentParser

/// `adit server reload`
struct ServerReloadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Let the running server read its configuration again."
    )

    @OptionGroup var place: ServerPlace

    func run() async throws {
        let reply = try await ControlClient(place.folder()).ask(.reload)
        let style = ProcessFacts.style()
        let changed = reply.changed ?? []
        let done =
            changed.isEmpty
            ? Text("nothing that can change while it runs has changed", zh: "没有可在运行中生效的变更")
            : Text("in force now: \(changed.joined(separator: ", "))", zh: "已生效：\(changed.joined(separator: "、"))")
        StandardStream.line(ServerScreen.row("✓", Text("reload", zh: "重新加载"), done, style))
        guard let later = reply.needsRestart, !later.isEmpty else { return }
        let rest = Text(
            "only after a restart: \(later.joined(separator: ", "))",
            zh: "重启后才生效：\(later.joined(separator: "、"))"
        )
        StandardStream.line(ServerScreen.row("!", Text("restart", zh: "需要重启"), rest, style))
    }
}

/// `adit server stop`
struct ServerStopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Stop the running server when its visitors are done."
    )

    @OptionGroup var place: ServerPlace

    func run() async throws {
        // The longest drain that a configuration may ask for, and a little more.
        _ = try await ControlClient(place.folder()).ask(.stop, timeout: .seconds(3610))
        StandardStream.line(
            ServerScreen.row(
                "✓",
                Text("stopped", zh: "已停止"),
                Text("the server has ended", zh: "服务器已退出"),
                ProcessFacts.style()
            )
        )
    }
}
