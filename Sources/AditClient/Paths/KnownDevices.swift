// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCrypto
import FoundationEssentials

/// The keys of other devices, by server and name: whoever has a name when it is met first keeps it.
///
/// They are in `devices.json` of the device's home. Several processes may write it; each adds to what the others wrote.
package struct KnownDevices: Sendable, Equatable {
    /// One device.
    package struct Entry: Sendable, Hashable, Codable {
        /// The fingerprint of the server's key.
        package var server: String
        /// The device's name there.
        package var name: String
        /// The fingerprint of its key, `SHA256:` and 43 characters of base 64.
        package var key: String
        /// When it was met first, or its key was replaced, in seconds since 1970.
        package var since: Int64
    }

    private struct File: Codable {
        var version = 1
        var devices: [Entry] = []
    }

    /// No more devices are remembered; the oldest go first.
    package static let capacity = 4096

    /// The devices in the order in which they were met.
    package private(set) var entries: [Entry]

    /// Makes a list.
    package init(_ entries: [Entry] = []) {
        self.entries = entries
    }

    /// Reads a file's bytes; nil when they are not what Adit wrote.
    init?(json bytes: [UInt8]) {
        guard let file = try? JSONDecoder().decode(File.self, from: Data(bytes)) else { return nil }
        entries = file.devices
    }

    /// The bytes of a file.
    var json: [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return ((try? encoder.encode(File(devices: entries))).map { Array($0) } ?? []) + [UInt8(ascii: "\n")]
    }

    /// The fingerprint of the key that a name has; nil when the device is not known.
    package func key(of name: String, at server: String) -> KeyFingerprint? {
        entries.first { $0.server == server && $0.name == name }.flatMap { KeyFingerprint($0.key) }
    }

    /// Remembers a key, in place of another one of the same name.
    package mutating func set(_ key: KeyFingerprint, of name: String, at server: String, now: Int64) {
        entries.removeAll { $0.server == server && $0.name == name }
        entries.append(Entry(server: server, name: name, key: key.description, since: now))
        if entries.count > Self.capacity { entries.removeFirst(entries.count - Self.capacity) }
    }

    /// Forgets a name; whether it was known.
    package mutating func remove(_ name: String, at server: String) -> Bool {
        let before = entries.count
        entries.removeAll { $0.server == server && $0.name == name }
        return entries.count < before
    }
}
