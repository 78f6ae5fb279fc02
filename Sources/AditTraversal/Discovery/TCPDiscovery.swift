// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

internal import AditCore
internal import AditWire

/// Measures what happens to TCP over IPv4.
///
/// Every server is asked over a connection of its own. Then, from each of a few local ports, connections to all targets are
/// opened at once, which shows the mapping. On further fresh ports the server is asked to connect back from another port and
/// another address to the very endpoint that it sees, where a listener waits: RFC 5780 knows no such test, so only Adit's
/// server can take part.
struct TCPDiscovery: Sendable {
    private enum Role: Hashable, Sendable {
        case server(Int)
        case mapping(port: Int, target: Int)
        case filtering(port: Int)
        case back(port: Int)
    }

    private struct Connection {
        var role: Role
        var remote: IPEndpoint
        var local: IPEndpoint?
        var request: STUNTransactionID
        var buffer: [UInt8] = []
        var isConnected = false
        var isAnswered = false
        var order: Int
    }

    private struct Port {
        var listener: SocketID
        var isFilter: Bool
        var local: IPEndpoint?
        var isLost = false
        /// The requests to connect back, and what came of them.
        var requests: [FilteringTest: STUNTransactionID] = [:]
        var promised: Set<FilteringTest> = []
        var arrived: Set<FilteringTest> = []
        var answers = 0
        /// Until when connections are awaited; nil before the server promised them.
        var deadline: Instant?
        var isOver = false
    }

    private static let serverLimit = 3
    private static let mappingPorts = 3
    private static let filteringPorts = 3
    /// A connection gets a second SYN after a second (RFC 6298 section 2), and both have to arrive late.
    private static let backTime = Duration.milliseconds(1700)
    private static let byteLimit = 2048
    private static let gathering = Duration.milliseconds(300)

    let address: IPAddress
    private let extent: NATDiscovery.Configuration.Extent
    private(set) var observations = BehaviorObservations()
    /// Servers that took a connection.
    private(set) var connected: Set<Int> = []
    private var connections: [SocketID: Connection] = [:]
    private var ports: [Port] = []
    private var targets: [MappingTarget] = []
    private var primary: Int?
    private var begin: Instant?
    private var order = 0
    private(set) var isDone = false

    init(address: IPAddress, extent: NATDiscovery.Configuration.Extent) {
        self.address = address
        self.extent = extent
    }

    var nextDeadline: Instant? {
        guard !isDone else { return nil }
        var earliest = begin
        for port in ports where !port.isOver {
            guard let deadline = port.deadline else { continue }
            if earliest.map({ deadline < $0 }) ?? true { earliest = deadline }
        }
        return earliest
    }

    func owns(_ id: SocketID) -> Bool {
        connections[id] != nil || ports.contains { $0.listener == id }
    }

    // MARK: Beginning

    mutating func start(_ servers: [ProbeServer], _ sockets: inout ProbeSockets) {
        let mine = servers.filter { AddressFamily($0.endpoint.address) == .v4 }.prefix(Self.serverLimit)
        observations.wasAsked = !mine.isEmpty
        isDone = mine.isEmpty
        for server in mine {
            connect(.server(server.index), from: IPEndpoint(address, 0), to: server.endpoint, &sockets)
        }
    }

    private mutating func connect(
        _ role: Role,
        from local: IPEndpoint,
        to remote: IPEndpoint,
        _ sockets: inout ProbeSockets
    ) {
        let id = sockets.newID()
        order += 1
        connections[id] = Connection(
            role: role,
            remote: remote,
            request: sockets.newTransactionID(),
            order: order
        )
        sockets.put(.open(id, .tcp(local: local, remote: remote)))
    }

    /// A server has answered, over UDP or TCP, so that its endpoints are known.
    mutating func found(_ server: ProbeServer, at now: Instant) {
        guard primary == nil, !isDone, AddressFamily(server.endpoint.address) == .v4 else { return }
        let soon = server.hasOtherAddress ? now : now + Self.gathering
        begin = min(begin ?? soon, soon)
    }

    private mutating func openPorts(
        _ servers: [ProbeServer],
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        begin = nil
        let usable = servers.filter { AddressFamily($0.endpoint.address) == .v4 && $0.isUsable }
        guard
            let best = usable.first(where: \.hasOtherAddress) ?? usable.first(where: {
                $0.otherPort != nil
            })
                ?? usable.first
        else { return }
        primary = best.index
        targets = best.endpoints.map { MappingTarget(endpoint: $0, server: best.index) }
        for other in usable where other.index != best.index && targets.count < 6 {
            targets.append(MappingTarget(endpoint: other.endpoint, server: other.index))
        }
        let filteringPorts = extent == .quick ? 1 : Self.filteringPorts
        for number in 0..<Self.mappingPorts + filteringPorts {
            let listener = sockets.newID()
            ports.append(Port(listener: listener, isFilter: number >= Self.mappingPorts))
            sockets.put(.open(listener, .listener(local: IPEndpoint(address, 0))))
        }
    }

