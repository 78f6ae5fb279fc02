// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditServer
import ArgumentParser

/// `adit server devices`
struct ServerDevicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "The devices that joined.",
        subcommands: [ServerDevicesListCommand.self, ServerDevicesRemoveCommand.self],
        defaultSubcommand: ServerDevicesListCommand.self
    )
}

/// `adit server devices list`
struct ServerDevicesListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List them.")

    @OptionGroup var place: ServerPlace

    @Flag(help: "One JSON object for each.")
    var json = false

    func run() async throws {
        let state = try place.folder()
        guard state.isInitialised else { return ServerDevices.sayNobody(json) }
        let store = try Store(path: state.databaseFile)
        defer { store.close() }
        let devices = try store.devices()
        let style = ProcessFacts.style()
        let now = UnixClock.system.now()
        let width = devices.map { Figures.width(Foreign.clean($0.name)) }.max() ?? 0
        for device in devices {
            let name = Foreign.clean(device.name)
            let key = Hexadecimal.decode(device.key).map { KeyFingerprint(of: $0).description } ?? ""
            if json {
                let line = JSONLine([
                    "name": .string(name), "key": .string(key), "joined": .number(device.joined.seconds),
                    "lastSeen": .number(device.lastSeen.seconds), "removed": device.removed.map { .number($0.seconds) },
                ])
                StandardStream.line(line.text)
                continue
            }
            let age = Figures.duration(now - (device.removed ?? device.lastSeen))
            let fact =
                device.removed == nil
                ? Text("last seen \(age) ago", zh: "\(age) 前在线") : Text("removed \(age) ago", zh: "\(age) 前已移除")
            StandardStream.line(
                "  " + Figures.padded(name, width) + "  \(key)  " + style.spell(fact.in(style.language))
            )
        }
        if devices.isEmpty { ServerDevices.sayNobody(json) }
    }
}

/// `adit server devices remove NAME`
struct ServerDevicesRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Remove a device: its session ends, its names stay reserved for 90 days.",
        discussion: "`revoke` is the same.",
        aliases: ["revoke"]
    )

    @OptionGroup var place: ServerPlace

    @Argument(help: "The device's name.")
    var name: String

    func run() async throws {
        let state = try place.folder()
        guard state.isInitialised else { throw ServerDevices.unknown(name) }
        let store = try Store(path: state.databaseFile)
        defer { store.close() }
        guard let device = try store.removeDevice(named: name, at: UnixClock.system.now()) else {
            throw ServerDevices.unknown(name)
        }
        // A server that runs ends the session now; one that does not will not let the device in.
        do {
            _ = try await ControlClient(state).ask(.recheck)
        } catch let error as AditError where error.code == .serverProcess {}
        StandardStream.line(
            ServerScreen.row(
                "✓",
                Text("removed", zh: "已移除"),
                Text(verbatim: Foreign.clean(device.name)),
                ProcessFacts.style()
            )
        )
    }
}

enum ServerDevices {
    /// Having no device is no error: it is where every server begins.
    static func sayNobody(_ isJSON: Bool) {
        if isJSON { return }
        let style = ProcessFacts.style()
        let text = Text("no device has joined:  adit server invite", zh: "还没有设备加入：adit server invite")
        StandardStream.line("  " + style.spell(text.in(style.language)))
    }

    static func unknown(_ name: String) -> AditError {
        let shown = Foreign.clean(name, limit: 80)
        return AditError(
            .usage,
            Text("no device is called \"\(shown)\"", zh: "没有名为 \"\(shown)\" 的设备"),
            fix: Text("see them:  adit server devices", zh: "查看：adit server devices")
        )
    }
}
