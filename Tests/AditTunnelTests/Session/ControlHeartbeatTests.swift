// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTunnel
import AditWire
import Testing

@Suite("Heartbeats")
struct ControlHeartbeatTests {
    private static func pair(
        _ change: (inout DeviceControl.Configuration, inout ServerControl.Configuration) -> Void = { _, _ in }
    ) -> ControlPair {
        var device = DeviceControl.Configuration.frp(.v1)
        device.heartbeatInterval = .seconds(30)
        device.heartbeatTimeout = .seconds(90)
        var server = ServerControl.Configuration()
        server.heartbeatTimeout = .seconds(90)
        change(&device, &server)
        var pair = ControlPair(device, server: server)
        pair.run()
        return pair
    }

    @Test("The first Ping goes at once, then one every 30 s, and the session lives")
    func lives() {
        var pair = Self.pair()
        let sent = { (pair: ControlPair) in pair.deviceOutputs.filter { $0 == .heartbeatSent }.count }
        #expect(sent(pair) == 1)
        pair.advance(by: .seconds(600))
        #expect(sent(pair) == 21)
        #expect(pair.deviceEnd == nil)
        #expect(pair.serverEnd == nil)
    }

    @Test("Both sides notice within 90 s that the other is gone")
    func silence() {
        var pair = Self.pair()
        pair.advance(by: .seconds(45))
        pair.isCut = true
        pair.advance(by: .seconds(90))
        #expect(pair.deviceEnd == .silent)
        #expect(pair.serverEnd == .silent)
    }

    @Test("A Ping without the token's proof is answered with an error when the server wants one, and the client leaves")
    func scope() {
        var pair = Self.pair { $1.requiresKeyOnHeartbeats = true }
        guard case .refused(let error) = pair.deviceEnd else {
            Issue.record("the error was not noticed")
            return
        }
        #expect(error.why.first?.english == "invalid ping")

        pair = Self.pair {
            $0.provesHeartbeats = true
            $1.requiresKeyOnHeartbeats = true
        }
        pair.advance(by: .seconds(120))
        #expect(pair.deviceEnd == nil)
        #expect(pair.serverEnd == nil)
    }

    @Test("Without an interval nothing is sent and nobody waits")
    func off() {
        var pair = ControlPair(.frp(.v2))
        pair.run()
        #expect(pair.deviceOutputs.contains(.heartbeatSent) == false)
        #expect(pair.device.nextDeadline == nil)
        #expect(pair.server.nextDeadline == nil)
    }
}