    // MARK: Inputs

    mutating func opened(_ id: SocketID, local: IPEndpoint, _ sockets: inout ProbeSockets) {
        guard let number = ports.firstIndex(where: { $0.listener == id }), ports[number].local == nil,
            let primary, let first = targets.first(where: { $0.server == primary })
        else { return }
        ports[number].local = local
        // All ports of the burst at once, so that the external ports show the allocation.
        if !ports.contains(where: { !$0.isLost && $0.local == nil }) { connectBurst(first.endpoint, &sockets) }
    }

    private mutating func connectBurst(_ first: IPEndpoint, _ sockets: inout ProbeSockets) {
        for (number, target) in targets.enumerated() {
            for port in ports.indices {
                guard let local = ports[port].local else { continue }
                if !ports[port].isFilter {
                    connect(.mapping(port: port, target: number), from: local, to: target.endpoint, &sockets)
                } else if number == 0 {
                    connect(.filtering(port: port), from: local, to: first, &sockets)
                }
            }
        }
    }

    mutating func connected(_ id: SocketID, local: IPEndpoint, _ sockets: inout ProbeSockets) {
        guard var connection = connections[id], !connection.isConnected else { return }
        connection.local = local
        connection.isConnected = true
        connections[id] = connection
        switch connection.role {
        case .server(let server):
            connected.insert(server)
            write(connection.request, [.software("adit")], on: id, &sockets)
        case .mapping:
            write(connection.request, [], on: id, &sockets)
        case .filtering(let port):
            for test in FilteringTest.allCases {
                let request = sockets.newTransactionID()
                ports[port].requests[test] = request
                write(request, [ConnectBack.attribute(test)], on: id, &sockets)
            }
        case .back: break
        }
    }

    private func write(
        _ request: STUNTransactionID,
        _ attributes: [STUNAttribute],
        on id: SocketID,
        _ sockets: inout ProbeSockets
    ) {
        var bytes: [UInt8] = []
        STUNMessage(.request, transactionID: request, attributes: attributes).encode(into: &bytes)
        sockets.put(.write(id, bytes))
    }

    mutating func accepted(
        _ id: SocketID,
        by listener: SocketID,
        remote: IPEndpoint,
        _ sockets: inout ProbeSockets
    ) {
        guard let number = ports.firstIndex(where: { $0.listener == listener }), ports[number].isFilter,
            connections.count < 128
        else {
            sockets.put(.close(id, isAbrupt: true))
            return
        }
        order += 1
        connections[id] = Connection(
            role: .back(port: number),
            remote: remote,
            request: sockets.newTransactionID(),
            isConnected: true,
            order: order
        )
    }

    mutating func bytes(
        _ id: SocketID,
        _ bytes: [UInt8],
        _ servers: inout [ProbeServer],
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        guard let connection = connections[id], connection.buffer.count + bytes.count <= Self.byteLimit
        else {
            return drop(id, &sockets)
        }
        connections[id]?.buffer += bytes
        while let buffer = connections[id]?.buffer, !buffer.isEmpty {
            do {
                guard
                    let count = try STUNMessage.byteCount(inStream: buffer.span.bytes, limit: Self.byteLimit),
                    buffer.count >= count
                else { return }
                let message = try STUNMessage.decode(buffer.span.bytes.extracting(0..<count))
                connections[id]?.buffer.removeFirst(count)
                take(message, on: id, &servers, &sockets, at: now)
            } catch {
                if case .server(let index) = connection.role { servers[index].report.fault = .broken }
                return drop(id, &sockets)
            }
        }
    }

    private mutating func drop(_ id: SocketID, _ sockets: inout ProbeSockets) {
        guard connections.removeValue(forKey: id) != nil else { return }
        sockets.put(.close(id, isAbrupt: true))
    }

