// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTunnel
import AditWire
import Testing

@Suite("Logging in")
struct ControlLoginTests {
    @Test(
        "A plain frp client logs in on either wire and both sides agree on the cipher",
        arguments: [FRPWireVersion.v1, .v2]
    )
    func frp(_ version: FRPWireVersion) throws {
        var pair = ControlPair(.frp(version))
        pair.run()
        guard case .authorize(let request) = pair.serverOutputs.first else {
            Issue.record("no question for the policy")
            return
        }
        #expect(request.privilegeKeyMatches(token: "secret"))
        #expect(request.privilegeKeyMatches(token: "Secret") == false)
        #expect(request.privilegeKeyMatches(token: "") == false)
        #expect(request.device == nil)
        #expect(request.wireVersion == version)
        let serverSecurity = pair.serverOutputs.compactMap {
            if case .secure(let security) = $0 { security } else { nil }
        }
        let deviceSecurity = pair.deviceOutputs.compactMap {
            if case .secure(let security) = $0 { security } else { nil }
        }
        #expect(serverSecurity == deviceSecurity)
        switch (version, serverSecurity.first) {
        case (.v1, .cfb(token: "secret")), (.v2, .aead(.aes256GCM, token: "secret", _)): break
        default: Issue.record("not the cipher of this wire: \(serverSecurity)")
        }
        #expect(pair.device.runID == "0123456789abcdef")
        #expect(pair.device.isAdit == false)
        #expect(pair.server.isAdit == false)
        // One work connection ahead of need.
        #expect(pair.deviceOutputs.contains(.openWorkConnection(FRPNewWorkConnection(runID: "0123456789abcdef"))))
    }

    @Test(
        "The server asks for at most five work connections ahead, and none for a negative count",
        arguments: [
            (0, 0), (1, 1), (5, 5), (100, 5), (-3, 0),
        ]
    )
    func pool(_ wanted: Int, _ asked: Int) {
        var pair = ControlPair(.frp(.v1, poolCount: wanted))
        pair.run()
        let requests = pair.deviceOutputs.filter { if case .openWorkConnection = $0 { true } else { false } }
        #expect(requests.count == asked)
    }

    @Test("An Adit device proves its key for this server and this connection", arguments: FRPWireVersion.allCases)
    func adit(_ version: FRPWireVersion) throws {
        var pair = ControlPair(try .adit(invite: [9, 9], over: version))
        let key = try DeviceKey(seed: [UInt8](repeating: 7, count: 32)).publicKey
        pair.decision = .accept(LoginAcceptance(identity: .device(key, name: "laptop")))
        pair.run()
        guard case .authorize(let request) = pair.serverOutputs.first else {
            Issue.record("no question for the policy")
            return
        }
        #expect(request.device?.key == key)
        #expect(request.device?.invite == [9, 9])
        #expect(request.device?.name == "laptop")
        #expect(request.login.privilegeKey.isEmpty)
        #expect(pair.device.isAdit)
        #expect(pair.server.isAdit)
        #expect(pair.serverOutputs.contains(.secure(.none)))
        #expect(pair.deviceOutputs.contains { if case .openWorkConnection = $0 { true } else { false } } == false)
    }

    @Test(
        "A shared token is proven without being sent, and a wrong one does not match",
        arguments: FRPWireVersion.allCases
    )
    func tokenProof(_ version: FRPWireVersion) throws {
        let key = try DeviceKey(seed: [UInt8](repeating: 7, count: 32))
        var pair = ControlPair(DeviceControl.Configuration(credentials: .token("right", key), wireVersion: version))
        pair.run()
        guard case .authorize(let request) = pair.serverOutputs.first else {
            Issue.record("no question for the policy")
            return
        }
        #expect(request.tokenProofMatches(token: "right"))
        #expect(request.tokenProofMatches(token: "wrong") == false)
        #expect(request.tokenProofMatches(token: "") == false)
    }

    @Test(
        "A device behind a stranger in the middle is refused before the policy is asked",
        arguments: FRPWireVersion.allCases
    )
    func wrongFingerprint(_ version: FRPWireVersion) throws {
        var pair = ControlPair(try .adit(over: version), deviceSees: .other)
        pair.run()
        #expect(pair.serverOutputs.contains { if case .authorize = $0 { true } else { false } } == false)
        guard case .refused(let error) = pair.deviceEnd else {
            Issue.record("not refused: \(String(describing: pair.deviceEnd))")
            return
        }
        #expect(error.code == .serverKeyChanged)
    }

    @Test("A login that was recorded is refused on another connection", arguments: FRPWireVersion.allCases)
    func replay(_ version: FRPWireVersion) throws {
        var first = ControlPair(try .adit(over: version))
        let hello = first.device.nextOutput()
        guard case .send(let helloFrame) = hello else { return }
        first.server.handle(.frame(helloFrame), at: .zero)
        guard case .send(let serverHello) = first.server.nextOutput() else { return }
        first.device.handle(.frame(serverHello), at: .zero)
        guard case .send(let login) = first.device.nextOutput() else { return }

        var second = ServerControl(
            configuration: ServerControl.Configuration(),
            connection: ServerControl.Connection(
                wireVersion: version,
                isTLS: true,
                isTLS13: true,
                canOpenStreams: true,
                fingerprint: .sample,
                remoteAddress: nil,
                serverRandom: [UInt8](repeating: 3, count: 32)
            ),
            at: .zero
        )
        second.handle(.frame(helloFrame), at: .zero)
        second.handle(.frame(login), at: .zero)
        var outputs: [ServerControl.Output] = []
        while let output = second.nextOutput() { outputs.append(output) }
        #expect(outputs.contains { if case .authorize = $0 { true } else { false } } == false)
        #expect(outputs.contains { if case .ended(.refused) = $0 { true } else { false } })
    }

