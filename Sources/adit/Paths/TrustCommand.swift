// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import ArgumentParser

/// `adit trust NAME SHA256:…`
struct TrustCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust",
        abstract: "Accepts the new key of another device.",
        discussion: """
            A device is its key, and this computer remembers the key under which it met a name first. When a device was set up \
            anew, compare the fingerprint with what  adit status  shows on that device, and give it here.
            """
    )

    @Argument(help: "The other device, by its name at the server.")
    var name: String

    @Argument(help: ArgumentHelp("The fingerprint of its key, as  adit status  shows it there.", valueName: "SHA256:…"))
    var fingerprint: String

    @OptionGroup var server: ServerOptions

    func run() throws {
        guard let wanted = KeyFingerprint(fingerprint) else {
            throw ValidationError("\"\(fingerprint.prefix(80))\" is not a fingerprint: SHA256: and 43 characters")
        }
        let home = try ProcessFacts.home()
        let servers = try home.servers()
        let place = server.server.flatMap { HostPort($0, defaultPort: 7000) }
        guard let joined = place.map({ place in servers.first { $0.place == place } }) ?? servers.first else {
            throw AditError(.notJoined, Text("this computer has not joined a server", zh: "本机尚未加入服务器"))
        }
        var before: KeyFingerprint?
        try home.changeKnownDevices { known in
            before = known.key(of: name, at: joined.fingerprint)
            known.set(wanted, of: name, at: joined.fingerprint, now: ScreenTime.now().seconds)
        }
        let style = ProcessFacts.style()
        let words =
            before == wanted
            ? Text("\(name) has that key already", zh: "\(name) 已是该密钥")
            : Text("\(name) is met with that key from now on", zh: "今后以该密钥认定 \(name)")
        StandardStream.line(style.spell("✓ " + words.in(style.language)))
    }
}
