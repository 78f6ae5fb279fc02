// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import AditClient

@Suite(.timeLimit(.minutes(1))) struct StatusSocketTests {
    private let folder = TemporaryFolder()

    private static func status() -> DeviceStatus {
        var tunnel = DeviceStatus.Tunnel(name: "web", kind: "http", target: "http://localhost:3000")
        tunnel.addresses = ["http://calm-otter.example"]
        tunnel.state = .open
        tunnel.bytesOut = 7
        return DeviceStatus(pid: getpid(), server: "server.example:7000", startedAt: 5, tunnels: [tunnel])
    }

    @Test("A running process tells its status, also from a folder with a very long path")
    func answers() async throws {
        for home in [
            DeviceHome(path: folder.path), DeviceHome(path: folder.path + "/" + String(repeating: "x", count: 120)),
        ] {
            let socket = try await StatusSocket.open(
                in: home,
                group: MultiThreadedEventLoopGroup.singleton,
                status: Self.status
            )
            let file = "\(home.runFolder)/\(getpid()).sock"
            let attributes = try FileManager.default.attributesOfItem(atPath: file)
            #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
            #expect(StatusSocket.askAll(in: home) == [Self.status()])
            await socket.close()
            #expect(StatusSocket.askAll(in: home) == [])
            #expect(!FileManager.default.fileExists(atPath: file))
        }
    }

    @Test("A socket that a killed process left behind is removed")
    func removesStale() async throws {
        let home = DeviceHome(path: folder.path)
        try home.prepare()
        let path = home.runFolder + "/1.sock"
        let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(unixDomainSocketPath: path).get()
        try FileManager.default.moveItem(atPath: path, toPath: path + ".kept")
        try await channel.close()
        try FileManager.default.moveItem(atPath: path + ".kept", toPath: path)
        #expect(StatusSocket.askAll(in: home) == [])
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("What is not a status is passed over")
    func ignoresGarbage() async throws {
        let home = DeviceHome(path: folder.path)
        try home.prepare()
        try "x".write(toFile: home.runFolder + "/2.sock", atomically: true, encoding: .utf8)
        #expect(StatusSocket.askAll(in: home) == [])
    }
}