    @Test("A key that is not the one of the hello is refused")
    func otherKey() throws {
        var pair = ControlPair(try .adit())
        guard case .send(.clientHello(let hello, _)) = pair.device.nextOutput() else { return }
        var changed = hello
        changed.adit?.deviceKey = [UInt8](repeating: 5, count: 32)
        pair.server.handle(.frame(.clientHello(changed)), at: .zero)
        pair.run()
        #expect(pair.serverOutputs.contains { if case .authorize = $0 { true } else { false } } == false)
    }

    @Test("An Adit device does not log in to a plain frp server, and says so", arguments: FRPWireVersion.allCases)
    func plainServer(_ version: FRPWireVersion) throws {
        var pair = ControlPair(try .adit(over: version), isMultiplexed: false)
        pair.run()
        guard case .refused(let error) = pair.deviceEnd else {
            Issue.record("not refused")
            return
        }
        #expect(error.code == .versionsApart)
    }

    @Test("A refusal reaches the device with its code, and a plain client with frp's words")
    func refusal() throws {
        let error = AditError(.inviteUsed, Text("The invite was used", zh: "邀请码已被使用"))
        var pair = ControlPair(try .adit(invite: [1]))
        pair.decision = .refuse(error, frpText: "no")
        pair.run()
        #expect(pair.deviceEnd == .refused(error))
        #expect(pair.serverEnd == .refused(error))

        var plain = ControlPair(.frp(.v1, token: "wrong"))
        plain.decision = .refuse(error, frpText: "token in login doesn't match token from configuration")
        plain.run()
        guard case .refused(let shown) = plain.deviceEnd else {
            Issue.record("not refused")
            return
        }
        #expect(shown.code == .tokenRefused)
        #expect(shown.why.first?.english == "token in login doesn't match token from configuration")
    }

    @Test("frp clients can be turned away as a whole")
    func onlyAdit() {
        var configuration = ServerControl.Configuration()
        configuration.servesFRP = false
        var pair = ControlPair(.frp(.v2), server: configuration)
        pair.run()
        #expect(pair.serverOutputs.contains { if case .authorize = $0 { true } else { false } } == false)
        #expect(pair.deviceEnd != nil)
    }

    @Test("A login has ten seconds from the first byte on, on either side")
    func timeout() {
        var pair = ControlPair(.frp(.v1))
        pair.isCut = true
        pair.advance(by: .milliseconds(9_999))
        #expect(pair.serverEnd == nil)
        #expect(pair.deviceEnd == nil)
        pair.advance(by: .milliseconds(1))
        #expect(pair.serverEnd == .protocolBroken("no complete login in 10 s"))
        #expect(pair.deviceEnd == .silent)
        #expect(pair.server.nextDeadline == nil)
        #expect(pair.device.nextDeadline == nil)
    }

    @Test("A second login, a hello on v1 and messages of the other side end the session")
    func misplaced() {
        let frames: [FRPFrame] = [
            .message(.login(FRPLogin())), .message(.pong(FRPPong())), .message(.loginResponse(FRPLoginResponse())),
            .message(.requestWorkConnection), .serverHello(FRPServerHello()), .clientHello(FRPClientHello()),
            .message(.startWorkConnection(FRPStartWorkConnection())),
        ]
        for frame in frames {
            var pair = ControlPair(.frp(.v1))
            pair.run()
            pair.server.handle(.frame(frame), at: .zero)
            pair.run()
            guard case .protocolBroken = pair.serverEnd else {
                Issue.record("\(frame) was taken")
                continue
            }
        }
    }

    @Test(
        "Run ids that could be anything but an id are refused",
        arguments: [
            "a b", "../x", String(repeating: "a", count: 65), "x\n", "é",
        ]
    )
    func runID(_ runID: String) {
        var configuration = DeviceControl.Configuration.frp(.v1)
        configuration.login.runID = runID
        var pair = ControlPair(configuration)
        pair.run()
        #expect(pair.serverOutputs.contains { if case .authorize = $0 { true } else { false } } == false)
    }

    @Test(
        "A ServerHello that chose what was not offered ends the device's session",
        arguments: [
            FRPServerHello(algorithm: "rot13", serverRandom: [UInt8](repeating: 0, count: 32)),
            FRPServerHello(codec: "xml", algorithm: "aes-256-gcm", serverRandom: [UInt8](repeating: 0, count: 32)),
            FRPServerHello(algorithm: "aes-256-gcm", serverRandom: [1]),
        ]
    )
    func badServerHello(_ hello: FRPServerHello) {
        var pair = ControlPair(.frp(.v2))
        pair.device.handle(.frame(.serverHello(hello)), at: .zero)
        while let output = pair.device.nextOutput() { pair.deviceOutputs.append(output) }
        guard case .protocolBroken = pair.deviceEnd else {
            Issue.record("taken")
            return
        }
    }

    @Test("A client without a cipher in common is told why")
    func noCipher() {
        var pair = ControlPair(.frp(.v2))
        let hello = FRPClientHello(algorithms: ["none"], clientRandom: [UInt8](repeating: 0, count: 32))
        pair.server.handle(.frame(.clientHello(hello)), at: .zero)
        guard case .send(.serverHello(let answer, _)) = pair.server.nextOutput() else {
            Issue.record("no answer")
            return
        }
        #expect(answer.error == "no common encryption algorithm")
        #expect(pair.server.nextOutput() == .ended(.protocolBroken("no common encryption algorithm")))
    }
}
