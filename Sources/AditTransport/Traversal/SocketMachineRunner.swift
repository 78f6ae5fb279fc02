// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditTraversal
import DequeModule
import NIOCore

/// The sockets, the timer and the machine of a driver, on their event loop.
final class SocketMachineRunner<Machine: SocketMachine> {
    /// What stands behind an id of the machine.
    private enum Slot {
        case datagram(ProbeSocket)
        case connection(ProbeConnection)
        case listener(ProbeListener)
        case request(ProbeRequest)
    }

    /// How many connections that listeners accepted may be open; further ones are reset.
    private static var acceptedLimit: Int { 256 }

    private var machine: Machine
    private let eventLoop: any EventLoop
    private let clock: Clock
    private let interface: String?
    private let watchesNetwork: Bool
    private let tls: SocketTLS?
    /// What opens TLS, by the server's name: making one reads the system's authorities.
    private var tlsClients: [String: ClientTLS] = [:]
    /// Where all sockets receive.
    private let slab = ProbeSlab(takesRuns: Machine.takesBatches)
    private let onEvent: (Machine.Event) -> Void
    private var slots: [SocketID: Slot] = [:]
    private var inbox: Deque<SocketInput> = []
    private var isPumping = false
    private var isTimerStale = false
    private var isOver = false
    private var timer: (at: Instant, scheduled: Scheduled<Void>)?
    private var nextAccepted = SocketID.acceptedStart
    private var acceptedCount = 0
    private var watch: NetworkWatch?
    private var scopes: InterfaceScopes?

    init(
        _ machine: Machine,
        on eventLoop: any EventLoop,
        through interface: String?,
        watchesNetwork: Bool,
        tls: SocketTLS?,
        onEvent: @escaping (Machine.Event) -> Void
    ) {
        self.machine = machine
        self.eventLoop = eventLoop
        self.interface = interface
        self.watchesNetwork = watchesNetwork
        self.tls = tls
        self.onEvent = onEvent
        clock = .of(eventLoop)
    }

    func start() {
        guard !isOver else { return }
        if watchesNetwork {
            watch = NetworkWatch(of: interface, on: eventLoop) { [weak self] network in
                self?.scopes = nil
                self?.feed(.networkChanged(network))
            }
        }
        pump()
        if slots.isEmpty, machine.nextDeadline == nil { feed(.timer) }
    }

    func update(_ change: (inout Machine) -> Void) {
        _ = with(change)
    }

    func with<Answer>(_ change: (inout Machine) -> Answer) -> Answer? {
        guard !isOver else { return nil }
        let answer = change(&machine)
        if !isPumping { pump() }
        return answer
    }

    func look<Answer>(_ body: (inout Machine) -> Answer) -> Answer? {
        isOver ? nil : body(&machine)
    }

    func cancel() {
        guard !isOver else { return }
        isOver = true
        timer?.scheduled.cancel()
        timer = nil
        watch?.close()
        watch = nil
        inbox = []
        let open = slots.values
        slots = [:]
        for slot in open { close(slot, isAbrupt: false) }
    }

    var openCount: Int { slots.count }

    // MARK: The machine

    private func feed(_ input: SocketInput) {
        guard !isOver else { return }
        inbox.append(input)
        if !isPumping { pump() }
    }

    /// Takes outputs until there is none, hands the next input in, and so on; then sets the timer.
    private func pump() {
        isPumping = true
        while !isOver {
            while !isOver, let output = machine.nextOutput() { perform(output) }
            guard let input = inbox.popFirst() else { break }
            machine.handle(input, at: clock.now())
        }
        isPumping = false
        // Once in the loop's turn, however many packets pass in it.
        guard !isTimerStale else { return }
        isTimerStale = true
        eventLoop.assumeIsolated().execute { self.setTimer() }
    }

    private func setTimer() {
        isTimerStale = false
        let deadline = isOver ? nil : Self.deadline(of: &machine)
        guard deadline != timer?.at else { return }
        timer?.scheduled.cancel()
        timer = nil
        guard let deadline else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let scheduled = eventLoop.scheduleTask(deadline: deadline.deadline) {
            bound.value.timer = nil
            bound.value.feed(.timer)
        }
        timer = (deadline, scheduled)
    }

    /// In place: a machine is large, and read out of a property it is copied.
    private static func deadline(of machine: inout Machine) -> Instant? { machine.nextDeadline }

    private func perform(_ output: SocketOutput<Machine.Event>) {
        switch output {
        case .open(let id, let kind): open(id, kind)
        case .send(let id, let bytes, let destination, let timeToLive):
            if case .datagram(let socket)? = slots[id] { socket.send(bytes, to: destination, timeToLive: timeToLive) }
        case .sendBatch(let id, let batch, let destination):
            if case .datagram(let socket)? = slots[id] { socket.send(batch, to: destination) }
        case .write(let id, let bytes):
            if case .connection(let connection)? = slots[id] { connection.write(bytes) }
        case .offer(let id, let bytes):
            if case .connection(let connection)? = slots[id] { connection.offer(bytes) }
        case .offerBatch(let id, let batch):
            if case .connection(let connection)? = slots[id] { connection.offer(batch) }
        case .close(let id, let isAbrupt):
            inbox.removeAll { $0.id == id }
            if let slot = release(id) { close(slot, isAbrupt: isAbrupt) }
        case .request(let id, let request): send(request, id)
        case .event(let event): onEvent(event)
        }
    }

    private func close(_ slot: Slot, isAbrupt: Bool) {
        switch slot {
        case .datagram(let socket): socket.close()
        case .connection(let connection): connection.close(isAbrupt: isAbrupt)
        case .listener(let listener): listener.close()
        case .request(let request): request.close()
        }
    }

