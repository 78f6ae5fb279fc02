// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import Glibc

extension DeviceHome {
    private var devicesFile: String { path + "/devices.json" }
    private var devicesLock: String { path + "/devices.lock" }
    private static let devicesLimit = 4 << 20

    /// The keys of the devices that this one has met.
    ///
    /// - Throws: `ErrorCode.state` when the file is there and cannot be read.
    package func knownDevices() throws(AditError) -> KnownDevices {
        let bytes: [UInt8]
        do {
            bytes = try SmallFile.bytes(at: devicesFile, limit: Self.devicesLimit)
        } catch  where error.number == ENOENT || error.number == ENOTDIR {
            return KnownDevices()
        } catch {
            throw failure(Text(verbatim: error.reason))
        }
        guard let known = KnownDevices(json: bytes) else {
            throw failure(Text("it is not the JSON that Adit wrote", zh: "内容不是 Adit 写入的 JSON"))
        }
        return known
    }

    /// Changes the keys of devices; of several processes that do so at once, each adds to what the others wrote.
    ///
    /// - Throws: `ErrorCode.state` when the file cannot be read or written.
    package func changeKnownDevices(_ body: (inout KnownDevices) -> Void) throws(AditError) {
        try prepare()
        let lock = Glibc.open(devicesLock, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else { throw failure(Text(verbatim: String(cString: strerror(errno)))) }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0 {
            guard errno == EINTR else { throw failure(Text(verbatim: String(cString: strerror(errno)))) }
        }
        var known = try knownDevices()
        let before = known
        body(&known)
        guard known != before else { return }
        do {
            _ = try SmallFile.write(known.json, to: devicesFile)
        } catch {
            throw failure(Text(verbatim: error.reason))
        }
    }

    private func failure(_ reason: Text) -> AditError {
        AditError(
            .state,
            Text("cannot use \(devicesFile)", zh: "无法使用 \(devicesFile)"),
            why: [reason],
            fix: Text(
                "make it writable for this user; without the file, devices are met as if for the first time",
                zh: "让当前用户可写；若删除该文件，其他设备会被视为初次见面"
            )
        )
    }
}
