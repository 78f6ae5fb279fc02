// SPDX-FileCopyrightText: The Adit authors
// SPDX-License-Identifier: Apache-2.0

package import AditCore
import CAditPlatform
import Glibc
package import NIOCore
import NIOPosix

/// Who takes what a UDP socket receives; called on the socket's event loop.
package protocol DatagramSocketDelegate: AnyObject {
    /// A datagram came; the bytes are only there during the call.
    func received(_ payload: UnsafeRawBufferPointer, from path: DatagramPath)

    /// Everything that had come was told; more is told in another round.
    func endedRound()

    /// The peer of a connected socket said that nobody is there (ICMP port unreachable).
    func peerRefused()

    /// The socket is closed, by whomever.
    func closed()
}

/// A UDP socket on an event loop, made for many small datagrams.
///
/// NIO tells when something can be read, and reads the first datagram. What else has come is received at once with
/// recvmmsg(2) into memory that all sockets of a thread share. Sending goes past NIO, which closes a UDP channel at errors
/// that a single visitor can cause, such as one whose spoofed address cannot be sent to. Runs of datagrams of one size to
/// one peer leave in one call (udp(7), UDP_SEGMENT). What the system does not take at once is thrown away and counted,
/// as any router does.
package final class DatagramSocket {
    /// How often one wake-up receives until others have their turn.
    private static let rounds = 8
    /// How many bytes of runs it receives at most before that.
    private static let wakeByteLimit = 512 * 1024
    /// The largest payload that is sent in runs: what fits a path of 1500 bytes.
    private static let firstSegmentLimit = 1472
    private static let runByteLimit = 65_507

    /// Where everything happens.
    package let eventLoop: any EventLoop
    /// How many datagrams could not be sent.
    package private(set) var sendDrops = 0

    private let descriptor: CInt
    private let family: CInt
    private var channel: (any Channel)?
    private var delegate: (any DatagramSocketDelegate)?
    /// Whether it is neither closed nor being closed.
    package private(set) var isOpen = true
    private var drained: Int64 = 0

    private var run: [iovec] = []
    private var runPath: DatagramPath?
    private var runSegment = 0
    private var runBytes = 0
    private var segmentLimit = firstSegmentLimit

    private init(descriptor: CInt, family: CInt, eventLoop: any EventLoop, delegate: any DatagramSocketDelegate) {
        self.descriptor = descriptor
        self.family = family
        self.eventLoop = eventLoop
        self.delegate = delegate
    }

    /// Binds a socket to an address, or to every address of both families where the machine has both; called on the
    /// event loop.
    ///
    /// - Throws: `IOError` of the system.
    package static func bind(
        _ address: IPAddress,
        port: UInt16,
        on eventLoop: any EventLoop,
        delegate: any DatagramSocketDelegate
    ) throws -> (socket: DatagramSocket, ready: EventLoopFuture<Void>) {
        eventLoop.preconditionInEventLoop()
        let binding = try DatagramBinding(address, port: port)
        return try open(binding.descriptor, binding.family, on: eventLoop, delegate, "bind")
    }

    /// Makes a socket that is connected to one peer; called on the event loop.
    ///
    /// - Throws: `IOError` of the system.
    package static func connect(
        to endpoint: IPEndpoint,
        on eventLoop: any EventLoop,
        delegate: any DatagramSocketDelegate
    ) throws -> (socket: DatagramSocket, ready: EventLoopFuture<Void>) {
        eventLoop.preconditionInEventLoop()
        var raw = DatagramPath(to: endpoint).raw
        let descriptor = adit_datagram_connect(&raw)
        return try open(descriptor, CInt(raw.family), on: eventLoop, delegate, "connect")
    }

    private static func open(
        _ descriptor: CInt,
        _ family: CInt,
        on eventLoop: any EventLoop,
        _ delegate: any DatagramSocketDelegate,
        _ call: String
    ) throws -> (socket: DatagramSocket, ready: EventLoopFuture<Void>) {
        guard descriptor >= 0 else { throw IOError(errnoCode: -descriptor, reason: call) }
        let socket = DatagramSocket(descriptor: descriptor, family: family, eventLoop: eventLoop, delegate: delegate)
        let bound = NIOLoopBound(socket, eventLoop: eventLoop)
        let ready = DatagramBootstrap(group: eventLoop)
            .channelOption(.maxMessagesPerRead, value: 1)
            .channelOption(
                .recvAllocator,
                value: FittingReceiveBuffer(descriptor: descriptor)
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    // Without them on an old kernel there are no runs, and replies leave from where the system chooses.
                    try? channel.syncOptions?.setOption(.datagramReceiveOffload, value: true)
                    try? channel.syncOptions?.setOption(.datagramReceiveSegmentSize, value: true)
                    bound.value.channel = channel
                    try channel.pipeline.syncOperations.addHandler(DatagramSocketHandler(bound.value))
                }
            }
            .withBoundSocket(descriptor)
            .map { channel -> Void in
                // NIO knows the family only now.
                try? channel.syncOptions?.setOption(.receivePacketInfo, value: true)
            }
        return (socket, ready)
    }

    /// The port to which the socket is bound.
    package var port: UInt16 { isOpen ? UInt16(clamping: adit_datagram_port(descriptor)) : 0 }

    /// How many datagrams the kernel threw away since the last question, because they came faster than they were read.
    package func takeKernelDrops() -> Int {
        guard isOpen else { return 0 }
        let total = adit_datagram_kernel_drops(descriptor)
        // The kernel counts with 32 bits.
        let news = total < 0 ? 0 : (total - drained) & 0xFFFF_FFFF
        drained = max(0, total)
        return Int(news)
    }

    /// Closes the socket; the delegate hears of it.
    package func close() {
        guard isOpen else { return }
        isOpen = false
        if let channel { channel.close(promise: nil) }
    }

    // MARK: Receiving

    func receive(_ envelope: AddressedEnvelope<ByteBuffer>) {
        let local = envelope.metadata?.packetInfo?.destinationAddress
        guard isOpen, let path = DatagramPath(envelope.remoteAddress, local: local) else { return }
        envelope.data.withUnsafeReadableBytes { bytes in
            deliver(bytes, segment: envelope.metadata?.segmentSize ?? 0, from: path)
        }
    }

    func drain() {
        let memory = DatagramMemory.ofThisThread
        var bytes = 0
        for _ in 0..<Self.rounds where isOpen && bytes < Self.wakeByteLimit {
            let count = adit_datagram_receive(descriptor, memory.slab.baseAddress, memory.received.baseAddress)
            if count == -ECONNREFUSED {
                delegate?.peerRefused()
                continue
            }
            guard count > 0 else { break }
            for index in 0..<Int(count) where isOpen {
                let datagram = memory.received[index]
                let start = index * ADIT_DATAGRAM_SLOT_SIZE
                let received = UnsafeRawBufferPointer(rebasing: memory.slab[start..<start + Int(datagram.length)])
                bytes += received.count
                deliver(received, segment: Int(datagram.segment), from: DatagramPath(datagram.peer))
            }
            guard count == CInt(ADIT_DATAGRAM_SLOTS) else { break }
        }
        if isOpen { delegate?.endedRound() }
    }

    private func deliver(_ bytes: UnsafeRawBufferPointer, segment: Int, from path: DatagramPath) {
        guard segment > 0, segment < bytes.count else {
            delegate?.received(bytes, from: path)
            return
        }
        var start = 0
        while start < bytes.count, isOpen {
            let end = min(start + segment, bytes.count)
            delegate?.received(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), from: path)
            start = end
        }
    }

    func refused() {
        if isOpen { delegate?.peerRefused() }
    }

    func closed() {
        isOpen = false
        channel = nil
        let delegate = delegate
        self.delegate = nil
        delegate?.closed()
    }

    // MARK: Sending

    /// Sends a datagram, at the latest with `flush`; its bytes have to stay where they are until then.
    ///
    /// - Parameter path: where to; nil on a connected socket.
    package func send(_ payload: UnsafeRawBufferPointer, to path: DatagramPath? = nil) {
        guard isOpen else {
            sendDrops += 1
            return
        }
        if !run.isEmpty, !continues(payload, path) { flush() }
        run.append(iovec(iov_base: UnsafeMutableRawPointer(mutating: payload.baseAddress), iov_len: payload.count))
        runBytes += payload.count
        if run.count == 1 {
            runPath = path
            runSegment = payload.count
            if payload.isEmpty || payload.count > segmentLimit { flush() }
        } else if payload.count < runSegment || run.count == ADIT_DATAGRAM_SEGMENTS {
            flush()
        }
    }

    /// Sends what waits for more of its kind.
    package func flush() {
        guard !run.isEmpty else { return }
        let count = run.count
        let result = sendRun(0..<count, segment: count > 1 ? UInt16(runSegment) : 0)
        if result < 0, count > 1, result != -EAGAIN, result != -ENOBUFS {
            // A path or an interface that does not take runs: one by one, and no runs of this size any more.
            segmentLimit = result == -EMSGSIZE || result == -EINVAL ? runSegment - 1 : 0
            for index in 0..<count { note(sendRun(index..<index + 1, segment: 0), 1) }
        } else {
            note(result, count)
        }
        run.removeAll(keepingCapacity: true)
        runBytes = 0
    }

    private func continues(_ payload: UnsafeRawBufferPointer, _ path: DatagramPath?) -> Bool {
        guard !payload.isEmpty, payload.count <= runSegment, runBytes + payload.count <= Self.runByteLimit else {
            return false
        }
        guard let path else { return runPath == nil }
        return runPath.map { $0.isSame(as: path) } ?? false
    }

    private func sendRun(_ range: Range<Int>, segment: UInt16) -> CInt {
        guard isOpen else { return -EBADF }
        return run.withUnsafeBufferPointer { parts in
            let start = parts.baseAddress.map { $0 + range.lowerBound }
            guard var raw = runPath?.raw else {
                return adit_datagram_send(descriptor, family, nil, start, range.count, segment)
            }
            return adit_datagram_send(descriptor, family, &raw, start, range.count, segment)
        }
    }

    private func note(_ result: CInt, _ count: Int) {
        if result < 0 { sendDrops += count }
        if result > 0 || result == -ECONNREFUSED { refused() }
    }
}

