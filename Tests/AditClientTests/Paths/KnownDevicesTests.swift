// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import Foundation
import Testing

struct KnownDevicesTests {
    private static func key(_ byte: UInt8) -> KeyFingerprint { KeyFingerprint(of: [UInt8](repeating: byte, count: 32)) }

    private static func home() throws -> DeviceHome {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("adit-\(UUID().uuidString)")
        return DeviceHome(path: folder.path)
    }

    @Test func aKeyStaysWithItsNameAndServer() throws {
        let home = try Self.home()
        defer { try? FileManager.default.removeItem(atPath: home.path) }
        #expect(try home.knownDevices() == KnownDevices())
        try home.changeKnownDevices { $0.set(Self.key(1), of: "desk", at: "SHA256:s", now: 5) }
        try home.changeKnownDevices { $0.set(Self.key(2), of: "phone", at: "SHA256:s", now: 6) }
        let known = try home.knownDevices()
        #expect(known.key(of: "desk", at: "SHA256:s") == Self.key(1))
        #expect(known.key(of: "phone", at: "SHA256:s") == Self.key(2))
        #expect(known.key(of: "desk", at: "SHA256:other") == nil)
        try home.changeKnownDevices { $0.set(Self.key(3), of: "desk", at: "SHA256:s", now: 7) }
        #expect(try home.knownDevices().key(of: "desk", at: "SHA256:s") == Self.key(3))
        #expect(try home.knownDevices().entries.count == 2)
        let mode = try FileManager.default.attributesOfItem(atPath: home.path + "/devices.json")[.posixPermissions]
        #expect(mode as? Int == 0o600)
    }

    @Test func aDamagedFileIsSaidAndKept() throws {
        let home = try Self.home()
        defer { try? FileManager.default.removeItem(atPath: home.path) }
        try home.prepare()
        try "{".write(toFile: home.path + "/devices.json", atomically: true, encoding: .utf8)
        let error = #expect(throws: AditError.self) { try home.knownDevices() }
        #expect(error?.code == .state)
        #expect(throws: AditError.self) {
            try home.changeKnownDevices { $0.set(Self.key(1), of: "desk", at: "s", now: 5) }
        }
        #expect(try String(contentsOfFile: home.path + "/devices.json", encoding: .utf8) == "{")
    }

    @Test func theListIsBounded() {
        var known = KnownDevices()
        for number in 0..<(KnownDevices.capacity + 10) {
            known.set(Self.key(1), of: "d\(number)", at: "s", now: 0)
        }
        #expect(known.entries.count == KnownDevices.capacity)
        #expect(known.key(of: "d0", at: "s") == nil)
    }
}
