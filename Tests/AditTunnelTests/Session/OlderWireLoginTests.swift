// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTunnel
import AditWire
import Testing

@Suite("Adit's login over wire v1")
struct OlderWireLoginTests {
    private static func isQuestion(_ output: ServerControl.Output) -> Bool {
        if case .authorize = output { true } else { false }
    }

    /// The logins that a device sends, as the server gets them.
    private static func logins(of pair: inout ControlPair) -> [FRPLogin] {
        var logins: [FRPLogin] = []
        while true {
            while let output = pair.device.nextOutput() {
                if case .send(let frame) = output {
                    if case .message(.login(let login)) = frame { logins.append(login) }
                    pair.server.handle(.frame(frame), at: .zero)
                }
            }
            var isMoving = false
            while let output = pair.server.nextOutput() {
                if case .send(let frame) = output {
                    isMoving = true
                    pair.device.handle(.frame(frame), at: .zero)
                }
            }
            guard isMoving else { return logins }
        }
    }

    @Test("The first login shows nothing but the hello, the second proves the key")
    func order() throws {
        var pair = ControlPair(try .adit(invite: [1, 2, 3], over: .v1))
        let logins = Self.logins(of: &pair)
        #expect(logins.count == 2)
        #expect(logins.first?.adit?.invite == [])
        #expect(logins.first?.adit?.signature == [])
        #expect(logins.first?.privilegeKey == "")
        #expect(logins.first?.adit?.hello.isEmpty == false)
        #expect(logins.last?.adit?.hello == [])
        #expect(logins.last?.adit?.signature.count == 64)
        #expect(logins.last?.adit?.invite == [1, 2, 3])
    }

    @Test("A proof without a hello is a login of frp, which brings no device")
    func noHello() throws {
        var pair = ControlPair(try .adit(over: .v1))
        let logins = Self.logins(of: &pair)
        let proof = try #require(logins.last)
        var other = ControlPair(try .adit(over: .v1))
        other.server.handle(.frame(.message(.login(proof))), at: .zero)
        while let output = other.server.nextOutput() {
            if case .authorize(let request) = output {
                #expect(request.device == nil)
                #expect(!request.privilegeKeyMatches(token: "secret"))
            }
        }
        #expect(!other.server.isAdit)
    }

    @Test("After the hello nothing but the proof is taken: no second hello, no token of frp")
    func afterTheHello() throws {
        var pair = ControlPair(try .adit(over: .v1))
        guard case .send(let hello) = pair.device.nextOutput() else {
            Issue.record("no login")
            return
        }
        let timestamp: Int64 = 1_800_000_000
        let key = FRPTokenKey(token: "secret").privilegeKey(timestamp: timestamp)
        let frp = FRPFrame.message(.login(FRPLogin(privilegeKey: key, timestamp: timestamp)))
        for second in [hello, frp] {
            var pair = ControlPair(try .adit(over: .v1))
            pair.server.handle(.frame(hello), at: .zero)
            #expect(pair.server.isAdit)
            pair.server.handle(.frame(second), at: .zero)
            var outputs: [ServerControl.Output] = []
            while let output = pair.server.nextOutput() { outputs.append(output) }
            #expect(!outputs.contains(where: Self.isQuestion))
            #expect(outputs.contains { if case .ended(.refused) = $0 { true } else { false } })
        }
    }

    @Test("A hello that says nothing, or comes where no session of Adit can be, is refused")
    func unusableHello() throws {
        let hellos: [[UInt8]] = [[0x7B], Array("{}".utf8), Array("[]".utf8), [UInt8](repeating: 0x20, count: 40)]
        for hello in hellos {
            var pair = ControlPair(try .adit(over: .v1))
            pair.server.handle(.frame(.message(.login(FRPLogin(adit: AditLogin(hello: hello))))), at: .zero)
            var outputs: [ServerControl.Output] = []
            while let output = pair.server.nextOutput() { outputs.append(output) }
            #expect(!outputs.contains(where: Self.isQuestion))
            #expect(outputs.contains { if case .ended(.refused) = $0 { true } else { false } })
        }
        var plain = ControlPair(try .adit(over: .v1), isTLS: false)
        plain.run()
        #expect(!plain.serverOutputs.contains(where: Self.isQuestion))
        #expect(plain.deviceEnd != nil)
    }

