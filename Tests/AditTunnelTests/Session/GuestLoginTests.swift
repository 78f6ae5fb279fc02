// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTunnel
import AditWire
import Testing

@Suite("Guests")
struct GuestLoginTests {
    private static func configuration(token: String) throws -> DeviceControl.Configuration {
        let key = try DeviceKey(seed: [UInt8](repeating: 7, count: 32))
        var configuration = DeviceControl.Configuration(
            credentials: .guest(token: token, key),
            wireVersion: .v2,
            login: FRPLogin(user: "mei")
        )
        configuration.features = Set(AditFeature.allCases)
        return configuration
    }

    @Test("A guest proves its key and the token, and may ask who has a proxy", arguments: ["secret", ""])
    func login(token: String) throws {
        let configuration = try Self.configuration(token: token)
        var pair = ControlPair(configuration)
        let key = try #require(configuration.credentials.key).publicKey
        let identity = DeviceIdentity.guest(key, name: "mei")
        pair.decision = .accept(LoginAcceptance(identity: identity))
        pair.run()
        guard case .authorize(let request) = pair.serverOutputs.first else {
            Issue.record("no question for the policy")
            return
        }
        #expect(request.device?.isGuest == true && request.device?.key == key && request.login.user == "mei")
        #expect(request.tokenProofMatches(token: "secret") == (token == "secret"))
        #expect(identity.isGuest && identity.name == "mei" && !identity.owner(runID: "r").isDevice)
        #expect(identity.mayBeReplaced(by: .guest(key, name: "other")))
        #expect(!identity.mayBeReplaced(by: .device(key, name: "mei")))
        pair.device.handle(.serviceQuery(AditServiceQuery(name: "mei.ssh")), at: .zero)
        pair.run()
        #expect(pair.serverOutputs.contains(.serviceQuery(AditServiceQuery(name: "mei.ssh"))))
        let holder = AditServiceHolder(name: "mei.ssh", peer: "mei@k")
        pair.server.handle(.send(.serviceHolder(holder)), at: .zero)
        pair.run()
        #expect(pair.deviceOutputs.contains(.serviceHolder(holder)))
    }

    @Test("A guest tells nothing to a server that does not know guests, which would enrol it")
    func olderServer() throws {
        var configuration = try Self.configuration(token: "secret")
        // The server answers with what both name.
        configuration.features.remove(.guests)
        var pair = ControlPair(configuration)
        pair.run()
        guard case .refused(let error) = pair.deviceEnd else {
            Issue.record("not refused")
            return
        }
        #expect(error.code == .versionsApart)
        #expect(pair.serverOutputs.contains { if case .authorize = $0 { true } else { false } } == false)
    }

    @Test("A device that did not come as a guest has nothing to ask")
    func stranger() throws {
        var pair = ControlPair(try .adit())
        pair.run()
        pair.device.handle(.serviceQuery(AditServiceQuery(name: "a")), at: .zero)
        pair.run()
        #expect(pair.serverOutputs.contains { if case .serviceQuery = $0 { true } else { false } } == false)
        pair.server.handle(.frame(.message(.serviceQuery(AditServiceQuery(name: "a")))), at: .zero)
        pair.run()
        guard case .protocolBroken = pair.serverEnd else {
            Issue.record("not ended")
            return
        }
    }
}
