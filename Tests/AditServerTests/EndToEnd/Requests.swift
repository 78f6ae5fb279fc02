// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditServer
import AditWire
import NIOCore
import NIOPosix

extension FRPNewProxy {
    static func tcp(
        _ proxyName: String,
        target: String = "localhost:7",
        port: UInt16 = 0,
        allow: [String] = [],
        expiresIn: Int = 0,
        isPublic: Bool = false
    ) -> FRPNewProxy {
        FRPNewProxy(
            proxyName: proxyName,
            proxyType: "tcp",
            remotePort: Int(port),
            adit: AditTunnelRequest(target: target, allow: allow, expiresIn: expiresIn, isPublic: isPublic)
        )
    }

    static func http(
        _ proxyName: String,
        target: String = "localhost:80",
        name: String = "",
        allow: [String] = []
    ) -> FRPNewProxy {
        FRPNewProxy(
            proxyName: proxyName,
            proxyType: "http",
            adit: AditTunnelRequest(target: target, name: name, allow: allow)
        )
    }
}

/// The whole answer to one request for `/` on the server's port of names.
func get(_ test: TestServer, _ host: String) async throws -> String {
    try await get(test.server.httpPort, host)
}

/// The whole answer to one request for `/`.
func get(_ port: UInt16, _ host: String) async throws -> String {
    let visitor = try await Visitor.connect(port)
    try await visitor.send("GET / HTTP/1.1\r\nHost: \(host)\r\nAccept: text/html\r\nConnection: close\r\n\r\n")
    return try await visitor.rest()
}

/// Asks again until the answer is the awaited one, for at most 20 s.
func eventually<Value>(
    _ ask: () async throws -> Value,
    until isAwaited: (Value) -> Bool
) async throws -> Value {
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let deadline = NIODeadline.now() + .seconds(20)
    while true {
        let value = try await ask()
        if isAwaited(value) || NIODeadline.now() > deadline { return value }
        try await loop.scheduleTask(in: .milliseconds(5)) {}.futureResult.get()
    }
}
