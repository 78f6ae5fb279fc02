// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditClient
import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import AditWire
import Foundation
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Testing

/// What a device does with what others say, without a server and without a network.
@Suite("Paths of a device")
struct PathServiceTests {
    private static let server = KeyFingerprint(of: [UInt8](repeating: 9, count: 32))
    private static let now: Int64 = 1_700_000_000

    /// A device called ben, what it said to others, and what it told here.
    private final class Ben: Sendable {
        let service: PathService
        let said: NIOLockedValueBox<[String]>
        let told: NIOLockedValueBox<[PathNews]>

        init(home: DeviceHome? = nil) throws {
            var options = PathOptions()
            options.mapsPorts = false
            options.looksAtNAT = false
            var parts = PathService.Parts(
                key: try DeviceKey(seed: [UInt8](repeating: 2, count: 32)),
                home: home,
                server: HostPort(host: "127.0.0.1", port: 7000),
                trust: .pinned(PathServiceTests.server),
                options: options
            )
            parts.unixTime = { PathServiceTests.now }
            parts.network = { LocalNetwork() }
            let said = NIOLockedValueBox<[String]>([])
            let told = NIOLockedValueBox<[PathNews]>([])
            (self.said, self.told) = (said, told)
            let session = PathSession { signal in said.withLockedValue { $0.append(signal.peer) } }
            service = PathService(parts, on: MultiThreadedEventLoopGroup.singleton.next(), session: session) { news in
                told.withLockedValue { $0.append(news) }
            }
            service.connected(
                DeviceConnection(
                    runID: "r",
                    serverAddress: nil,
                    fingerprint: PathServiceTests.server,
                    adit: AditLoginResponse(deviceName: "ben"),
                    serverVersion: "",
                    features: [.paths]
                )
            )
        }

        /// Waits until there is something; 20 seconds at most.
        func wait<Value>(_ look: (Ben) -> Value?) async throws -> Value? {
            let end = ContinuousClock.now + .seconds(20)
            while ContinuousClock.now < end {
                if let found = look(self) { return found }
                try await service.eventLoop.scheduleTask(in: .milliseconds(5)) {}.futureResult.get()
            }
            return nil
        }
    }

    private static func signal(_ payload: [UInt8], from name: String, run: String, key: UInt8) throws -> AditPeerSignal
    {
        let key = try DeviceKey(seed: [UInt8](repeating: key, count: 32))
        var ledger = PeerLedger(key: key, epoch: UInt64(run) ?? 1)
        ledger.ownName = name
        ledger.server = server.bytes
        let made = ledger.seal(payload, for: "ben", run: "", receiver: nil, time: now)
        var signal = try #require(made)
        (signal.peer, signal.run, signal.key) = (name, run, key.publicKey.bytes)
        return signal
    }

    @Test("A device with many runs takes no place from others")
    func runs() async throws {
        let ben = try Ben()
        var generator = SeededGenerator(seed: 1)
        for run in 1...600 {
            var description = PathDescription(credentials: ICECredentials(using: &generator))
            description.isComplete = true
            let payload = PathSignal(
                session: UInt64(run),
                peerSession: 0,
                revision: 1,
                acknowledged: 0,
                .description(description)
            )
            ben.service.received(try Self.signal(payload.bytes, from: "eve", run: "\(run)", key: 3))
        }
        // A greeting, which is answered.
        ben.service.received(try Self.signal([], from: "amy", run: "7", key: 1))
        #expect(try await ben.wait { $0.said.withLockedValue { $0.contains("amy") ? true : nil } } == true)
        try await ben.service.stop().get()
    }

    @Test("Where it cannot be read who was met before, nobody is taken for new")
    func damagedKeys() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("adit-\(UUID().uuidString)")
        let home = DeviceHome(path: folder.path)
        defer { try? FileManager.default.removeItem(atPath: home.path) }
        try home.prepare()
        try "{".write(toFile: home.path + "/devices.json", atomically: true, encoding: .utf8)
        let ben = try Ben(home: home)
        ben.service.connect("amy")
        let error = try await ben.wait { ben in
            ben.told.withLockedValue { news in
                news.lazy.compactMap { if case .problem("amy", let error) = $0 { error } else { nil } }.first
            }
        }
        #expect(error?.code == .state)
        ben.service.received(try Self.signal([], from: "amy", run: "7", key: 1))
        #expect(try await ben.service.paths.get().isEmpty)
        #expect(ben.said.withLockedValue { $0.isEmpty })
        // Once the file is mended, or removed, all goes on.
        try FileManager.default.removeItem(atPath: home.path + "/devices.json")
        let greeted = try await ben.wait { ben -> Bool? in
            ben.service.connect("amy")
            return ben.said.withLockedValue { $0.contains("amy") ? true : nil }
        }
        #expect(greeted == true)
        try await ben.service.stop().get()
    }
}
