// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditLab
import AditTraversal
import Testing

/// Reads an endpoint that a test spells.
func endpoint(_ text: String) -> IPEndpoint {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]),
        let address = IPAddress(text[..<colon].filter { $0 != "[" && $0 != "]" })
    else { preconditionFailure("not an endpoint: \(text)") }
    return IPEndpoint(address, port)
}

/// A port of the simulated server.
let webPort: UInt16 = 80

/// A test bench for one box: two hosts behind it, and a server with two addresses outside.
///
/// ```
/// inside 192.168.1.2 ┐
///                    ├ 192.168.1.1 box 198.51.100.2 ─ core ─ server 203.0.113.10, .11
/// second 192.168.1.3 ┘
/// ```
struct Bench {
    let lab: Lab
    let inside: LabHost
    let second: LabHost
    let box: LabNAT
    let core: LabRouter
    let server: LabHost
    /// Port 1 and 2 of address 1, then of address 2.
    let serverEndpoints = [
        "203.0.113.10:3478", "203.0.113.10:3479", "203.0.113.11:3478", "203.0.113.11:3479",
    ].map(endpoint)

    init(_ lab: Lab, _ configuration: NATConfiguration, pool: Int = 1, delay: Duration = .milliseconds(5)) {
        self.lab = lab
        inside = lab.host("inside")
        second = lab.host("second")
        box = lab.nat("box", configuration)
        core = lab.router("core")
        server = lab.host("server")
        let isPublic = configuration.udp.policy == .firewall || configuration.udp.policy == .open
        let net = isPublic ? "198.18.1" : "192.168.1"
        func address(_ text: String) -> InterfaceAddress { InterfaceAddress(stringLiteral: text) }
        let lan = lab.link(latency: .microseconds(200), name: "lan")
        inside.attach(to: lan, address("\(net).2/24"))
        second.attach(to: lan, address("\(net).3/24"))
        box.attach(to: lan, address("\(net).1/24"))
        let wan = lab.link(latency: delay, name: "wan")
        box.attach(to: wan, (0..<pool).map { address("198.51.100.\(2 + $0)/24") }, side: .outside)
        core.attach(to: wan, "198.51.100.1/24")
        let far = lab.link(latency: delay, name: "far")
        core.attach(to: far, "203.0.113.1/24")
        server.attach(to: far, "203.0.113.10/24", "203.0.113.11/24")
        let gateway = address("\(net).1/24").address
        inside.defaultRoute(via: gateway)
        second.defaultRoute(via: gateway)
        box.defaultRoute(via: endpoint("198.51.100.1:0").address)
        server.defaultRoute(via: endpoint("203.0.113.1:0").address)
        if isPublic {
            core.route(address("\(net).0/24"), via: endpoint("198.51.100.2:0").address)
        }
    }

    /// The external endpoints that the server's four endpoints see of a socket; nil where nothing arrives.
    func mapped(_ socket: LabUDPSocket) throws -> [IPEndpoint?] {
        var seen: [IPEndpoint?] = Array(repeating: nil, count: serverEndpoints.count)
        let seenBox = Box(seen)
        let sockets = serverEndpoints.enumerated().map { index, local in
            let listening = server.openUDP(local)
            listening?.onDatagram = { _, sender in seenBox.value[index] = sender }
            return listening
        }
        for remote in serverEndpoints { socket.send([1], to: remote) }
        try lab.run(for: .seconds(1))
        for socket in sockets { socket?.close() }
        seen = seenBox.value
        return seen
    }

    /// Whether a datagram from an endpoint of the server reaches the socket by way of `external`.
    func reaches(_ socket: LabUDPSocket, at external: IPEndpoint, from local: String) throws -> Bool {
        let arrived = Box(false)
        socket.onDatagram = { bytes, _ in if bytes == [7] { arrived.value = true } }
        let sending = server.openUDP(endpoint(local))
        sending?.send([7], to: external)
        try lab.run(for: .seconds(1))
        sending?.close()
        return arrived.value
    }
}

/// A value that closures of one test share.
final class Box<Value> {
    var value: Value
    init(_ value: Value) { self.value = value }
}
