// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire
import Testing

@Suite struct FRPRoundTripTests {
    @Test(arguments: 0..<200) func `reads what it wrote`(seed: UInt64) throws {
        var source = RandomMessages(seed: seed)
        for message in source.all() {
            let frame = FRPFrame.message(message)
            let bytes = try frame.encoded(.v2)
            let decoded = try #require(try FRPFrame.decode(bytes, .v2))
            #expect(decoded.frame == frame)
            #expect(decoded.byteCount == bytes.count)
            #expect(try FRPFrame.decode(try frame.encoded(.v1), .v1)?.frame == frame)
        }
    }

    @Test func `carries errors for people in both languages`() throws {
        let error = AditError(
            .nameTaken,
            Text("The name is taken", zh: "名称已被占用"),
            why: [Text("by “desk”", zh: "被“desk”占用")],
            fix: "adit http 3000 --name other"
        )
        let message = AditErrorMessage(error)
        #expect(message.error == error)
        let frame = FRPFrame.message(.tunnelClosed(AditTunnelClosed(proxyName: "p", error: message)))
        #expect(try FRPFrame.decode(try frame.encoded(.v2), .v2)?.frame == frame)
        let json = String(decoding: try frame.encoded(.v2).dropFirst(10), as: UTF8.self)
        #expect(
            json == #"{"proxyName":"p","error":{"code":302,"what":{"en":"The name is taken","zh":"名称已被占用"},"#
                + #""why":[{"en":"by “desk”","zh":"被“desk”占用"}],"#
                + #""fix":{"en":"adit http 3000 --name other","zh":"adit http 3000 --name other"}}}"#
        )
    }

    @Test func `shows a code of a later version as such`() throws {
        let json = #"{"error":{"code":399,"what":{"en":"A later fault"}}}"#
        var bytes: [UInt8] = [0, 16, 0, 0]
        bytes.appendBigEndian(UInt32(json.utf8.count + 2))
        bytes.appendBigEndian(UInt16(0x4002))
        let frame = try FRPFrame.decode(bytes + Array(json.utf8), .v2)?.frame
        guard case .message(.tunnelClosed(let closed)) = frame, let error = closed.error?.error else {
            Issue.record("no error")
            return
        }
        #expect(error.code == .protocolBroken)
        #expect(error.what == Text("A later fault", zh: "A later fault"))
        #expect(error.why.map(\.english) == ["the other side's code is ADIT-399"])
    }
}

