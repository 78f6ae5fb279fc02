// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A program that prints a secret (frp's `tokenSource.exec`).
package enum TokenProgram {
    /// Why there is no secret.
    package enum Fault: Error, Sendable, Hashable, CustomStringConvertible {
        /// It could not be started, with the system's words.
        case notStarted(String)
        /// It ended with this status, or printed more than 64 KiB.
        case ended(status: Int32)

        package var description: String {
            switch self {
            case .notStarted(let words): words
            case .ended(let status): "it ended with status \(status)"
            }
        }
    }

    private static let maximumLength = 64 * 1024

    /// Runs the program, with `environment` in addition to this process's, and returns what it prints; blocks.
    package static func output(
        of command: String,
        _ arguments: [String],
        environment: [String: String]
    ) throws(Fault) -> String {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw .notStarted(String(cString: strerror(errno))) }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_addclose(&actions, ends[1])
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)

        var process = pid_t()
        let status = withPointers(to: [command] + arguments) { argv in
            withPointers(to: merged(environment)) { envp in
                Self.spawn(&process, command, &actions, argv, envp)
            }
        }
        close(ends[1])
        defer { close(ends[0]) }
        guard status == 0 else { throw .notStarted(String(cString: strerror(status))) }

        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        while bytes.count <= maximumLength {
            let count = read(ends[0], &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += chunk[..<count]
        }
        if bytes.count > maximumLength { kill(process, SIGKILL) }
        var ended: Int32 = 0
        while waitpid(process, &ended, 0) < 0, errno == EINTR {}
        guard ended == 0, bytes.count <= maximumLength else { throw .ended(status: ended >> 8 & 0xFF) }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func spawn(
        _ process: inout pid_t,
        _ command: String,
        _ actions: inout posix_spawn_file_actions_t,
        _ argv: UnsafePointer<UnsafeMutablePointer<CChar>?>?,
        _ envp: UnsafePointer<UnsafeMutablePointer<CChar>?>?
    ) -> Int32 {
        guard let argv, let envp else { return EINVAL }
        return posix_spawnp(&process, command, &actions, nil, argv, envp)
    }

    private static func merged(_ added: [String: String]) -> [String] {
        var list: [String] = []
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text)
            if added[String(pair.prefix { $0 != "=" })] == nil { list.append(pair) }
            entry += 1
        }
        return list + added.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }

    /// A null-terminated array of C strings for the time of `body`.
    private static func withPointers<Value>(
        to texts: [String],
        _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>?) -> Value
    ) -> Value {
        let copies: [UnsafeMutablePointer<CChar>?] = texts.map { strdup($0) } + [nil]
        defer { for copy in copies { free(copy) } }
        return copies.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}