    private func release(_ id: SocketID) -> Slot? {
        guard let slot = slots.removeValue(forKey: id) else { return nil }
        if id.number >= SocketID.acceptedStart { acceptedCount -= 1 }
        return slot
    }

    private func end(_ id: SocketID, _ end: SocketEnd) {
        _ = release(id)
        feed(.closed(id, end))
    }

    // MARK: Sockets

    private func open(_ id: SocketID, _ kind: SocketKind) {
        precondition(slots[id] == nil && id.number < SocketID.acceptedStart, "an id is used once")
        switch kind {
        case .udp(let local): bind(id, local)
        case .listener(let local): listen(id, local)
        case .tcp(let local, let remote): connect(id, local, remote, nil)
        case .tls(let local, let remote, let name):
            guard let client = tlsClient(for: name) else { return feed(.closed(id, .denied)) }
            connect(id, local, remote, client)
        }
    }

    private func connect(_ id: SocketID, _ local: IPEndpoint, _ remote: IPEndpoint, _ tls: ClientTLS?) {
        let connection = ProbeConnection(tls: tls) { [weak self] event in self?.take(event, id) }
        slots[id] = .connection(connection)
        guard local.address.isSameFamily(as: remote.address) else { return end(id, .addressUnavailable) }
        let device = device(of: nil)
        connection.connect(from: local, to: remote, scope: scope(local.address), device: device, on: eventLoop)
    }

    private func tlsClient(for name: String) -> ClientTLS? {
        if let known = tlsClients[name] { return known }
        let client = try? tls?.client(for: name)
        // Names come from a server's offer: few, and the same again and again.
        if tlsClients.count >= 16 { tlsClients = [:] }
        tlsClients[name] = client
        return client
    }

    private func bind(_ id: SocketID, _ local: IPEndpoint) {
        do {
            let place = (scope: scope(local.address), device: device(of: local.address))
            let socket = try ProbeSocket(local, interface: place.scope, device: place.device, slab, on: eventLoop) {
                [weak self] event in
                switch event {
                case .received(let batch, let source):
                    if batch.count > 1 {
                        self?.feed(.receivedBatch(id, batch, from: source))
                    } else {
                        self?.feed(.received(id, batch.bytes, from: source))
                    }
                case .refused(let refusal): self?.feed(.refused(id, refusal))
                }
            }
            slots[id] = .datagram(socket)
            feed(.opened(id, local: socket.local))
        } catch {
            feed(.closed(id, SocketEnd(error)))
        }
    }

    private func listen(_ id: SocketID, _ local: IPEndpoint) {
        let listener = ProbeListener(
            local,
            scope: scope(local.address),
            device: device(of: nil),
            on: eventLoop,
            opened: { [weak self] result in
                switch result {
                case .success(let endpoint): self?.feed(.opened(id, local: endpoint))
                case .failure(let error): self?.end(id, SocketEnd(error))
                }
            },
            accepted: { [weak self] channel in try self?.accept(channel, by: id) }
        )
        // What the system refuses at once has ended already.
        if !listener.isClosed { slots[id] = .listener(listener) }
    }

    private func accept(_ channel: any Channel, by listener: SocketID) throws {
        guard !isOver, slots[listener] != nil, acceptedCount < Self.acceptedLimit else {
            return ChannelReset.close(channel)
        }
        let id = SocketID(nextAccepted)
        let connection = ProbeConnection { [weak self] event in
            if case .connected(let local, let remote) = event {
                self?.feed(.accepted(id, by: listener, local: local, remote: remote))
            } else {
                self?.take(event, id)
            }
        }
        try connection.adopt(channel)
        nextAccepted += 1
        acceptedCount += 1
        slots[id] = .connection(connection)
    }

    private func take(_ event: ProbeConnection.Event, _ id: SocketID) {
        switch event {
        case .connected(let local, let remote): feed(.connected(id, local: local, remote: remote))
        case .bytes(let bytes): feed(.bytes(id, bytes))
        case .closed(let reason): end(id, reason)
        }
    }

    private func send(_ request: SocketRequest, _ id: SocketID) {
        precondition(slots[id] == nil && id.number < SocketID.acceptedStart, "an id is used once")
        let exchange = ProbeRequest(request, scope: scope(nil), device: device(of: nil), on: eventLoop) {
            [weak self] result in
            switch result {
            case .failure(let failure): self?.end(id, failure.end)
            case .success(let response):
                _ = self?.release(id)
                self?.feed(.response(id, response))
            }
        }
        if !exchange.isOver { slots[id] = .request(exchange) }
    }

    private func scope(_ local: IPAddress?) -> UInt32 {
        if case .v4? = local { return 0 }
        return knownScopes().index(of: local)
    }

    /// The number of the interface to which a socket is bound besides its address; 0 for none.
    private func device(of local: IPAddress?) -> UInt32 {
        let scopes = knownScopes()
        if let interface { return scopes.device(named: interface) }
        return local.map { scopes.device(besideDefaultRoute: $0) } ?? 0
    }

    private func knownScopes() -> InterfaceScopes {
        let known = scopes ?? InterfaceScopes.current()
        scopes = known
        return known
    }
}

extension SocketInput {
    /// The socket, connection or request that it is about.
    fileprivate var id: SocketID? {
        switch self {
        case .opened(let id, _), .received(let id, _, _), .receivedBatch(let id, _, _), .refused(let id, _),
            .connected(let id, _, _), .accepted(let id, _, _, _), .bytes(let id, _), .closed(let id, _),
            .response(let id, _):
            id
        case .networkChanged, .timer: nil
        }
    }
}

extension IPAddress {
    fileprivate func isSameFamily(as other: IPAddress) -> Bool {
        switch (self, other) {
        case (.v4, .v4), (.v6, .v6): true
        default: false
        }
    }
}