/// Messages with random contents, the same for the same seed.
private struct RandomMessages {
    private var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed)
    }

    mutating func all() -> [FRPMessage] {
        [
            .login(
                FRPLogin(
                    version: text(),
                    hostname: text(),
                    os: text(),
                    arch: text(),
                    user: text(),
                    privilegeKey: text(),
                    timestamp: Int64.random(in: .min ... .max, using: &generator),
                    runID: text(),
                    clientID: text(),
                    metas: map(),
                    clientSpec: FRPClientSpec(type: text(), alwaysAuthPass: flag()),
                    poolCount: port(),
                    adit: flag()
                        ? AditLogin(
                            deviceKey: bytes(),
                            deviceName: text(),
                            signature: bytes(),
                            invite: bytes(),
                            tokenProof: bytes(),
                            hello: bytes()
                        ) : nil
                )
            ),
            .loginResponse(
                FRPLoginResponse(
                    version: text(),
                    runID: text(),
                    error: text(),
                    adit: AditLoginResponse(
                        deviceName: text(),
                        serverName: text(),
                        domain: text(),
                        httpPort: UInt16(port()),
                        stun: flag()
                            ? STUNOffer(
                                port: UInt16(port()),
                                tlsPort: UInt16(port()),
                                alternatePort: UInt16(port()),
                                alternateAddress: flag() ? .v4(0xCB00_7106) : nil
                            ) : nil,
                        turn: flag() ? turn() : nil,
                        error: failure()
                    )
                )
            ),
            .newProxy(
                FRPNewProxy(
                    proxyName: text(),
                    proxyType: text(),
                    useEncryption: flag(),
                    useCompression: flag(),
                    bandwidthLimit: text(),
                    bandwidthLimitMode: text(),
                    group: text(),
                    groupKey: text(),
                    metas: map(),
                    annotations: map(),
                    remotePort: port(),
                    customDomains: list(),
                    subdomain: text(),
                    locations: list(),
                    httpUser: text(),
                    httpPassword: text(),
                    hostHeaderRewrite: text(),
                    headers: map(),
                    responseHeaders: map(),
                    routeByHTTPUser: text(),
                    secretKey: text(),
                    allowUsers: list(),
                    multiplexer: text(),
                    adit: AditTunnelRequest(
                        target: text(),
                        name: text(),
                        auth: list(),
                        allow: list(),
                        expiresIn: port(),
                        isPublic: flag()
                    )
                )
            ),
            .newProxyResponse(
                FRPNewProxyResponse(
                    proxyName: text(),
                    remoteAddress: text(),
                    error: text(),
                    adit: AditTunnelResponse(
                        addresses: list(),
                        name: text(),
                        port: UInt16(port()),
                        expiresAt: Int64(port()),
                        error: failure()
                    )
                )
            ),
            .closeProxy(FRPCloseProxy(proxyName: text())),
            .newWorkConnection(FRPNewWorkConnection(runID: text(), privilegeKey: text(), timestamp: Int64(port()))),
            .requestWorkConnection,
            .startWorkConnection(
                FRPStartWorkConnection(
                    proxyName: text(),
                    sourceAddress: text(),
                    destinationAddress: text(),
                    sourcePort: UInt16(port()),
                    destinationPort: UInt16(port()),
                    error: text()
                )
            ),
            .newVisitorConnection(
                FRPNewVisitorConnection(
                    runID: text(),
                    proxyName: text(),
                    signKey: text(),
                    timestamp: Int64(port()),
                    useEncryption: flag(),
                    useCompression: flag()
                )
            ),
            .newVisitorConnectionResponse(FRPNewVisitorConnectionResponse(proxyName: text(), error: text())),
            .ping(FRPPing(privilegeKey: text(), timestamp: Int64(port()))),
            .pong(FRPPong(error: text())),
            .udpPacket(
                FRPUDPPacket(
                    content: bytes(),
                    localAddress: flag() ? FRPUDPAddress() : nil,
                    remoteAddress: FRPUDPAddress(ip: text(), port: UInt16(port()), zone: text())
                )
            ),
            .requestReport(
                AditRequestReport(
                    proxyName: text(),
                    time: Int64(port()),
                    method: text(),
                    path: text(),
                    status: port(),
                    durationMs: Int64(port()),
                    visitor: text(),
                    upgraded: flag(),
                    omitted: port()
                )
            ),
            .tunnelClosed(AditTunnelClosed(proxyName: text(), error: failure())),
            .draining(AditDraining(reconnectAfterMs: port())),
            .turnOffer(turn()),
            .peerSignal(
                AditPeerSignal(
                    peer: text(),
                    run: text(),
                    service: text(),
                    key: bytes(),
                    body: bytes(),
                    signature: bytes()
                )
            ),
            .services(AditServices(names: (0..<3).map { _ in text() }, isMore: flag())),
            .peerStream(AditPeerStream(peer: text(), run: text(), service: text(), key: bytes())),
            .serviceQuery(AditServiceQuery(name: text())),
            .serviceHolder(AditServiceHolder(name: text(), peer: text(), reason: text())),
            .peerUnavailable(
                AditPeerUnavailable(
                    peer: text(),
                    run: text(),
                    service: text(),
                    reason: text(),
                    lastSeen: Int64(port())
                )
            ),
            .helloAnswer(AditHelloAnswer(hello: bytes())),
        ]
    }

    private mutating func flag() -> Bool { Bool.random(using: &generator) }

    private mutating func port() -> Int { Int.random(in: 0...65_535, using: &generator) }

    private mutating func turn() -> TURNOffer {
        TURNOffer(
            port: UInt16(port()),
            tlsPort: UInt16(port()),
            isOnSessionPort: flag(),
            username: text(),
            password: text(),
            realm: text(),
            nonce: text(),
            expiresAt: Int64(port())
        )
    }

    private mutating func bytes() -> [UInt8] {
        let count = Int.random(in: 0...70, using: &generator)
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    private mutating func text() -> String {
        let alphabet = Array("az09-._/\\\"\u{0}\n\u{1f}\u{7f} é中😀\u{2028}<&")
        let count = Int.random(in: 0...12, using: &generator)
        return String((0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &generator)] })
    }

    private mutating func list() -> [String] { (0..<Int.random(in: 0...3, using: &generator)).map { _ in text() } }

    private mutating func map() -> [String: String] {
        var map: [String: String] = [:]
        for _ in 0..<Int.random(in: 0...3, using: &generator) { map[text()] = text() }
        return map
    }

    private mutating func failure() -> AditErrorMessage? {
        guard flag() else { return nil }
        let what = Text("what \(text())", zh: "什么 \(text())")
        return AditErrorMessage(
            AditError(.limitReached, what, why: flag() ? [what, "why"] : [], fix: flag() ? what : nil)
        )
    }
}
