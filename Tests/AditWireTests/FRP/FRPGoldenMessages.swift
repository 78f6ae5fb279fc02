// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditWire

/// The bytes of Adit's own messages on both wires.
enum FRPGoldenMessages {
    static let ofAdit: [FRPGoldenTests.Golden] = [
        .init(
            type: "o",
            id: 1,
            json: #"{"version":"1","adit":{"hello":"AAEC"}}"#,
            message: .login(FRPLogin(version: "1", adit: AditLogin(hello: [0, 1, 2])))
        ),
        .init(
            type: "Q",
            id: 0x4001,
            json: #"{"proxyName":"web","time":5,"method":"GET","path":"/","status":200,"durationMs":7,"#
                + #""visitor":"192.0.2.1","upgraded":true,"omitted":3}"#,
            message: .requestReport(
                AditRequestReport(
                    proxyName: "web",
                    time: 5,
                    method: "GET",
                    path: "/",
                    status: 200,
                    durationMs: 7,
                    visitor: "192.0.2.1",
                    upgraded: true,
                    omitted: 3
                )
            )
        ),
        .init(
            type: "X",
            id: 0x4002,
            json: #"{"proxyName":"p","error":{"code":302,"what":{"en":"taken","zh":"taken"}}}"#,
            message: .tunnelClosed(
                AditTunnelClosed(proxyName: "p", error: AditErrorMessage(AditError(.nameTaken, "taken")))
            )
        ),
        .init(
            type: "D",
            id: 0x4003,
            json: #"{"reconnectAfterMs":1500}"#,
            message: .draining(AditDraining(reconnectAfterMs: 1500))
        ),
        .init(
            type: "R",
            id: 0x4004,
            json: #"{"proxyName":"p","reason":"password","limit":"1/s","count":4,"seconds":60}"#,
            message: .visitorsRefused(
                AditVisitorsRefused(proxyName: "p", reason: "password", limit: "1/s", count: 4, seconds: 60)
            )
        ),
        .init(
            type: "S",
            id: 0x4005,
            json: #"{"peer":"ben","run":"0a","key":"AQI=","body":"Aw==","signature":"BA=="}"#,
            message: .peerSignal(AditPeerSignal(peer: "ben", run: "0a", key: [1, 2], body: [3], signature: [4]))
        ),
        .init(
            type: "U",
            id: 0x4006,
            json: #"{"peer":"ben","run":"0a","reason":"offline","lastSeen":9}"#,
            message: .peerUnavailable(AditPeerUnavailable(peer: "ben", run: "0a", reason: "offline", lastSeen: 9))
        ),
        .init(
            type: "T",
            id: 0x4007,
            json: #"{"port":3478,"tlsPort":5349,"onSessionPort":true,"username":"u","password":"p","realm":"r","#
                + #""nonce":"n","expiresAt":12}"#,
            message: .turnOffer(
                TURNOffer(
                    port: 3478,
                    tlsPort: 5349,
                    isOnSessionPort: true,
                    username: "u",
                    password: "p",
                    realm: "r",
                    nonce: "n",
                    expiresAt: 12
                )
            )
        ),
        .init(
            type: "H",
            id: 0x4008,
            json: #"{"hello":"/w=="}"#,
            message: .helloAnswer(AditHelloAnswer(hello: [255]))
        ),
    ]
}
