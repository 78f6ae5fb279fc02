// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditTraversal
import AditWire
import ArgumentParser
import Glibc

/// `adit ssh [USER@]NAME [-- ssh's arguments]`
struct SSHCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ssh",
        abstract: "The ssh of this computer, to another device wherever it is.",
        discussion: """
            The other device offers it:  adit expose ssh
            The host's key is kept in known_hosts as NAME.adit. What stands behind -- goes to ssh:  adit ssh desk -- -L 8080:localhost:80
            """
    )

    @Argument(help: ArgumentHelp("The device, and the user there.", valueName: "[user@]name"))
    var destination: String

    @Argument(help: ArgumentHelp("Arguments of ssh, and a command.", valueName: "ssh's arguments"))
    var arguments: [String] = []

    @Option(help: ArgumentHelp("What the device calls the service. (ssh)", valueName: "name"))
    var service = "ssh"

    @OptionGroup var server: ServerOptions
    @OptionGroup var paths: PathFlags

    /// The command line of ssh.
    ///
    /// - Parameter program: the path of this program.
    func commandLine(program: String) throws -> [String] {
        let at = destination.lastIndex(of: "@")
        let name = at.map { String(destination[destination.index(after: $0)...]) } ?? destination
        let user = at.map { String(destination[..<$0]) }
        guard ServicePlace("\(name)/\(service)") != nil, !name.contains("/"), Self.isPlain(name),
            user.map(Self.isPlain) ?? true
        else { throw ValidationError("\"\(destination)\" is not the name of a device, such as desk or mei@desk") }
        var proxy = [program, "connect", "\(name)/\(service)", "--stdio", "--show-path"]
        if let p2p = paths.p2p { proxy += ["--p2p", p2p.rawValue] }
        if paths.portBlocks { proxy.append("--port-blocks") }
        if let place = server.server { proxy += ["--server", place] }
        if let fingerprint = server.fingerprint { proxy += ["--fingerprint", fingerprint] }
        if let wire = server.wire { proxy += ["--wire", wire.rawValue] }
        return [
            "ssh", "-o", "ProxyCommand=" + proxy.map(Self.quoted).joined(separator: " "), "-o",
            "HostKeyAlias=\(name).adit",
        ]
            + (user.map { ["-l", $0] } ?? []) + [name] + arguments
    }

    func run() throws {
        if paths.noPaths { throw ValidationError("a device is reached by a path; leave --no-paths away") }
        let line = try commandLine(program: Self.ownPath())
        // A token is for nobody who lists the processes of this machine.
        if let token = server.token { setenv("ADIT_TOKEN", token, 1) }
        let program = line[0]
        let words = line.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        execvp(program, words)
        let reason = errno
        throw AditError(
            .programMissing,
            Text("ssh is not installed on this computer", zh: "本机没有安装 ssh"),
            why: [Text(verbatim: String(cString: strerror(reason)))],
            fix: Text(
                "sudo apt install openssh-client    or use another client:  adit connect NAME/ssh 2222",
                zh: "sudo apt install openssh-client    或使用其他客户端：  adit connect 名称/ssh 2222"
            )
        )
    }

    /// A word that ssh takes for no flag, and that no shell and no ssh_config(5) reads anything into.
    private static func isPlain(_ word: String) -> Bool {
        !word.isEmpty && !word.hasPrefix("-") && word.utf8.allSatisfy { $0 > 32 && $0 != 127 }
            && !word.contains { "'\"\\`$;&|<>(){}*?!".contains($0) }
    }

    /// A word as the shell of ssh's ProxyCommand takes it; % stands for a token there.
    static func quoted(_ word: String) -> String {
        "'" + word.replacing("'", with: "'\\''").replacing("%", with: "%%") + "'"
    }

    private static func ownPath() -> String {
        var buffer = [CChar](repeating: 0, count: 4097)
        let count = readlink("/proc/self/exe", &buffer, 4096)
        guard count > 0 else { return CommandLine.arguments.first ?? "adit" }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