    private mutating func take(
        _ message: STUNMessage,
        on id: SocketID,
        _ servers: inout [ProbeServer],
        _ sockets: inout ProbeSockets,
        at now: Instant
    ) {
        guard let connection = connections[id] else { return }
        switch connection.role {
        case .server(let index):
            guard message.transactionID == connection.request, let local = connection.local else {
                return
            }
            if let external = servers[index].note(message, to: local) {
                servers[index].report.answersTCP = true
                let target = MappingTarget(endpoint: servers[index].endpoint, server: index)
                note(connection, id.number, nil, target, external)
                found(servers[index], at: now)
            }
            drop(id, &sockets)
        case .mapping(let port, let number):
            guard message.transactionID == connection.request, !connection.isAnswered,
                let local = connection.local
            else { return }
            if let external = servers[targets[number].server].note(message, to: local) {
                // Sockets of one local port count as one.
                note(connection, ports[port].listener.number, 0, targets[number], external)
            }
            // The connection stays: its end would end the mapping.
            connections[id]?.isAnswered = true
        case .filtering(let port):
            guard
                let test = ports[port].requests.first(where: { $0.value == message.transactionID })?.key,
                let primary, let local = connection.local,
                let target = targets.first(where: { $0.server == primary })
            else { return }
            ports[port].answers += 1
            guard let external = servers[primary].note(message, to: local) else { return }
            if test == .address { note(connection, ports[port].listener.number, 0, target, external) }
            if ConnectBack.test(in: message) == test {
                ports[port].promised.insert(test)
                observations.offered.insert(test)
                ports[port].deadline = now + Self.backTime
            }
            if ports[port].answers == ports[port].requests.count, ports[port].promised.isEmpty {
                ports[port].isOver = true
            }
        case .back(let port):
            let match = ports[port].requests.first { $0.value == message.transactionID }
            if let match { arrived(match.key, at: port, id, &sockets) }
        }
    }

    private mutating func arrived(
        _ test: FilteringTest,
        at port: Int,
        _ id: SocketID,
        _ sockets: inout ProbeSockets
    ) {
        ports[port].arrived.insert(test)
        drop(id, &sockets)
        if ports[port].arrived == ports[port].promised { ports[port].isOver = true }
    }

    private mutating func note(
        _ connection: Connection,
        _ socket: UInt32,
        _ burst: Int?,
        _ target: MappingTarget,
        _ external: IPEndpoint
    ) {
        guard let local = connection.local else { return }
        observations.samples.append(
            MappingSample(
                socket: socket,
                burst: burst,
                order: connection.order,
                local: local,
                target: target,
                external: external
            )
        )
    }

    mutating func closed(_ id: SocketID, _ end: SocketEnd, _ sockets: inout ProbeSockets) {
        if let number = ports.firstIndex(where: { $0.listener == id }) {
            ports[number].isLost = true
            ports[number].isOver = true
        }
        guard let connection = connections.removeValue(forKey: id) else { return }
        // The other side has sent everything; this one is not over before it is closed.
        if end == .finished { sockets.put(.close(id, isAbrupt: true)) }
        if case .filtering(let port) = connection.role, ports[port].deadline == nil {
            ports[port].isOver = true
        }
    }

    // MARK: Time

    mutating func advance(_ servers: [ProbeServer], _ sockets: inout ProbeSockets, at now: Instant) {
        guard !isDone else { return }
        if let begin, begin <= now { openPorts(servers, &sockets, at: now) }
        for index in ports.indices where ports[index].deadline.map({ $0 <= now }) ?? false {
            ports[index].isOver = true
        }
        let isAnswering = connections.values.contains { connection in
            switch connection.role {
            case .server: primary == nil
            case .mapping: !connection.isAnswered
            case .filtering, .back: false
            }
        }
        let isOpening = ports.contains { $0.isFilter ? !$0.isOver : $0.local == nil && !$0.isLost }
        if begin == nil, !isAnswering, !isOpening { finish(&sockets) }
    }

    /// Closes everything, and takes what there is.
    mutating func finish(_ sockets: inout ProbeSockets) {
        guard !isDone else { return }
        isDone = true
        for id in connections.keys.sorted(by: { $0.number < $1.number }) { drop(id, &sockets) }
        for port in ports where !port.isLost { sockets.put(.close(port.listener, isAbrupt: true)) }
        if observations.obstacle != .notMeasured {
            let wasAnswered = ports.contains { $0.isFilter && $0.answers > 0 }
            observations.obstacle = wasAnswered ? .noConnectBack : .fewAnswers
        }
        for port in ports where port.isFilter {
            for test in FilteringTest.allCases where port.promised.contains(test) {
                observations.filtering.append(
                    // The promise is the answer, and time has to have passed since.
                    FilteringSample(test: test, isOpen: port.isOver, hasPassed: port.arrived.contains(test))
                )
            }
        }
    }
}
