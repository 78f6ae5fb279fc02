// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditConfig
import AditCore
import AditCrypto
import AditServer
import AditTransport
import ArgumentParser

/// `adit server invite`
struct ServerInviteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "invite",
        abstract: "Make an invite for a computer to join with."
    )

    @OptionGroup var place: ServerPlace

    @Option(help: "How long it works: 30m, 2h, 1d.")
    var expires = "30m"

    @Option(help: "How many computers may join with it.")
    var uses = 1

    @Option(help: "A name for it, to tell invites apart.")
    var name = ""

    @Option(help: "The name or address of this server, when another than the known one is to stand in the invite.")
    var host: String?

    @Flag(help: "One JSON object.")
    var json = false

    func run() async throws {
        let life: Duration
        do {
            life = try DurationText.parse(expires)
        } catch {
            throw AditError(.usage, error.what)
        }
        guard (1...1000).contains(uses) else {
            throw AditError(.usage, Text("--uses is 1 to 1000", zh: "--uses 取值 1 到 1000"))
        }
        let file = try place.file().configuration
        let state = place.folder(file)
        let invite = try await Invitation.make(
            state: state,
            file: file,
            host: host,
            life: life,
            uses: uses,
            label: String(name.prefix(80))
        )
        let style = ProcessFacts.style()
        if json {
            let line = JSONLine([
                "invite": .string(invite.code.text), "command": .string("adit join \(invite.code.text)"),
                "expires": .number(invite.expires.seconds), "uses": .number(Int64(uses)),
            ])
            return StandardStream.line(line.text)
        }
        StandardStream.line(
            "\n    adit join \(invite.code.text)        " + style.spell(invite.terms(uses, life).in(style.language))
                + "\n"
        )
    }
}

/// A new invite and how it was made; shared by the commands that end with one.
struct Invitation {
    var code: InviteCode
    var expires: UnixTime

    /// Makes an invite and stores the hash of its secret.
    ///
    /// The address in it is that of the server that runs, or the one that a start with this file would have.
    static func make(
        state: ServerState,
        file: ServerConfiguration,
        host: String?,
        life: Duration,
        uses: Int,
        label: String = ""
    ) async throws -> Invitation {
        try state.prepare()
        let now = UnixClock.system.now()
        let identity = try ServerIdentity.loadOrMake(in: state, at: now)
        let store = try Store(path: state.databaseFile)
        defer { store.close() }
        state.closeDatabaseFiles()
        let secret = RandomBytes.system(InviteCode.secretByteCount)
        let server = try await address(state, file, store, host)
        let code = InviteCode(server: server, secret: secret, fingerprint: identity.fingerprint)
        let expires = now + life
        try store.addInvite(
            digest: SHA256Digest(of: secret).description,
            label: label,
            expires: expires,
            usesAllowed: uses,
            at: now
        )
        return Invitation(code: code, expires: expires)
    }

    /// `valid 30 min, once`.
    func terms(_ uses: Int, _ life: Duration) -> Text {
        let time = Figures.duration(life)
        return uses == 1
            ? Text("valid \(time), once", zh: "\(time) 内有效，限用一次")
            : Text("valid \(time), for \(uses) computers", zh: "\(time) 内有效，可供 \(uses) 台电脑使用")
    }

    private static func address(
        _ state: ServerState,
        _ file: ServerConfiguration,
        _ store: Store,
        _ host: String?
    ) async throws -> HostPort {
        let running = try? await ControlClient(state).ask(.status).status
        let port = running?.sessionPort ?? file.sessionPort
        if let host {
            guard let server = HostPort(host, defaultPort: port) else {
                throw AditError(.usage, Text("--host needs a name or an address", zh: "--host 需要名称或地址"))
            }
            return server
        }
        if let running { return HostPort(host: running.host, port: running.sessionPort) }
        let settings = try store.settings()
        if let known = settings.publicHost ?? file.domain ?? settings.domain {
            return HostPort(host: known, port: port)
        }
        if file.listen.isLoopback { return HostPort(host: "localhost", port: port) }
        let outward = await MachineAddress.outward()
        return HostPort(host: outward?.description ?? "localhost", port: port)
    }
}
