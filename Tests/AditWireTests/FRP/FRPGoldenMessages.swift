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
            json: #"{"peer":"ben","run":"0a","service":"ssh","key":"AQI=","body":"Aw==","signature":"BA=="}"#,
            message: .peerSignal(
                AditPeerSignal(peer: "ben", run: "0a", service: "ssh", key: [1, 2], body: [3], signature: [4])
            )
        ),
        .init(
            type: "U",
            id: 0x4006,
            json: #"{"peer":"ben","run":"0a","service":"ssh","reason":"offline","lastSeen":9}"#,
            message: .peerUnavailable(
                AditPeerUnavailable(peer: "ben", run: "0a", service: "ssh", reason: "offline", lastSeen: 9)
            )
        ),
        .init(
            type: "A",
            id: 0x4009,
            json: #"{"names":["ssh","web 1"],"more":true}"#,
            message: .services(AditServices(names: ["ssh", "web 1"], isMore: true))
        ),
        .init(
            type: "J",
            id: 0x400A,
            json: #"{"peer":"ben","run":"0a","service":"ssh","key":"AQI="}"#,
            message: .peerStream(AditPeerStream(peer: "ben", run: "0a", service: "ssh", key: [1, 2]))
        ),
        .init(
            type: "L",
            id: 0x400B,
            json: #"{"name":"mei.ssh"}"#,
            message: .serviceQuery(AditServiceQuery(name: "mei.ssh"))
        ),
        .init(
            type: "P",
            id: 0x400C,
            json: #"{"name":"mei.ssh","peer":"mei@SHA256:a","reason":"busy"}"#,
            message: .serviceHolder(AditServiceHolder(name: "mei.ssh", peer: "mei@SHA256:a", reason: "busy"))
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
