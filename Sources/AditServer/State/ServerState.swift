// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The folder in which a server keeps its identity, its database, its lock and its control socket.
///
/// Only its owner may enter it (mode 0700), and every file in it is its owner's alone (mode 0600).
package struct ServerState: Sendable, Hashable {
    /// The folder's absolute path, without a slash at its end.
    package let path: String

    /// Names a folder without touching it.
    package init(path: String) {
        var text = path
        if !text.hasPrefix("/"), let here = Self.workingFolder() { text = here + "/" + text }
        while text.count > 1, text.hasSuffix("/") { text.removeLast() }
        self.path = text
    }

    /// The folder that the environment asks for.
    ///
    /// It is `$ADIT_HOME`, else `/var/lib/adit` for root, else `$XDG_STATE_HOME/adit` or `~/.local/state/adit`. A process without
    /// any of these variables gets the home of its user from the system's user database.
    package static func standard(
        environment: (String) -> String? = { variable($0) },
        isRoot: Bool = geteuid() == 0
    ) -> ServerState {
        // XDG Base Directory Specification: a relative path is invalid and ignored.
        func folder(_ name: String) -> String? {
            environment(name).flatMap { $0.hasPrefix("/") ? $0 : nil }
        }
        if let home = environment("ADIT_HOME"), !home.isEmpty { return ServerState(path: home) }
        if isRoot { return ServerState(path: "/var/lib/adit") }
        if let state = folder("XDG_STATE_HOME") { return ServerState(path: state + "/adit") }
        let home = folder("HOME") ?? Self.homeOfUser() ?? "/tmp/adit-\(geteuid())"
        return ServerState(path: home + "/.local/state/adit")
    }

    /// The private key of the server, PEM.
    package var keyFile: String { path + "/server.key" }
    /// The certificate of the server, PEM.
    package var certificateFile: String { path + "/server.crt" }
    /// The SQLite database.
    package var databaseFile: String { path + "/adit.sqlite" }
    /// The file whose lock says that a server runs.
    package var lockFile: String { path + "/server.lock" }
    /// The Unix socket on which a running server takes commands.
    package var controlSocket: String { path + "/control.sock" }

    /// Whether the folder holds a server's identity.
    package var isInitialised: Bool { access(keyFile, F_OK) == 0 }

    /// Makes the folder and its parents where they are missing, and closes it to everybody else.
    ///
    /// Throws `AditError` 903 when it cannot be made, is not a folder, or belongs to another user.
    package func prepare() throws(AditError) {
        var made = ""
        for part in path.split(separator: "/") {
            made += "/" + part
            if mkdir(made, made == path ? 0o700 : 0o755) != 0, errno != EEXIST { throw failure(errno) }
        }
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw failure(errno) }
        defer { close(folder) }
        // Only the owner may change the mode, so this fails on a folder that another user could open again.
        guard fchmod(folder, 0o700) == 0 else { throw failure(errno) }
        closeDatabaseFiles()
    }

    /// Takes every right of other users on the database's files, which SQLite makes with the process's mask.
    package func closeDatabaseFiles() {
        for suffix in ["", "-wal", "-shm"] { _ = chmod(databaseFile + suffix, 0o600) }
    }

    private func failure(_ number: Int32) -> AditError {
        AditError(
            .state,
            Text("the state folder cannot be used", zh: "无法使用状态目录"),
            why: [Text(verbatim: "\(path): \(String(cString: strerror(number)))")],
            fix: Text(
                "choose another with  --state FOLDER  or the variable ADIT_HOME",
                zh: "请用 --state 目录 或环境变量 ADIT_HOME 指定其他目录"
            )
        )
    }

    /// A variable of the process's environment.
    package static func variable(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    private static func homeOfUser() -> String? {
        guard let entry = getpwuid(geteuid()), let folder = entry.pointee.pw_dir else { return nil }
        let home = String(cString: folder)
        return home.hasPrefix("/") ? home : nil
    }

    private static func workingFolder() -> String? {
        guard let buffer = getcwd(nil, 0) else { return nil }
        defer { free(buffer) }
        return String(cString: buffer)
    }
}
