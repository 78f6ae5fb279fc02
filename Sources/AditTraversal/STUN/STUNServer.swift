// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
internal import AditWire

/// A STUN server as a machine with sockets: what AditLab runs on a simulated host.
///
/// The server of `adit server` has listeners of its own, and the same `STUNResponder` behind them.
package struct STUNServer: SocketMachine {
    /// Which sockets to open: the server's own addresses, which its configuration announces.
    package struct Sockets: Sendable, Equatable {
        /// The address to bind to.
        package var address: IPAddress
        /// The second address; nil when there is none.
        package var alternateAddress: IPAddress?
        /// The port.
        package var port: UInt16
        /// The second port; nil when there is none.
        package var alternatePort: UInt16?

        /// Makes it from its parts.
        package init(
            address: IPAddress,
            alternateAddress: IPAddress? = nil,
            port: UInt16 = 3478,
            alternatePort: UInt16? = nil
        ) {
            self.address = address
            self.alternateAddress = alternateAddress
            self.port = port
            self.alternatePort = alternatePort
        }
    }

    /// What the machine tells.
    package enum Event: Sendable, Equatable {
        /// A socket could not be opened.
        case failed(STUNServerSocket, SocketEnd)
    }

    /// How many TCP connections are open at once.
    package static let connectionLimit = 256
    /// How long a TCP connection may be silent.
    package static let idleLimit = Duration.seconds(30)
    /// How many bytes of an incomplete message a TCP connection may have sent.
    package static let streamByteLimit = 4096

    private struct Connection: Sendable {
        var socket: STUNServerSocket
        var remote: IPEndpoint
        var pending: [UInt8] = []
        var deadline: Instant
    }

    /// What was answered.
    package private(set) var responder: STUNResponder
    private var sockets: [SocketID: STUNServerSocket] = [:]
    private var datagramIDs: [STUNServerSocket: SocketID] = [:]
    private var connections: [SocketID: Connection] = [:]
    private var outputs: [SocketOutput<Event>] = []
    private var connectBack = ConnectBackResponder()
    /// Connections to clients that asked for one, and what to write on them.
    private var backward: [SocketID: (bytes: [UInt8], deadline: Instant)] = [:]
    private var nextBackward: UInt32 = 16
    private let own: Sockets

    /// Makes a server on `sockets`; the announced addresses are the same unless `configuration` says others.
    package init(_ sockets: Sockets, configuration: STUNServerConfiguration? = nil, seed: UInt64) {
        own = sockets
        connectBack = ConnectBackResponder(ownPorts: Set([sockets.port, sockets.alternatePort].compactMap { $0 }))
        var announced = STUNServerConfiguration(port: sockets.port, alternatePort: sockets.alternatePort)
        let addresses = STUNServerConfiguration.Addresses(
            primary: sockets.address,
            alternate: sockets.alternateAddress
        )
        switch sockets.address {
        case .v4: announced.v4 = addresses
        case .v6: announced.v6 = addresses
        }
        responder = STUNResponder(configuration: configuration ?? announced, seed: seed)
        var next: UInt32 = 0
        for (isAlternateAddress, address) in [(false, sockets.address), (true, sockets.alternateAddress)] {
            for (isAlternatePort, port) in [(false, sockets.port), (true, sockets.alternatePort)] {
                guard let address, let port else { continue }
                let socket = STUNServerSocket(
                    isAlternateAddress: isAlternateAddress,
                    isAlternatePort: isAlternatePort
                )
                let local = IPEndpoint(address, port)
                for kind in [SocketKind.udp(local: local), .listener(local: local)] {
                    let id = SocketID(next)
                    next += 1
                    self.sockets[id] = socket
                    if case .udp = kind { datagramIDs[socket] = id }
                    outputs.append(.open(id, kind))
                }
            }
        }
    }

    package var nextDeadline: Instant? {
        let idle = connections.values.lazy.map(\.deadline).min()
        let back = backward.values.lazy.map(\.deadline).min()
        return [idle, back].compactMap { $0 }.min()
    }

    package mutating func nextOutput() -> SocketOutput<Event>? {
        outputs.isEmpty ? nil : outputs.removeFirst()
    }

    package mutating func handle(_ input: SocketInput, at now: Instant) {
        switch input {
        case .received(let id, let bytes, let source):
            guard let socket = sockets[id] else { return }
            let reply = responder.respond(to: bytes.span.bytes, from: source, at: socket, over: .udp, now: now)
            guard let reply, let from = datagramIDs[reply.route.socket] else { return }
            outputs.append(.send(from, reply.bytes, to: reply.route.destination, timeToLive: nil))
        case .accepted(let id, let listener, _, let remote):
            guard let socket = sockets[listener], connections.count < Self.connectionLimit else {
                outputs.append(.close(id, isAbrupt: true))
                return
            }
            connections[id] = Connection(socket: socket, remote: remote, deadline: now + Self.idleLimit)
        case .bytes(let id, let bytes): handleStream(id, bytes, at: now)
        case .connected(let id, _, _):
            guard let back = backward.removeValue(forKey: id) else { return }
            outputs.append(.write(id, back.bytes))
            outputs.append(.close(id, isAbrupt: false))
        case .closed(let id, let end):
            if backward.removeValue(forKey: id) != nil { return }
            if connections.removeValue(forKey: id) != nil {
                if end == .finished { outputs.append(.close(id, isAbrupt: false)) }
            } else if let socket = sockets.removeValue(forKey: id) {
                outputs.append(.event(.failed(socket, end)))
            }
        case .timer:
            for (id, connection) in connections where connection.deadline <= now { drop(id) }
            for (id, back) in backward where back.deadline <= now {
                backward[id] = nil
                outputs.append(.close(id, isAbrupt: true))
            }
        default: break
        }
    }

    private mutating func handleStream(_ id: SocketID, _ bytes: [UInt8], at now: Instant) {
        guard var connection = connections.removeValue(forKey: id) else { return }
        connection.pending += bytes
        connection.deadline = now + Self.idleLimit
        connections[id] = connection
        while let count = messageByteCount(connection.pending) {
            guard count > 0 else { return drop(id) }
            let message = Array(connection.pending.prefix(count))
            connection.pending.removeFirst(count)
            connections[id] = connection
            let reply = responder.respond(
                to: message.span.bytes,
                from: connection.remote,
                at: connection.socket,
                over: .tcp,
                now: now
            )
            guard var reply else { continue }
            if let plan = planBack(message, connection, &reply.bytes, at: now) { open(plan, connection, at: now) }
            outputs.append(.write(id, reply.bytes))
        }
    }

    private mutating func planBack(
        _ message: [UInt8],
        _ connection: Connection,
        _ response: inout [UInt8],
        at now: Instant
    ) -> ConnectBackPlan? {
        guard backward.count < ConnectBackResponder.pendingLimit else { return nil }
        return connectBack.plan(
            for: message.span.bytes,
            from: connection.remote,
            at: (connection.socket.isAlternateAddress ? own.alternateAddress : nil) ?? own.address,
            hasOtherAddress: own.alternateAddress != nil,
            now: now,
            promisedIn: &response
        )
    }

    private mutating func open(_ plan: ConnectBackPlan, _ connection: Connection, at now: Instant) {
        let isAlternate = plan.isFromOtherAddress != connection.socket.isAlternateAddress
        guard let address = isAlternate ? own.alternateAddress : own.address else { return }
        let id = SocketID(nextBackward)
        nextBackward += 1
        backward[id] = (plan.bytes, now + ConnectBackResponder.patience)
        outputs.append(.open(id, .tcp(local: IPEndpoint(address, 0), remote: plan.destination)))
    }

    /// How long the message is that has come whole; nil when it has not, 0 when the stream is not STUN.
    private func messageByteCount(_ bytes: [UInt8]) -> Int? {
        do throws(STUNError) {
            let count = try STUNMessage.byteCount(inStream: bytes.span.bytes, limit: Self.streamByteLimit)
            return count.flatMap { bytes.count >= $0 ? $0 : nil }
        } catch {
            return 0
        }
    }

    private mutating func drop(_ id: SocketID) {
        connections[id] = nil
        outputs.append(.close(id, isAbrupt: true))
    }
}