/// The memory into which the sockets of a thread receive: mostly never touched, because datagrams are small.
private final class DatagramMemory {
    let slab: UnsafeMutableRawBufferPointer
    let received: UnsafeMutableBufferPointer<adit_datagram>

    // Safe although shared: each thread sees an instance of its own.
    private nonisolated(unsafe) static let perThread = ThreadSpecificVariable<DatagramMemory>()

    static var ofThisThread: DatagramMemory {
        if let memory = perThread.currentValue { return memory }
        let memory = DatagramMemory()
        perThread.currentValue = memory
        return memory
    }

    private init() {
        let slots = ADIT_DATAGRAM_SLOTS
        slab = .allocate(byteCount: slots * ADIT_DATAGRAM_SLOT_SIZE, alignment: 16)
        received = .allocate(capacity: slots)
        received.initialize(repeating: adit_datagram())
    }

    deinit {
        slab.deallocate()
        received.deallocate()
    }
}

/// Gives NIO, which keeps the buffer of each socket, one that fits the datagram it is about to receive: room for the
/// largest with every socket would be most of what a visitor costs.
private struct FittingReceiveBuffer: RecvByteBufferAllocator {
    private static let minimum = 2048

    let descriptor: CInt

    private var size: Int {
        let next = Int(adit_datagram_next_size(descriptor))
        return next < 0 ? ADIT_DATAGRAM_SLOT_SIZE : max(next, Self.minimum)
    }

    func nextBufferSize() -> Int? { size }

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer { allocator.buffer(capacity: size) }

    func record(actualReadBytes: Int) -> Bool { false }
}

/// Tells a socket what NIO sees.
private final class DatagramSocketHandler: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let socket: DatagramSocket

    init(_ socket: DatagramSocket) {
        self.socket = socket
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        socket.receive(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        socket.drain()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? IOError, error.errnoCode == ECONNREFUSED else { return }
        socket.refused()
    }

    func channelInactive(context: ChannelHandlerContext) {
        socket.closed()
    }
}
