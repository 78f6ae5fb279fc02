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

/// The right to run the server of a state folder; the system gives it back when the process ends, however it ends.
package final class StateLock: Sendable {
    private let descriptor: Int32

    /// Takes the lock, or throws `AditError` 905 with the id of the process that has it.
    package init(_ state: ServerState) throws(AditError) {
        let descriptor = open(state.lockFile, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw AditError(
                .state,
                Text("the lock of the state folder cannot be opened", zh: "无法打开状态目录的锁文件"),
                why: [Text(verbatim: "\(state.lockFile): \(String(cString: strerror(errno)))")]
            )
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            let owner = (try? PrivateFile.read(state.lockFile)).flatMap { $0 }.map {
                String(decoding: $0, as: UTF8.self)
            }
            let process = owner.flatMap { Int($0.prefix { $0.isNumber }) }
            throw AditError(
                .serverProcess,
                Text("a server already runs on this state folder", zh: "该状态目录上已有服务器在运行"),
                why: [
                    Text(verbatim: state.path),
                    process.map { Text("process \($0)", zh: "进程 \($0)") } ?? "",
                ].filter { $0 != "" },
                fix: Text(
                    "see it with  adit server status  or stop it with  adit server stop",
                    zh: "查看：adit server status  停止：adit server stop"
                )
            )
        }
        self.descriptor = descriptor
        let line = Array("\(getpid())\n".utf8)
        if ftruncate(descriptor, 0) == 0 {
            _ = line.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
        }
    }

    deinit {
        close(descriptor)
    }
}
