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

/// A small file, read whole and replaced whole.
package enum PrivateFile {
    /// No file that the server reads whole is larger than this many bytes.
    package static let maximumSize = 1 << 20

    /// The bytes of the file; nil when there is none.
    ///
    /// Throws `AditError` 903 when it cannot be read or is larger than `maximumSize`.
    package static func read(_ path: String) throws(AditError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw failure(path, errno)
        }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16 * 1024)
        while true {
            let count = chunk.withUnsafeMutableBytes { buffer in
                #if canImport(Glibc)
                Glibc.read(descriptor, buffer.baseAddress, buffer.count)
                #elseif canImport(Musl)
                Musl.read(descriptor, buffer.baseAddress, buffer.count)
                #else
                Darwin.read(descriptor, buffer.baseAddress, buffer.count)
                #endif
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure(path, errno) }
            if count == 0 { return bytes }
            bytes += chunk[..<count]
            guard bytes.count <= maximumSize else { throw failure(path, EFBIG) }
        }
    }

    /// Replaces the file by `bytes` for its owner's eyes only (mode 0600); a reader sees the old or the new, never a part.
    package static func replace(_ path: String, with bytes: [UInt8]) throws(AditError) {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw failure(temporary, errno) }
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let number = errno
                close(descriptor)
                unlink(temporary)
                throw failure(temporary, number)
            }
            rest = rest.dropFirst(count)
        }
        let isSynced = fsync(descriptor) == 0
        let number = errno
        close(descriptor)
        guard isSynced, rename(temporary, path) == 0 else {
            let renameNumber = isSynced ? errno : number
            unlink(temporary)
            throw failure(path, renameNumber)
        }
    }

    private static func failure(_ path: String, _ number: Int32) -> AditError {
        AditError(
            .state,
            Text("a file of the state folder cannot be used", zh: "无法使用状态目录中的文件"),
            why: [Text(verbatim: "\(path): \(String(cString: strerror(number)))")],
            fix: Text("check its owner and free space", zh: "请检查其所有者和剩余空间")
        )
    }
}
