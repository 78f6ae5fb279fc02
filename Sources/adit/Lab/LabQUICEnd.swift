// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

import AditCore
import AditCrypto
import AditTransport
import AditTraversal
import Glibc
import NIOCore

/// One UDP socket, as a machine that does nothing of its own.
struct LabPacketWire: SocketMachine {
    enum Event: Sendable, Equatable {
        case opened(IPEndpoint)
        case received(PacketBatch, from: IPEndpoint)
        case failed
    }

    static let takesBatches = true
    private static let socket = SocketID(1)
    private var outputs: [SocketOutput<Event>]

    init(_ local: IPAddress) {
        outputs = [.open(Self.socket, .udp(local: IPEndpoint(local, 0)))]
    }

    mutating func send(_ batch: PacketBatch, to remote: IPEndpoint) {
        outputs.append(.sendBatch(Self.socket, batch, to: remote))
    }

    mutating func handle(_ input: SocketInput, at now: Instant) {
        switch input {
        case .opened(_, let local): outputs.append(.event(.opened(local)))
        case .received(_, let bytes, let remote): outputs.append(.event(.received(PacketBatch(bytes), from: remote)))
        case .receivedBatch(_, let batch, let remote): outputs.append(.event(.received(batch, from: remote)))
        case .closed: outputs.append(.event(.failed))
        default: break
        }
    }

    mutating func nextOutput() -> SocketOutput<Event>? { outputs.isEmpty ? nil : outputs.removeFirst() }

    var nextDeadline: Instant? { nil }
}

/// One end of a QUIC connection over a socket on loopback, with what `adit lab quic` does on it; lives on one event loop.
final class LabQUICEnd {
    struct Order: Sendable {
        var key: DeviceKey
        var peer: DevicePublicKey
        var local: IPAddress
        var remote: IPEndpoint?
        var bytes: Int?
        var streams: Int
        var packetSize: Int
        var datagram: String?
        var isSink: Bool
        var holds: Bool
    }

    /// The bytes that are sent repeat after so many.
    static let period = 251
    private static let block = ByteBuffer(bytes: (0..<period * 256).map { UInt8($0 % period) })

    private let order: Order
    private let loop: any EventLoop
    private let over: EventLoopPromise<Void>
    private let identity: QUICIdentity
    private var driver: SocketMachineDriver<LabPacketWire>?
    private var remote: IPEndpoint?
    private var connection: QUICPeerConnection?
    private var openStreams = 0
    private var received = 0

    init(_ order: Order, on loop: any EventLoop, over: EventLoopPromise<Void>) {
        self.order = order
        self.loop = loop
        self.over = over
        identity = QUICIdentity(order.key)
        remote = order.remote
    }

    func start() {
        let bound = NIOLoopBound(self, eventLoop: loop)
        let driver = SocketMachineDriver(LabPacketWire(order.local), on: loop) { bound.value.heard($0) }
        self.driver = driver
        driver.start()
    }

    func close() {
        guard let connection else { return finish(nil) }
        connection.close()
    }

    private func heard(_ event: LabPacketWire.Event) {
        switch event {
        case .opened(let local):
            let key = Hexadecimal.encode(order.key.publicKey.bytes)
            tell(["key": .string(key), "port": .number(Int64(local.port))])
            guard order.remote != nil else { return }
            let now = Instant(loop.now)
            run(.client(identity, peer: order.peer.keyFingerprint, at: now))
        case .received(let batch, let source):
            if connection == nil, order.remote == nil {
                let now = Instant(loop.now)
                let made = QUICConnection.server(identity, peer: order.peer.keyFingerprint, first: batch[0], at: now)
                guard let made else { return }
                remote = source
                run(made)
            }
            if source == remote { connection?.receive(batch) }
        case .failed: finish(nil)
        }
    }

    private func run(_ made: QUICConnection) {
        let connection = QUICPeerConnection(
            made,
            on: loop,
            owner: QUICPeerConnection.Owner(
                send: { [unowned self] batch in
                    guard let remote else { return }
                    driver?.update { $0.send(batch, to: remote) }
                },
                packetSize: { [order] in order.packetSize },
                established: { [unowned self] in established() },
                opened: { [unowned self] in try opened($0) },
                ended: { [unowned self] in finish($0) }
            )
        )
        self.connection = connection
        connection.start()
    }

    private func established() {
        tell(["established": .boolean(true)])
        guard let bytes = order.bytes else { return }
        for number in 0..<order.streams { open(bytes, isFirst: number == 0) }
    }

    private func open(_ bytes: Int, isFirst: Bool) {
        openStreams += 1
        let sender = LabStreamSender(bytes, block: Self.block, holds: order.holds) {
            [unowned self] came, isRight, error in
            ended(came, isRight, error)
        }
        let opened = connection?.openStream { try $0.pipeline.syncOperations.addHandler(sender) }
        opened?.assumeIsolated().whenComplete { [unowned self] result in
            switch result {
            case .success(let channel):
                if isFirst, let text = order.datagram {
                    let isSent = connection?.sendDatagram(ByteBuffer(string: text), of: channel) ?? false
                    if !isSent { tell(["error": .string("the datagram is too large")]) }
                }
            case .failure(let error): ended(0, false, error)
            }
        }
    }

    private func opened(_ channel: any Channel) throws {
        try channel.pipeline.syncOperations.addHandler(
            LabStreamEcho(isSink: order.isSink) { [unowned self] event in
                switch event {
                case .datagram(let payload, let channel):
                    tell(["datagram": .string(String(buffer: payload))])
                    if !order.isSink { _ = connection?.sendDatagram(payload, of: channel) }
                case .bytes(let count): received += count
                case .ended(let count): tell(["read": .number(Int64(count))])
                }
            }
        )
    }

    private func ended(_ came: Int, _ isRight: Bool, _ error: (any Error)?) {
        received += came
        tell([
            "came": .number(Int64(came)), "right": .boolean(isRight), "error": error.map { .string("\($0)") },
        ])
        openStreams -= 1
        if openStreams == 0 { close() }
    }

    private func finish(_ end: QUICEnd?) {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        let cpu = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        tell([
            "ended": .string(end.map { "\($0)" } ?? "no connection"),
            "bytes": .number(Int64(received)), "cpu": .decimal(cpu),
        ])
        let driver = self.driver
        self.driver = nil
        // The packet that says goodbye is on its way to the socket.
        loop.assumeIsolated().execute { [over] in
            driver?.cancel()
            over.succeed()
        }
    }

    private func tell(_ line: KeyValuePairs<String, JSONLine.Value?>) {
        StandardStream.line(JSONLine(line).text)
    }
}
