// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTunnel
import AditWire
import Testing

@Suite("Tunnels and work connections of a session")
struct ControlTunnelTests {
    private static func open(_ version: FRPWireVersion = .v1, poolCount: Int = 1) -> ControlPair {
        var pair = ControlPair(.frp(version, poolCount: poolCount))
        pair.run()
        pair.device.handle(.register(FRPNewProxy(proxyName: "web", proxyType: "tcp")), at: .zero)
        pair.run()
        return pair
    }

    private static func openAdit() throws -> ControlPair {
        var pair = ControlPair(try .adit())
        let key = try DeviceKey(seed: [UInt8](repeating: 7, count: 32)).publicKey
        pair.decision = .accept(LoginAcceptance(identity: .device(key, name: "laptop")))
        pair.device.handle(.register(FRPNewProxy(proxyName: "web", proxyType: "http", useCompression: true)), at: .zero)
        pair.run()
        return pair
    }

    @Test("A tunnel that was wanted before the login is registered after it")
    func registration() throws {
        var pair = try Self.openAdit()
        #expect(
            pair.deviceOutputs.contains(.registered(FRPNewProxyResponse(proxyName: "web", remoteAddress: ":20000")))
        )
        pair.device.handle(.unregister("web"), at: pair.now)
        pair.run()
        #expect(pair.serverOutputs.last == .closeTunnel("web"))
        let unknown = FRPStartWorkConnection(proxyName: "web")
        #expect(pair.device.transform(for: unknown) == nil)
    }

    @Test("A registration without an answer is sent again after 20 s, and decided once")
    func resend() {
        var pair = ControlPair(.frp(.v1))
        pair.run()
        pair.opensTunnels = false
        pair.device.handle(.register(FRPNewProxy(proxyName: "web", proxyType: "tcp")), at: .zero)
        pair.advance(by: .seconds(19))
        let asked = { (pair: ControlPair) in
            pair.serverOutputs.filter { if case .openTunnel = $0 { true } else { false } }.count
        }
        #expect(asked(pair) == 1)
        pair.advance(by: .seconds(2))
        // The same request, still being decided.
        #expect(asked(pair) == 1)
        pair.server.handle(.tunnelAnswered(FRPNewProxyResponse(proxyName: "web", remoteAddress: ":1")), at: pair.now)
        pair.run()
        #expect(pair.deviceOutputs.contains(.registered(FRPNewProxyResponse(proxyName: "web", remoteAddress: ":1"))))
    }

    @Test("A registration whose first copy was lost succeeds with the second")
    func lostRegistration() {
        var pair = ControlPair(.frp(.v1))
        pair.run()
        pair.isCut = true
        pair.device.handle(.register(FRPNewProxy(proxyName: "web", proxyType: "tcp")), at: .zero)
        pair.advance(by: .seconds(5))
        pair.isCut = false
        pair.advance(by: .seconds(16))
        #expect(
            pair.deviceOutputs.contains(.registered(FRPNewProxyResponse(proxyName: "web", remoteAddress: ":20000")))
        )
    }

    @Test("A refused registration is tried again after 30 s, unless only a person can mend it")
    func retry() throws {
        var pair = ControlPair(.frp(.v1))
        pair.run()
        pair.opensTunnels = false
        pair.device.handle(.register(FRPNewProxy(proxyName: "web", proxyType: "tcp")), at: .zero)
        pair.run()
        let refusal = FRPNewProxyResponse(proxyName: "web", error: "port already used")
        pair.server.handle(.tunnelAnswered(refusal), at: pair.now)
        pair.run()
        guard case .registrationFailed("web", let error, willRetry: true) = pair.deviceOutputs.last else {
            Issue.record("no failure was told")
            return
        }
        #expect(error.why.first?.english == "port already used")
        pair.opensTunnels = true
        pair.advance(by: .seconds(29))
        #expect(pair.deviceOutputs.contains { if case .registered = $0 { true } else { false } } == false)
        pair.advance(by: .seconds(1))
        #expect(pair.deviceOutputs.contains { if case .registered = $0 { true } else { false } })

        var adit = try Self.openAdit()
        adit.opensTunnels = false
        adit.device.handle(.register(FRPNewProxy(proxyName: "b", proxyType: "http")), at: adit.now)
        adit.run()
        let taken = AditError(.nameTaken, "taken")
        let answer = FRPNewProxyResponse(
            proxyName: "b",
            error: "x",
            adit: AditTunnelResponse(error: AditErrorMessage(taken))
        )
        adit.server.handle(.tunnelAnswered(answer), at: adit.now)
        adit.run()
        #expect(adit.deviceOutputs.last == .registrationFailed("b", taken, willRetry: false))
        #expect(adit.device.nextDeadline == nil)
    }

    @Test("A wish that is told twice, before and after the login, is one request with one answer")
    func repeatedWish() {
        var pair = ControlPair(.frp(.v1))
        pair.opensTunnels = false
        let proxy = FRPNewProxy(proxyName: "web", proxyType: "tcp")
        pair.device.handle(.register(proxy), at: .zero)
        pair.run()
        pair.device.handle(.register(proxy), at: .zero)
        pair.run()
        #expect(pair.takeServerOutputs().filter { $0 == .openTunnel(proxy) }.count == 1)
        _ = pair.takeDeviceOutputs()
        let answer = FRPNewProxyResponse(proxyName: "web", remoteAddress: ":1")
        pair.server.handle(.tunnelAnswered(answer), at: pair.now)
        pair.run()
        #expect(pair.takeDeviceOutputs() == [.registered(answer)])
        // Nor is anything asked for that is there.
        pair.device.handle(.register(proxy), at: .zero)
        pair.run()
        #expect(pair.takeServerOutputs().isEmpty)
    }

    @Test("A changed wish gets its own answer, not that of the earlier one")
    func changedWish() {
        var pair = ControlPair(.frp(.v1))
        pair.run()
        pair.opensTunnels = false
        pair.device.handle(.register(FRPNewProxy(proxyName: "web", proxyType: "tcp", remotePort: 1)), at: .zero)
        pair.device.handle(.register(FRPNewProxy(proxyName: "web", proxyType: "tcp", remotePort: 2)), at: .zero)
        pair.run()
        _ = pair.takeDeviceOutputs()
        pair.server.handle(.tunnelAnswered(FRPNewProxyResponse(proxyName: "web", remoteAddress: ":1")), at: pair.now)
        pair.run()
        #expect(pair.takeDeviceOutputs().isEmpty)
        pair.server.handle(.tunnelAnswered(FRPNewProxyResponse(proxyName: "web", remoteAddress: ":2")), at: pair.now)
        pair.run()
        #expect(pair.takeDeviceOutputs() == [.registered(FRPNewProxyResponse(proxyName: "web", remoteAddress: ":2"))])
    }

    @Test("A tunnel that is closed while it is being opened does not stay open at the server")
    func closedWhileOpening() {
        var pair = ControlPair(.frp(.v1))
        pair.run()
        pair.opensTunnels = false
        pair.device.handle(.register(FRPNewProxy(proxyName: "web", proxyType: "tcp")), at: .zero)
        pair.device.handle(.unregister("web"), at: .zero)
        pair.run()
        _ = pair.takeServerOutputs()
        pair.server.handle(.tunnelAnswered(FRPNewProxyResponse(proxyName: "web")), at: pair.now)
        pair.run()
        #expect(pair.takeServerOutputs() == [.closeTunnel("web")])
    }

    @Test("A session holds a bounded number of tunnels, and a name has a bounded length")
    func bounds() {
        var configuration = ServerControl.Configuration()
        configuration.maximumTunnels = 2
        var pair = ControlPair(.frp(.v1), server: configuration)
        pair.run()
        for name in ["a", "b", "c", "", String(repeating: "n", count: 513)] {
            pair.device.handle(.register(FRPNewProxy(proxyName: name, proxyType: "tcp")), at: .zero)
        }
        pair.run()
        let opened = pair.serverOutputs.filter { if case .openTunnel = $0 { true } else { false } }
        let failed = pair.deviceOutputs.filter { if case .registrationFailed = $0 { true } else { false } }
        #expect(opened.count == 2)
        #expect(failed.count == 3)
    }

    @Test("An idle work connection serves the visitor at once and one more is asked for")
    func idleConnection() {
        var pair = Self.open()
        _ = pair.takeServerOutputs()
        _ = pair.takeDeviceOutputs()
        let start = FRPStartWorkConnection(proxyName: "web", sourceAddress: "198.51.100.7", sourcePort: 5)
        pair.server.handle(.workConnection(WorkConnectionID(1), FRPNewWorkConnection(runID: "x")), at: pair.now)
        pair.server.handle(.visitor(VisitorID(9), start), at: pair.now)
        pair.run()
        #expect(
            pair.takeServerOutputs() == [.start(VisitorID(9), on: WorkConnectionID(1), start, WorkTransform())]
        )
        #expect(pair.takeDeviceOutputs().count == 1)
    }

    @Test("A visitor waits ten seconds for a work connection, then is told")
    func patience() {
        var pair = Self.open(poolCount: 0)
        _ = pair.takeServerOutputs()
        let start = FRPStartWorkConnection(proxyName: "web")
        pair.server.handle(.visitor(VisitorID(1), start), at: pair.now)
        pair.advance(by: .seconds(4))
        pair.server.handle(.visitor(VisitorID(2), start), at: pair.now)
        pair.advance(by: .seconds(5))
        #expect(pair.takeServerOutputs().isEmpty)
        pair.server.handle(.workConnection(WorkConnectionID(1), FRPNewWorkConnection()), at: pair.now)
        pair.run()
        #expect(pair.takeServerOutputs() == [.start(VisitorID(1), on: WorkConnectionID(1), start, WorkTransform())])
        pair.advance(by: .seconds(6))
        guard case .visitorFailed(VisitorID(2), let error) = pair.takeServerOutputs().first else {
            Issue.record("the visitor was forgotten")
            return
        }
        #expect(error.code == .deviceOffline)
        // A late connection becomes idle.
        pair.server.handle(.workConnection(WorkConnectionID(2), FRPNewWorkConnection()), at: pair.now)
        pair.run()
        #expect(pair.takeServerOutputs().isEmpty)
    }

    @Test("The queue of idle connections holds the pool and ten more")
    func fullQueue() {
        var pair = Self.open(poolCount: 1)
        _ = pair.takeServerOutputs()
        for number in 1...12 {
            pair.server.handle(.workConnection(WorkConnectionID(UInt64(number)), FRPNewWorkConnection()), at: pair.now)
        }
        pair.run()
        #expect(
            pair.takeServerOutputs()
                == [.refuseWorkConnection(WorkConnectionID(12), "too many idle work connections")]
        )
        pair.server.handle(.workConnectionLost(WorkConnectionID(3)), at: pair.now)
        pair.server.handle(.workConnection(WorkConnectionID(13), FRPNewWorkConnection()), at: pair.now)
        pair.run()
        #expect(pair.takeServerOutputs().isEmpty)
    }

    @Test("A connection that cannot be written to is replaced, pool + 1 times")
    func attempts() {
        var pair = Self.open(poolCount: 1)
        for number in 1...3 {
            pair.server.handle(.workConnection(WorkConnectionID(UInt64(number)), FRPNewWorkConnection()), at: pair.now)
        }
        let start = FRPStartWorkConnection(proxyName: "web")
        _ = pair.takeServerOutputs()
        pair.server.handle(.visitor(VisitorID(1), start), at: pair.now)
        pair.server.handle(.startFailed(VisitorID(1)), at: pair.now)
        pair.server.handle(.startFailed(VisitorID(1)), at: pair.now)
        pair.run()
        let outputs = pair.takeServerOutputs()
        #expect(outputs.count == 3)
        #expect(outputs[0] == .start(VisitorID(1), on: WorkConnectionID(1), start, WorkTransform()))
        #expect(outputs[1] == .start(VisitorID(1), on: WorkConnectionID(2), start, WorkTransform()))
        guard case .visitorFailed(VisitorID(1), _) = outputs[2] else {
            Issue.record("a third try")
            return
        }
    }

    @Test("A work connection without the token's proof is refused when the server wants one")
    func workConnectionScope() {
        var configuration = ServerControl.Configuration()
        configuration.requiresKeyOnWorkConnections = true
        var device = DeviceControl.Configuration.frp(.v1)
        device.provesWorkConnections = true
        var pair = ControlPair(device, server: configuration)
        pair.run()
        let proven: [FRPNewWorkConnection] = pair.deviceOutputs.compactMap {
            if case .openWorkConnection(let first) = $0 { first } else { nil }
        }
        _ = pair.takeServerOutputs()
        let messages: [FRPNewWorkConnection] = proven + [FRPNewWorkConnection(runID: "x", timestamp: 1)]
        for (number, message) in messages.enumerated() {
            pair.server.handle(.workConnection(WorkConnectionID(UInt64(number)), message), at: pair.now)
        }
        pair.run()
        #expect(pair.takeServerOutputs() == [.refuseWorkConnection(WorkConnectionID(1), "invalid NewWorkConn")])
    }

    @Test("An Adit session opens a stream for each visitor and takes no work connections")
    func serverStreams() throws {
        var pair = try Self.openAdit()
        _ = pair.takeServerOutputs()
        let start = FRPStartWorkConnection(proxyName: "web")
        #expect(pair.server.streamTransform(of: "web") == WorkTransform(isCompressed: true))
        #expect(pair.server.streamTransform(of: "nope") == nil)
        pair.server.handle(.visitor(VisitorID(1), start), at: pair.now)
        pair.server.handle(.workConnection(WorkConnectionID(1), FRPNewWorkConnection()), at: pair.now)
        pair.server.handle(.visitor(VisitorID(2), FRPStartWorkConnection(proxyName: "nope")), at: pair.now)
        pair.run()
        let outputs = pair.takeServerOutputs()
        guard case .visitorFailed(VisitorID(1), _) = outputs[0] else {
            Issue.record("a visitor waits for a work connection that an Adit device never opens")
            return
        }
        #expect(
            outputs[1] == .refuseWorkConnection(WorkConnectionID(1), "this session takes no work connections")
        )
        guard case .visitorFailed(VisitorID(2), _) = outputs[2] else {
            Issue.record("a visitor of an unknown tunnel was let in")
            return
        }
        #expect(pair.device.transform(for: start) == WorkTransform(isCompressed: true))
    }

    @Test("The flags of a proxy become the same transform on both sides")
    func transforms() {
        var pair = ControlPair(.frp(.v2))
        pair.run()
        let proxy = FRPNewProxy(proxyName: "p", proxyType: "tcp", useEncryption: true, useCompression: true)
        pair.device.handle(.register(proxy), at: .zero)
        pair.run()
        let start = FRPStartWorkConnection(proxyName: "p")
        pair.server.handle(.workConnection(WorkConnectionID(1), FRPNewWorkConnection()), at: pair.now)
        _ = pair.takeServerOutputs()
        pair.server.handle(.visitor(VisitorID(1), start), at: pair.now)
        pair.run()
        let expected = WorkTransform(isCompressed: true, token: "secret")
        #expect(pair.takeServerOutputs() == [.start(VisitorID(1), on: WorkConnectionID(1), start, expected)])
        #expect(pair.device.transform(for: start) == expected)
        #expect(pair.device.transform(for: FRPStartWorkConnection(proxyName: "p", error: "no")) == nil)
    }

    @Test("When the session ends everyone who waits is told and idle connections are closed")
    func ending() {
        var pair = Self.open(poolCount: 0)
        pair.server.handle(.visitor(VisitorID(1), FRPStartWorkConnection(proxyName: "web")), at: pair.now)
        _ = pair.takeServerOutputs()
        pair.server.handle(.end(.takenOver), at: pair.now)
        pair.run()
        let outputs = pair.takeServerOutputs()
        guard case .visitorFailed(VisitorID(1), _) = outputs.first else {
            Issue.record("the visitor was forgotten")
            return
        }
        #expect(outputs.last == .ended(.takenOver))
        pair.server.handle(.visitor(VisitorID(2), FRPStartWorkConnection(proxyName: "web")), at: pair.now)
        #expect(pair.server.nextOutput() == nil)
        #expect(pair.server.nextDeadline == nil)
    }

    @Test("A tunnel that the server closed is told to an Adit device and not registered again")
    func closedByServer() throws {
        var pair = try Self.openAdit()
        _ = pair.takeDeviceOutputs()
        let error = AditError(.takenOver, "taken over")
        pair.server.handle(.tunnelClosed(FRPCloseProxy(proxyName: "web"), error), at: pair.now)
        pair.run()
        #expect(pair.takeDeviceOutputs() == [.tunnelClosed("web", error)])
        pair.advance(by: .seconds(100))
        #expect(pair.takeDeviceOutputs().isEmpty)
    }
}
