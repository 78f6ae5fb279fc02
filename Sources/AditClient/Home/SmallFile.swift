// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Reading and safely replacing small files: the state of a device, and facts in /proc.
package enum SmallFile {
    /// Why a file could not be read or written: the system call's error number.
    package struct Failure: Error, Equatable {
        /// The file.
        package let path: String
        /// `errno` after the call.
        package let number: Int32

        fileprivate init(path: String) {
            self.path = path
            number = errno
        }

        /// The system's words for the error.
        package var reason: String { String(cString: strerror(number)) }
    }

    /// The text of a file, or nil when it cannot be read; at most `limit` bytes of it.
    package static func text(at path: String, limit: Int) -> String? {
        guard let bytes = try? bytes(at: path, limit: limit) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The first `limit` bytes of a file.
    package static func bytes(at path: String, limit: Int) throws(Failure) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failure(path: path) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < limit {
            let count = Glibc.read(descriptor, &chunk, min(chunk.count, limit - bytes.count))
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw Failure(path: path) }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    /// Writes a file that only its owner may read, whole or not at all.
    ///
    /// With `exclusively` an existing file stays and the result is false: of two processes that make the same file at
    /// once, exactly one is answered true.
    package static func write(_ bytes: [UInt8], to path: String, exclusively: Bool = false) throws(Failure) -> Bool {
        let temporary = "\(path).\(getpid()).\(UInt32.random(in: .min ... .max))"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure(path: temporary) }
        defer { unlink(temporary) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                let failure = Failure(path: path)
                close(descriptor)
                throw failure
            }
            written += count
        }
        guard fsync(descriptor) == 0 else {
            let failure = Failure(path: path)
            close(descriptor)
            throw failure
        }
        close(descriptor)
        if exclusively {
            if Glibc.link(temporary, path) == 0 { return true }
            if errno == EEXIST { return false }
            throw Failure(path: path)
        }
        guard rename(temporary, path) == 0 else { throw Failure(path: path) }
        return true
    }

    /// The names in a folder, without `.` and `..`; empty when it cannot be read.
    package static func entries(of path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// What a symbolic link says, or nil when it cannot be read.
    package static func destination(ofLinkAt path: String) -> String? {
        var buffer = [UInt8](repeating: 0, count: 512)
        let count = buffer.withUnsafeMutableBytes { place in
            place.baseAddress.map { readlink(path, $0, place.count) } ?? -1
        }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
