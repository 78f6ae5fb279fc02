// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditWire
import Foundation
import Testing

@testable import AditClient

@Suite struct DeviceHomeTests {
    private let folder = TemporaryFolder()
    private var home: DeviceHome { DeviceHome(path: folder.path + "/a/b") }

    private func permissions(_ path: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        return try #require(attributes[.posixPermissions] as? NSNumber).intValue
    }

    @Test("The folder follows ADIT_HOME, root, XDG_STATE_HOME and HOME, in this order")
    func locates() throws {
        func path(_ environment: [String: String], isRoot: Bool = false) throws -> String {
            try DeviceHome.locate(environment: environment, isRoot: isRoot).path
        }
        #expect(try path(["ADIT_HOME": "/x", "HOME": "/home/m"], isRoot: true) == "/x")
        #expect(try path(["ADIT_HOME": "", "HOME": "/home/m"], isRoot: true) == "/var/lib/adit")
        #expect(try path(["XDG_STATE_HOME": "/s", "HOME": "/home/m"]) == "/s/adit")
        #expect(try path(["XDG_STATE_HOME": "relative", "HOME": "/home/m"]) == "/home/m/.local/state/adit")
        #expect(try path(["ADIT_HOME": "here"]).hasSuffix("/here"))
        #expect(throws: AditError.self) { try DeviceHome.locate(environment: [:], isRoot: false) }
    }

    @Test("Nobody else may look inside the folder, or read the key and the servers")
    func permissionsAreTight() throws {
        _ = try home.deviceSeed()
        try home.remember(Self.server("a.example", at: 1))
        #expect(try permissions(home.path) == 0o700)
        #expect(try permissions(home.runFolder) == 0o700)
        #expect(try permissions(home.path + "/device.key") == 0o600)
        #expect(try permissions(home.path + "/servers.json") == 0o600)
    }

    @Test("A folder and a key that were opened to others are closed again")
    func permissionsAreTightened() throws {
        _ = try home.deviceSeed()
        for path in [home.path, home.path + "/device.key"] {
            try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        }
        _ = try home.deviceSeed()
        #expect(try permissions(home.path) == 0o700)
        #expect(try permissions(home.path + "/device.key") == 0o600)
    }

    @Test("The key is made once and stays")
    func keyStays() throws {
        let seed = try home.deviceSeed()
        #expect(seed.count == 32)
        #expect(try home.deviceSeed() == seed)
        #expect(try home.deviceKey().seed == seed)
        #expect(try FileManager.default.contentsOfDirectory(atPath: home.path).sorted() == ["device.key", "run"])
    }

    @Test("Many who ask for the first time at once are given the same key")
    func keyRace() async throws {
        let home = self.home
        let seeds = try await withThrowingTaskGroup(of: [UInt8].self) { group in
            for _ in 0..<32 { group.addTask { try home.deviceSeed() } }
            return try await group.reduce(into: Set<[UInt8]>()) { $0.insert($1) }
        }
        #expect(seeds.count == 1)
    }

    @Test("A file that is not a key is an error and stays as it is", arguments: ["", "x", "adit-device-key-1 00\n"])
    func badKey(text: String) throws {
        try home.prepare()
        try text.write(toFile: home.path + "/device.key", atomically: true, encoding: .utf8)
        #expect(throws: AditError.self) { try home.deviceSeed() }
        #expect(try String(contentsOfFile: home.path + "/device.key", encoding: .utf8) == text)
    }

    @Test("The server joined last is the default, and joining again replaces the entry")
    func servers() throws {
        #expect(try home.servers() == [])
        try home.remember(Self.server("a.example", at: 1))
        try home.remember(Self.server("b.example", at: 2))
        try home.remember(Self.server("a.example", at: 3))
        #expect(try home.servers().map(\.host) == ["a.example", "b.example"])
        #expect(try home.servers().map(\.joinedAt) == [3, 2])
    }

    @Test("Those who join at the same time all stay remembered")
    func serversAtOnce() async throws {
        let home = home
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<24 {
                group.addTask { try home.remember(Self.server("s\(number).example", at: Int64(number))) }
            }
            try await group.waitForAll()
        }
        #expect(Set(try home.servers().map(\.host)) == Set((0..<24).map { "s\($0).example" }))
        #expect(try permissions(home.path + "/servers.lock") == 0o600)
    }

    @Test("Where a server answers STUN is kept with it, and changes nothing else")
    func offerIsNoted() throws {
        try home.remember(Self.server("a.example", at: 1))
        try home.remember(Self.server("b.example", at: 2))
        let place = Self.server("a.example", at: 1).place
        let offer = STUNOffer(port: 3478, tlsPort: 5349, alternatePort: 3479, alternateAddress: .v4(0xCB00_7106))
        try home.note(offer, of: place)
        #expect(try home.servers().map(\.host) == ["b.example", "a.example"])
        #expect(try home.servers().map(\.stun) == [nil, offer])
        try home.note(STUNOffer(port: 3478), of: place)
        #expect(try home.servers()[1].stun == STUNOffer(port: 3478))
        try home.note(STUNOffer?.none, of: place)
        #expect(try home.servers()[1] == Self.server("a.example", at: 1))
    }

    @Test("What changes nothing, or concerns a server that is not joined, writes nothing")
    func nothingIsWrittenForNothing() throws {
        try home.note(STUNOffer(port: 3478), of: Self.server("a.example", at: 1).place)
        #expect(!FileManager.default.fileExists(atPath: home.path))
        try home.remember(Self.server("a.example", at: 1))
        let file = home.path + "/servers.json"
        let before = try FileManager.default.attributesOfItem(atPath: file)[.systemFileNumber] as? NSNumber
        try home.note(STUNOffer?.none, of: Self.server("a.example", at: 1).place)
        #expect(try FileManager.default.attributesOfItem(atPath: file)[.systemFileNumber] as? NSNumber == before)
    }

    @Test("A broken file of servers is an error, not an empty list")
    func brokenServers() throws {
        try home.prepare()
        try "{".write(toFile: home.path + "/servers.json", atomically: true, encoding: .utf8)
        #expect(throws: AditError.self) { try home.servers() }
    }

    @Test("A file in the folder's place is an error")
    func fileInPlace() throws {
        try FileManager.default.createDirectory(atPath: folder.path, withIntermediateDirectories: true)
        try "x".write(toFile: folder.path + "/f", atomically: true, encoding: .utf8)
        #expect(throws: AditError.self) { try DeviceHome(path: folder.path + "/f").prepare() }
        #expect(throws: AditError.self) { try DeviceHome(path: folder.path + "/f/g").prepare() }
    }

    static func server(_ host: String, at time: Int64) -> JoinedServer {
        JoinedServer(
            host: host,
            port: 7000,
            fingerprint: "SHA256:" + String(repeating: "A", count: 43),
            deviceName: "mei-laptop",
            serverName: "tunnel",
            domain: host,
            joinedAt: time
        )
    }
}
