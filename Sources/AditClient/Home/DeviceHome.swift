// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
package import AditWire
import FoundationEssentials
import Glibc

/// The folder in which a device keeps its key and the servers that it joined; nobody else may look inside.
///
/// ```
/// device.key       the device's secret, made here and never sent
/// servers.json     joined servers with their pinned fingerprints, the default one first
/// servers.lock     held by whoever changes servers.json
/// run/PID.sock     one for each running process; `adit status` asks there
/// ```
package struct DeviceHome: Sendable, Hashable {
    /// The folder, an absolute path.
    package let path: String

    /// Takes the folder as it is, without looking at it.
    package init(path: String) {
        self.path = path
    }

    /// The folder of status sockets.
    package var runFolder: String { path + "/run" }

    private var keyFile: String { path + "/device.key" }
    private var serversFile: String { path + "/servers.json" }
    private var serversLock: String { path + "/servers.lock" }
    private static let keyHeading = "adit-device-key-1 "
    private static let sizeLimit = 1 << 20

    /// Chooses the folder: `$ADIT_HOME`, else /var/lib/adit for root, else `adit` in the user's state folder.
    ///
    /// - Throws: `ErrorCode.state` when the environment names no folder at all.
    package static func locate(environment: [String: String], isRoot: Bool) throws(AditError) -> DeviceHome {
        if let chosen = environment["ADIT_HOME"], !chosen.isEmpty { return DeviceHome(path: absolute(chosen)) }
        if isRoot { return DeviceHome(path: "/var/lib/adit") }
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return DeviceHome(path: state + "/adit") }
        if let home = environment["HOME"], home.hasPrefix("/") { return DeviceHome(path: home + "/.local/state/adit") }
        throw AditError(
            .state,
            Text("no folder to keep this computer's key in", zh: "没有可用来保存本机密钥的目录"),
            why: [Text("ADIT_HOME, XDG_STATE_HOME and HOME are not set", zh: "ADIT_HOME、XDG_STATE_HOME 和 HOME 均未设置")],
            fix: "export ADIT_HOME=/path/to/a/folder"
        )
    }

    /// Makes the folder and its run folder where missing, and closes them to everybody else.
    ///
    /// - Throws: `ErrorCode.state` when it cannot be made, is not a folder, or belongs to another user.
    package func prepare() throws(AditError) {
        var parent = ""
        for part in path.split(separator: "/").dropLast() {
            parent += "/" + part
            if mkdir(parent, 0o755) != 0, errno != EEXIST, errno != EROFS { throw failure(parent, errno) }
        }
        for folder in [path, runFolder] {
            if mkdir(folder, 0o700) != 0, errno != EEXIST { throw failure(folder, errno) }
            var facts = stat()
            guard lstat(folder, &facts) == 0 else { throw failure(folder, errno) }
            guard facts.st_mode & S_IFMT == S_IFDIR else { throw failure(folder, ENOTDIR) }
            guard facts.st_uid == geteuid() else { throw failure(folder, EPERM) }
            if facts.st_mode & 0o077 != 0, chmod(folder, 0o700) != 0 { throw failure(folder, errno) }
        }
    }

    /// The 32 secret bytes of this device's key, made at the first call.
    ///
    /// Of several processes that ask for the first time at once, all are given the same bytes.
    /// - Throws: `ErrorCode.state` when the file cannot be read or made, or is not a key.
    package func deviceSeed() throws(AditError) -> [UInt8] {
        try prepare()
        if access(keyFile, F_OK) != 0 {
            let seed = (0..<32).map { _ in UInt8.random(in: .min ... .max) }
            let text = Self.keyHeading + Hexadecimal.encode(seed) + "\n"
            do {
                _ = try SmallFile.write(Array(text.utf8), to: keyFile, exclusively: true)
            } catch {
                throw failure(error.path, error.number)
            }
        }
        let bytes: [UInt8]
        do {
            bytes = try SmallFile.bytes(at: keyFile, limit: 4096)
        } catch {
            throw failure(error.path, error.number)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        guard text.hasPrefix(Self.keyHeading), text.hasSuffix("\n"),
            let seed = Hexadecimal.decode(String(text.dropFirst(Self.keyHeading.count).dropLast())), seed.count == 32
        else {
            throw AditError(
                .state,
                Text("\(keyFile) is not a device key", zh: "\(keyFile) 不是设备密钥"),
                fix: Text(
                    "restore it from a backup, or move it away and join again with a new invite",
                    zh: "从备份恢复，或将其移走后用新的邀请重新加入"
                )
            )
        }
        var facts = stat()
        if stat(keyFile, &facts) == 0, facts.st_mode & 0o077 != 0, chmod(keyFile, 0o600) != 0 {
            throw failure(keyFile, errno)
        }
        return seed
    }

    /// The joined servers, the default one first; none when this computer never joined.
    ///
    /// - Throws: `ErrorCode.state` when the file is there and cannot be read.
    package func servers() throws(AditError) -> [JoinedServer] {
        let bytes: [UInt8]
        do {
            bytes = try SmallFile.bytes(at: serversFile, limit: Self.sizeLimit)
        } catch  where error.number == ENOENT || error.number == ENOTDIR {
            return []
        } catch {
            throw failure(error.path, error.number)
        }
        do {
            return try JSONDecoder().decode(JoinedServerFile.self, from: Data(bytes)).servers
        } catch {
            throw AditError(
                .state,
                Text("\(serversFile) cannot be read", zh: "无法读取 \(serversFile)"),
                why: [Text("it is not the JSON that Adit wrote", zh: "内容不是 Adit 写入的 JSON")],
                fix: Text("restore it from a backup, or join again", zh: "从备份恢复，或重新加入")
            )
        }
    }

    /// Remembers a joined server as the default one, in place of an earlier entry for the same host and port.
    ///
    /// Of several processes that join at once, each adds its server to what the others wrote.
    /// - Throws: `ErrorCode.state` when the file cannot be written.
    package func remember(_ server: JoinedServer) throws(AditError) {
        try change { servers in
            servers.removeAll { $0.place == server.place }
            servers.insert(server, at: 0)
        }
    }

    /// Remembers where a joined server answers STUN; nothing is written when that is known or the server is not joined.
    ///
    /// - Throws: `ErrorCode.state` when the file cannot be read or written.
    package func note(_ offer: STUNOffer?, of place: HostPort) throws(AditError) {
        try note(offer, \.stun, of: place)
    }

    /// Remembers where a joined server relays by TURN, with the credentials; nothing is written when that is known or the
    /// server is not joined. A nonce is not remembered.
    ///
    /// - Throws: `ErrorCode.state` when the file cannot be read or written.
    package func note(_ offer: TURNOffer?, of place: HostPort) throws(AditError) {
        var offer = offer
        offer?.nonce = ""
        try note(offer, \.turn, of: place)
    }

    private func note<Offer: Equatable>(
        _ offer: Offer?,
        _ member: WritableKeyPath<JoinedServer, Offer?>,
        of place: HostPort
    ) throws(AditError) {
        guard try servers().contains(where: { $0.place == place && $0[keyPath: member] != offer }) else { return }
        try change { servers in
            for index in servers.indices where servers[index].place == place {
                servers[index][keyPath: member] = offer
            }
        }
    }

    private func change(_ body: (inout [JoinedServer]) -> Void) throws(AditError) {
        try prepare()
        let lock = open(serversLock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw failure(serversLock, errno) }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0 {
            guard errno == EINTR else { throw failure(serversLock, errno) }
        }
        var file = JoinedServerFile(servers: try servers())
        body(&file.servers)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        guard let data = try? encoder.encode(file) else { throw failure(serversFile, EINVAL) }
        do {
            _ = try SmallFile.write(Array(data) + [UInt8(ascii: "\n")], to: serversFile)
        } catch {
            throw failure(error.path, error.number)
        }
    }

    private func failure(_ path: String, _ number: Int32) -> AditError {
        let reason = Text(verbatim: String(cString: strerror(number)))
        return AditError(
            .state,
            Text("cannot use \(path)", zh: "无法使用 \(path)"),
            why: [reason],
            fix: Text(
                "make it writable for this user, or choose another folder with  export ADIT_HOME=…",
                zh: "让当前用户可写，或用  export ADIT_HOME=…  选择其他目录"
            )
        )
    }

    private static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else { return path }
        return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self) + "/" + path
    }
}