    @Test("A server that takes the first login at once is no Adit server")
    func openServer() throws {
        var pair = ControlPair(try .adit(invite: [1], over: .v1))
        _ = pair.device.nextOutput()
        pair.device.handle(.frame(.message(.loginResponse(FRPLoginResponse(runID: "0a")))), at: .zero)
        while let output = pair.device.nextOutput() { pair.deviceOutputs.append(output) }
        guard case .refused(let error) = pair.deviceEnd else {
            Issue.record("taken")
            return
        }
        #expect(error.code == .versionsApart)
    }

    @Test("Answers that are no ServerHello, or choose what was not offered, end the session")
    func badAnswer() throws {
        let apart = FRPServerHello(algorithm: "rot13", serverRandom: [UInt8](repeating: 0, count: 32))
        guard case .serverHello(_, let bytes) = FRPFrame.serverHello(apart) else { return }
        for answer in [[], Array("x".utf8), Array("{}".utf8), bytes] {
            var pair = ControlPair(try .adit(over: .v1))
            _ = pair.device.nextOutput()
            pair.device.handle(.frame(.message(.helloAnswer(AditHelloAnswer(hello: answer)))), at: .zero)
            var outputs: [DeviceControl.Output] = []
            while let output = pair.device.nextOutput() { outputs.append(output) }
            #expect(outputs.contains { if case .ended(.protocolBroken) = $0 { true } else { false } })
            #expect(!outputs.contains { if case .send = $0 { true } else { false } })
        }
        // Over v2 hellos have frames of their own.
        var newer = ControlPair(try .adit())
        newer.device.handle(.frame(.message(.helloAnswer(AditHelloAnswer(hello: bytes)))), at: .zero)
        while let output = newer.device.nextOutput() { newer.deviceOutputs.append(output) }
        guard case .protocolBroken = newer.deviceEnd else {
            Issue.record("taken over v2")
            return
        }
    }

    @Test("A client of frp that writes a field named adit without a hello stays one")
    func frpWithFields() {
        var pair = ControlPair(.frp(.v1))
        pair.run()
        let timestamp: Int64 = 1_800_000_000
        let key = FRPTokenKey(token: "secret").privilegeKey(timestamp: timestamp)
        var login = FRPLogin(privilegeKey: key, timestamp: timestamp)
        login.adit = AditLogin(deviceName: "box")
        var other = ControlPair(.frp(.v1))
        other.server.handle(.frame(.message(.login(login))), at: .zero)
        guard case .authorize(let request) = other.server.nextOutput() else {
            Issue.record("no question")
            return
        }
        #expect(request.device == nil)
        #expect(request.privilegeKeyMatches(token: "secret"))
    }

    @Test("Both take signals over either wire when both agreed", arguments: FRPWireVersion.allCases)
    func signals(_ version: FRPWireVersion) throws {
        var configuration = try DeviceControl.Configuration.adit(over: version)
        configuration.features.insert(.paths)
        var pair = ControlPair(configuration)
        let key = try DeviceKey(seed: [UInt8](repeating: 7, count: 32)).publicKey
        let turn = TURNOffer(port: 3478, username: "u")
        let answer = AditLoginResponse(deviceName: "laptop", stun: STUNOffer(port: 3478), turn: turn)
        pair.decision = .accept(LoginAcceptance(identity: .device(key, name: "laptop"), response: answer))
        pair.run()
        #expect(pair.device.features.contains(.paths))
        #expect(pair.server.features == pair.device.features)
        let opened = pair.takeDeviceOutputs().compactMap {
            if case .opened(let response) = $0 { response } else { nil }
        }
        #expect(opened.first?.adit == answer)
        let signal = AditPeerSignal(peer: "ben", body: [1], signature: [UInt8](repeating: 2, count: 64))
        pair.device.handle(.peerSignal(signal), at: .zero)
        pair.server.handle(.send(.peerUnavailable(AditPeerUnavailable(peer: "ben", reason: "off"))), at: .zero)
        pair.server.handle(.send(.turnOffer(turn)), at: .zero)
        pair.run()
        #expect(pair.serverOutputs.contains(.peerSignal(signal)))
        #expect(pair.deviceOutputs.contains(.peerUnavailable(AditPeerUnavailable(peer: "ben", reason: "off"))))
        #expect(pair.deviceOutputs.contains(.turnOffered(turn)))
        #expect(pair.deviceEnd == nil)
    }
}
