// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
package import AditTraversal

/// What runs a machine on a host, whatever the machine's type.
package class LabMachineRunner: LabTimed {
    func accept(_ input: SocketInput) {}
    func dismantle() {}
}

/// A machine at work on a host's sockets, in virtual time.
package final class LabMachine<Machine: SocketMachine>: LabMachineRunner {
    /// The machine as it is now.
    package private(set) var machine: Machine
    /// Whether it still has its sockets.
    package private(set) var isRunning = true
    /// Whether the computer sleeps: datagrams are lost, and everything else is done when it wakes, while the clock goes on.
    package var isAsleep = false {
        didSet {
            guard oldValue, !isAsleep else { return }
            inputs += slept
            slept = []
            accept(.timer)
        }
    }
    /// What came while it slept: TCP loses nothing of a stream.
    private var slept: [SocketInput] = []

    private var onEvent: ((Machine.Event) -> Void)?
    private unowned let host: LabHost
    private var datagramSockets: [SocketID: LabUDPSocket] = [:]
    private var connections: [SocketID: LabTCPConnection] = [:]
    private var listeners: [SocketID: LabTCPListener] = [:]
    private var exchanges: [SocketID: HTTPExchange] = [:]
    private var nextAccepted = SocketID.acceptedStart
    private var inputs: [SocketInput] = []
    /// How many of the inputs have been handed in.
    private var inputsDone = 0
    private var isBusy = false
    /// Whether it has wanted a socket or a request.
    private var hasBegun = false

    init(_ machine: Machine, on host: LabHost, onEvent: @escaping (Machine.Event) -> Void) {
        self.machine = machine
        self.host = host
        self.onEvent = onEvent
    }

    /// Changes the machine from outside, and performs what it then wants.
    package func update<Result>(_ body: (inout Machine) -> Result) -> Result {
        let result = body(&machine)
        work()
        return result
    }

    /// Closes all of its sockets without a word to the machine.
    package func stop() {
        guard isRunning else { return }
        isRunning = false
        for socket in datagramSockets.values { socket.close() }
        for listener in listeners.values { listener.close() }
        // These send, and in an order that every run has.
        for (_, connection) in connections.sorted(by: { $0.key.number < $1.key.number }) { connection.abort() }
        for (_, exchange) in exchanges.sorted(by: { $0.key.number < $1.key.number }) { exchange.cancel() }
        host.lab.timers.forget(self)
        host.machines.removeAll { $0 === self }
        dismantle()
    }

    /// A machine that wants nothing at first is told that its time has come, as the driver of real sockets does.
    func start() {
        work()
        if isRunning, !hasBegun, machine.nextDeadline == nil { accept(.timer) }
    }

    override func fire() {
        accept(.timer)
    }

    override func accept(_ input: SocketInput) {
        guard isRunning else { return }
        guard !isAsleep else {
            switch input {
            case .received, .receivedBatch, .refused, .timer: break
            default: slept.append(input)
            }
            return
        }
        inputs.append(input)
        work()
    }

    override func dismantle() {
        isRunning = false
        onEvent = nil
        datagramSockets.removeAll()
        connections.removeAll()
        listeners.removeAll()
        exchanges.removeAll()
    }

    /// Hands in what has happened and performs what the machine wants, until both are done.
    ///
    /// Opening a socket answers at once, while outputs are still being performed: answers wait in `inputs`.
    func work() {
        guard !isBusy, isRunning else { return }
        isBusy = true
        perform()
        while inputsDone < inputs.count, isRunning {
            let input = inputs[inputsDone]
            inputsDone += 1
            machine.handle(input, at: host.lab.now)
            perform()
        }
        inputs.removeAll(keepingCapacity: true)
        inputsDone = 0
        isBusy = false
        if isRunning { host.lab.arm(self, at: deadline(of: &machine).map { max($0, host.lab.now) }) }
    }

    /// In place: a machine is large, and read out of a property it is copied.
    private func deadline(of machine: inout Machine) -> Instant? { machine.nextDeadline }

    private func perform() {
        while isRunning, let output = machine.nextOutput() {
            switch output {
            case .open(let id, let kind): open(id, kind)
            case .send(let id, let bytes, let remote, let timeToLive):
                datagramSockets[id]?.send(bytes, to: remote, timeToLive: timeToLive)
            case .sendBatch(let id, let batch, let remote):
                // Each is lost or comes for itself.
                for packet in batch.packets { datagramSockets[id]?.send(packet, to: remote) }
            case .write(let id, let bytes): connections[id]?.write(bytes)
            case .offer(let id, let bytes): connections[id]?.offer(bytes)
            case .offerBatch(let id, let batch): connections[id]?.offer(PacketFrames.frames(batch))
            case .close(let id, let isAbrupt): close(id, isAbrupt: isAbrupt)
            case .request(let id, let request): start(id, request)
            case .event(let event): onEvent?(event)
            }
        }
    }

    private func open(_ id: SocketID, _ kind: SocketKind) {
        hasBegun = true
        switch kind {
        case .udp(let local):
            guard let socket = host.openUDP(local) else { return inputs.append(.closed(id, .addressUnavailable)) }
            socket.onDatagram = { [unowned self] bytes, sender in accept(.received(id, bytes, from: sender)) }
            socket.onRefusal = { [unowned self] refusal in accept(.refused(id, refusal)) }
            // As the sockets of the driver are.
            socket.mayFragment = !Machine.takesBatches
            datagramSockets[id] = socket
            inputs.append(.opened(id, local: socket.local))
        case .listener(let local):
            guard let listener = host.listen(local) else { return inputs.append(.closed(id, .addressUnavailable)) }
            listener.onAccept = { [unowned self] connection in accepted(connection, by: id) }
            listeners[id] = listener
            inputs.append(.opened(id, local: listener.local))
        // Who listens is known here: what TLS is for needs no proof in a simulation.
        case .tcp(let local, let remote), .tls(let local, let remote, _):
            switch host.connect(from: local, to: remote) {
            case .failure(let end): inputs.append(.closed(id, end.end))
            case .success(let connection): adopt(connection, id)
            }
        }
    }

    private func accepted(_ connection: LabTCPConnection, by listener: SocketID) {
        let id = SocketID(nextAccepted)
        nextAccepted += 1
        adopt(connection, id)
        accept(.accepted(id, by: listener, local: connection.local, remote: connection.remote))
    }

    private func adopt(_ connection: LabTCPConnection, _ id: SocketID) {
        connections[id] = connection
        connection.onEvent = { [unowned self, unowned connection] event in
            switch event {
            case .connected:
                accept(.connected(id, local: connection.local, remote: connection.remote))
            case .bytes(let bytes): accept(.bytes(id, bytes))
            case .ended(let end):
                connections[id] = nil
                // A machine has no half-closed connections.
                if end == .finished { connection.close() }
                accept(.closed(id, end))
            }
        }
    }

    private func start(_ id: SocketID, _ request: SocketRequest) {
        hasBegun = true
        exchanges[id] = HTTPExchange(request, on: host) { [unowned self] result in
            exchanges[id] = nil
            switch result {
            case .success(let response): accept(.response(id, response))
            case .failure(let failure): accept(.closed(id, failure.end))
            }
        }
    }

    private func close(_ id: SocketID, isAbrupt: Bool) {
        // Those that were handed in keep their places, by which the next one is found.
        inputs.removeSubrange(..<inputsDone)
        inputsDone = 0
        inputs.removeAll { $0.isAbout(id) }
        if let socket = datagramSockets.removeValue(forKey: id) { return socket.close() }
        if let listener = listeners.removeValue(forKey: id) { return listener.close() }
        if let exchange = exchanges.removeValue(forKey: id) { return exchange.cancel() }
        guard let connection = connections.removeValue(forKey: id) else { return }
        connection.onEvent = nil
        if isAbrupt { connection.abort() } else { connection.close() }
    }
}

extension LabHost {
    /// Runs a machine on this host's sockets; its events go to `onEvent`.
    @discardableResult
    package func run<Machine: SocketMachine>(
        _ machine: Machine,
        onEvent: @escaping (Machine.Event) -> Void = { _ in }
    ) -> LabMachine<Machine> {
        let runner = LabMachine(machine, on: self, onEvent: onEvent)
        machines.append(runner)
        runner.start()
        return runner
    }
}

extension SocketInput {
    /// Whether it names a socket.
    func isAbout(_ id: SocketID) -> Bool {
        switch self {
        case .opened(let other, _), .received(let other, _, _), .receivedBatch(let other, _, _), .refused(let other, _),
            .connected(let other, _, _), .accepted(let other, _, _, _), .bytes(let other, _), .closed(let other, _),
            .response(let other, _):
            other == id
        case .networkChanged, .timer: false
        }
    }
}
